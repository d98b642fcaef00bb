"""Functions of `cnnrs.ops` that numpy has too: values, results inside traces, symbolic shapes, gradients."""

import functools

import numpy as np
import pytest
import scipy.special

import cnnrs
from cnnrs import KerasTensor, Model, ops

RNG = np.random.default_rng(5)
X = RNG.normal(size=(3, 4, 5)).astype(np.float32)
M = RNG.normal(size=(4, 5)).astype(np.float32)
V = RNG.normal(size=7).astype(np.float32)
W = RNG.normal(size=7).astype(np.float32)
U = RNG.uniform(-0.95, 0.95, size=(3, 4)).astype(np.float32)
P = RNG.uniform(1.05, 9.0, size=(3, 4)).astype(np.float32)
N = np.where(RNG.uniform(size=(3, 4, 5)) < 0.3, np.nan, X).astype(np.float32)
INTS = RNG.integers(-9, 9, size=(3, 4)).astype(np.int32)
J = RNG.integers(-9, 9, size=(3, 4)).astype(np.int32)
S = RNG.integers(0, 12, size=(3, 4)).astype(np.int32)
SORTED = np.sort(V)
LEVELS = ("linear", "lower", "higher", "midpoint", "nearest")


def case(name, *args, reference=None, grad=True, **kwargs):
    """A call, its arrays, and what it means in numpy."""
    reference = reference or getattr(np, name)
    label = "-".join([name, *(f"{k}={v}" for k, v in kwargs.items())])
    return pytest.param(name, args, kwargs, reference, grad, id=label)


def top(x, k):
    order = np.argsort(-x, axis=-1, kind="stable")[..., :k]
    return np.take_along_axis(x, order, -1), order


def column_of_ones(x, **kwargs):
    return np.median(x, **kwargs)


CASES = [
    case("arccos", U),
    case("arccosh", P),
    case("arcsin", U),
    case("arcsinh", X),
    case("arctan", X),
    case("arctanh", U),
    case("arctan2", X, M),
    case("cbrt", X),
    case("erfc", X, reference=scipy.special.erfc),
    case("erfinv", U, reference=scipy.special.erfinv),
    case("sinc", X),
    case("i0", 3 * X),
    case("fabs", X),
    case("angle", X, grad=False),
    case("real", X),
    case("conj", X),
    case("conjugate", X),
    case("imag", X, grad=False),
    case("isreal", X),
    case("isneginf", np.float32([1, np.inf, -np.inf, np.nan])),
    case("isposinf", np.float32([1, np.inf, -np.inf, np.nan])),
    case("signbit", np.float32([1, -1, 0.0, -0.0, np.inf, -np.inf])),
    case("fmax", N[0], X[0], grad=False),
    case("fmin", N[0], X[0], grad=False),
    case("fmod", 5 * X, M),
    case("fmod", INTS, np.where(J == 0, 1, J)),
    case("heaviside", np.float32([-1, 0, 2]), np.float32([0.5, 0.25, 0.75]), grad=False),
    case("ldexp", X, np.int32([-3, 0, 2, 5, 1])),
    case("logaddexp2", X, M),
    case("nextafter", X, M, grad=False),
    case("bitwise_and", INTS, J),
    case("bitwise_or", INTS, J),
    case("bitwise_xor", INTS, J),
    case("bitwise_invert", INTS),
    case("bitwise_not", INTS, reference=np.invert),
    case("bitwise_left_shift", INTS, S, reference=np.left_shift),
    case("bitwise_right_shift", INTS, S, reference=np.right_shift),
    case("left_shift", INTS, S),
    case("right_shift", INTS, S),
    case("gcd", INTS, J),
    case("lcm", INTS, J),
    *(case("sort", X, axis=a) for a in (0, 1, -1, None)),
    *(case("argsort", X, axis=a) for a in (0, 1, -1, None)),
    case("top_k", X, k=3, reference=top),
    *(case("searchsorted", SORTED, X, side=s, grad=False) for s in ("left", "right")),
    case("digitize", X, SORTED),
    case("isin", INTS, J),
    case("isin", INTS, J, invert=True),
    *(case("cumsum", X, axis=a) for a in (0, 1, -1, None)),
    *(case("cumprod", X, axis=a) for a in (0, 1, -1, None)),
    case("nancumsum", N, axis=1, grad=False),
    case("nancumprod", N, axis=1, grad=False),
    *(case("median", X, axis=a, keepdims=k) for a in (0, (0, 2), None) for k in (False, True)),
    *(case("quantile", X, q=0.3, axis=a) for a in (0, (1, 2), None)),
    *(case("quantile", X, q=[0.1, 0.77], axis=1, method=m, keepdims=True) for m in LEVELS),
    case("percentile", X, q=[10, 50, 99], axis=0),
    *(
        case(n, N, axis=a, keepdims=True, grad=False)
        for n in ("nanmedian", "nanmean", "nansum")
        for a in (0, None)
    ),
    *(case(n, N, axis=1, grad=False) for n in ("nanmax", "nanmin", "nanprod", "nanstd", "nanvar")),
    case("nanquantile", N, q=[0.2, 0.5], axis=2, grad=False),
    case("nanpercentile", N, q=35, axis=(0, 1), grad=False),
    case("nanargmax", N, axis=0),
    case("nanargmin", N, axis=2),
    case("array_split", X, indices_or_sections=3, axis=1),
    case("hsplit", X, indices_or_sections=2),
    case("vsplit", X, indices_or_sections=[1, 2]),
    case("dsplit", X, indices_or_sections=[2]),
    case("fliplr", X),
    case("flipud", X),
    *(case("rot90", X, k=k, axes=a) for k in (-1, 0, 1, 2, 3) for a in ((0, 1), (2, 0))),
    *(case("diag", V, k=k) for k in (0, 2, -3)),
    *(case("diag", M, k=k) for k in (0, 2, -3)),
    *(case("diagflat", M, k=k) for k in (0, 1, -1)),
    case("vander", V),
    case("vander", V, N=3, increasing=True),
    case("unravel_index", S, shape=(3, 4)),
    case("cross", X[:, 0, :3], M[:3, :3]),
    case("cross", X[:, 0, :2], M[:3, :3]),
    case("cross", X[:, 0, :3].T, M[:3, :3], axisa=0, axisb=1, axisc=0),
    case("kron", M, V),
    case("corrcoef", M),
    *(case("correlate", V, W[:4], mode=m) for m in ("valid", "same", "full")),
    *(case("correlate", W[:4], V, mode=m) for m in ("valid", "same", "full")),
    *(case("correlate", V, W, mode=m) for m in ("valid", "same", "full")),
    case("trapezoid", X, axis=1),
    case("trapezoid", X, np.sort(X, axis=1), axis=1),
    case("trapezoid", X, dx=0.5, axis=0),
    case("empty_like", X, reference=np.zeros_like, grad=False),
]


def leaves(values):
    return list(values) if isinstance(values, (list, tuple)) else [values]


def expected(reference, args, kwargs):
    with np.errstate(all="ignore"):
        return [np.asarray(v) for v in leaves(reference(*args, **kwargs))]


@pytest.mark.parametrize(("name", "args", "kwargs", "reference", "grad"), CASES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore:Arrays of 2-dim:DeprecationWarning")
def test_values_traces_and_symbols(name, args, kwargs, reference, grad):
    function = functools.partial(getattr(ops, name), **kwargs)
    wide = [a.astype(np.float64) if a.dtype == np.float32 and name != "nextafter" else a for a in args]
    wanted = expected(reference, wide, kwargs)
    got = leaves(function(*args))
    traced = leaves(cnnrs.function(lambda *tensors: function(*tensors))(*map(ops.array, args)))
    symbols = leaves(function(*(KerasTensor(a.shape, a.dtype.name) for a in args)))
    assert len(got) == len(wanted) == len(traced) == len(symbols)
    for y, t, s, w in zip(got, traced, symbols, wanted, strict=True):
        assert tuple(y.shape) == w.shape == s.shape
        assert y.dtype == t.dtype == s.dtype
        assert (np.dtype(y.dtype).kind == "f") == (w.dtype.kind == "f")
        for values in (y, t):
            np.testing.assert_allclose(values.numpy(), w, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "reference", "grad"),
    [c for c in CASES if c.values[4] and any(a.dtype == np.float32 for a in c.values[1])],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore:Arrays of 2-dim:DeprecationWarning")
def test_gradients_are_slopes(name, args, kwargs, reference, grad):
    wide = [a.astype(np.float64) if a.dtype == np.float32 else a for a in args]
    outputs = expected(reference, wide, kwargs)
    if any(v.dtype.kind != "f" for v in outputs[:1]):
        pytest.skip("no floats come out")
    weights = [
        np.random.default_rng(k).normal(size=v.shape).astype(np.float32) for k, v in enumerate(outputs)
    ]

    def weighted(values):
        pairs = zip(leaves(values), weights, strict=True)
        return [v * w for v, w in pairs if np.dtype(v.dtype).kind == "f"]

    def total(*tensors):
        parts = weighted(getattr(ops, name)(*tensors, **kwargs))
        return functools.reduce(ops.add, [ops.sum(p) for p in parts])

    def slope_of(*arrays):
        return sum(p.sum() for p in weighted(expected(reference, arrays, kwargs)))

    floats = [i for i, a in enumerate(args) if a.dtype == np.float32]
    for i in floats:
        got = cnnrs.grad(lambda x, i=i: total(*(x if k == i else a for k, a in enumerate(args))))(
            args[i]
        ).numpy()
        assert got.shape == args[i].shape
        for at in np.random.default_rng(1).integers(0, args[i].size, 4):
            sides = []
            for step in (1e-5, -1e-5):
                moved = [a.copy() for a in wide]
                moved[i].flat[at] += step
                sides.append(slope_of(*moved))
            slope = (sides[0] - sides[1]) / 2e-5
            assert abs(got.flat[at] - slope) <= 1e-3 * max(1.0, abs(slope)), (name, i, at)


def test_stacks():
    for name in ("dstack", "column_stack"):
        for parts in ([V, W], [M, M], [V[:4], M]) if name == "column_stack" else ([V, W], [M, M], [X, X]):
            np.testing.assert_array_equal(getattr(ops, name)(parts).numpy(), getattr(np, name)(parts))


@pytest.mark.parametrize("name", ["bartlett", "blackman", "hamming", "hanning"])
def test_windows(name):
    for n in (0, 1, 2, 5, 12):
        np.testing.assert_allclose(getattr(ops, name)(n).numpy(), getattr(np, name)(n), atol=1e-6)
    np.testing.assert_allclose(ops.kaiser(9, 3.5).numpy(), np.kaiser(9, 3.5), atol=1e-6)


def test_orders_of_equal_numbers_and_nan():
    x = np.float32([2, np.nan, -0.0, 0.0, np.inf, 2, -np.inf, np.nan])
    np.testing.assert_array_equal(ops.argsort(x).numpy(), np.argsort(x, kind="stable"))
    values, indices = ops.top_k(x, 4)
    assert indices.tolist() == [1, 7, 4, 0]
    for dtype in ("int32", "uint8", "bool"):
        y = RNG.integers(0, 2 if dtype == "bool" else 4, 50).astype(dtype)
        np.testing.assert_array_equal(ops.argsort(y).numpy(), np.argsort(y, kind="stable"))
        assert ops.sort(y).dtype == dtype


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_sixteen_bits(dtype):
    x = ops.cast(X, dtype)
    for y in (
        ops.sort(x),
        ops.cumsum(x, 1),
        ops.cumprod(x, 1),
        ops.arcsinh(x),
        ops.top_k(x, 2)[0],
        ops.median(x),
    ):
        assert y.dtype == dtype
    np.testing.assert_array_equal(
        ops.cast(ops.sort(x), "float32").numpy(), np.sort(ops.cast(x, "float32").numpy())
    )


def test_unique_with_and_without_a_size():
    for x in (RNG.integers(0, 6, 40), RNG.integers(0, 3, (4, 5)).astype(np.float32)):
        wanted = np.unique(x, return_index=True, return_inverse=True, return_counts=True)
        got = ops.unique(x, return_index=True, return_inverse=True, return_counts=True)
        for g, w in zip(got, wanted, strict=True):
            np.testing.assert_array_equal(g.numpy(), w.reshape(g.shape))

        def sized(t):
            return ops.unique(
                t, return_index=True, return_inverse=True, return_counts=True, size=9, fill_value=7
            )

        for got in (sized(x), cnnrs.function(sized)(ops.array(x))):
            found = len(wanted[0])
            for k, (g, w) in enumerate(zip(got, wanted, strict=True)):
                if k == 2:
                    np.testing.assert_array_equal(g.numpy(), w.reshape(x.shape))
                else:
                    np.testing.assert_array_equal(g.numpy()[:found], w)
                    assert (g.numpy()[found:] == (7 if k == 0 else 0)).all()


def test_values_are_not_read_in_a_trace():
    for call in (ops.nonzero, ops.unique, lambda x: ops.bincount(ops.cast(x, "int32"))):
        with pytest.raises(RuntimeError, match="not known while a function is recorded"):
            cnnrs.function(call)(ops.array(V))


@pytest.mark.parametrize("reduction", [None, "add", "max", "min", "mul"])
def test_scatter_update_is_in_order(reduction):
    x, indices = RNG.normal(size=(4, 5, 2)).astype(np.float32), RNG.integers(0, 4, (30, 2))
    updates = RNG.normal(size=(30, 2)).astype(np.float32)
    wanted = x.copy()
    if reduction is None:
        for at, row in zip(indices, updates, strict=True):
            wanted[tuple(at)] = row
    else:
        ufunc = {"add": np.add, "max": np.maximum, "min": np.minimum, "mul": np.multiply}[reduction]
        ufunc.at(wanted, tuple(indices.T), updates)
    update = functools.partial(ops.scatter_update, reduction=reduction)
    for f in (update, cnnrs.function(update)):
        got = f(ops.array(x), ops.array(indices), ops.array(updates))
        np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-5)
    total = np.zeros((4, 5, 2), np.float32)
    np.add.at(total, tuple(indices.T), updates)
    np.testing.assert_allclose(ops.scatter(indices, updates, (4, 5, 2)).numpy(), total, rtol=1e-4, atol=1e-5)


def test_indices_outside_are_refused_on_every_axis():
    for bad in ([[0, 5]], [[4, 0]], [[-5, 0]], [[0, -6]]):
        with pytest.raises(ValueError, match="index"):
            ops.scatter_update(np.zeros((4, 5)), bad, [1.0]).numpy()
    assert ops.scatter_update(np.zeros((4, 5)), [[-4, -5]], [1.0]).numpy()[0, 0] == 1


def test_blocks_are_written_where_they_fit():
    x, block = RNG.normal(size=(4, 5)).astype(np.float32), np.ones((2, 3), np.float32)
    for start in ((0, 0), (2, 2), (1, 1), np.array([2, 0])):
        wanted = x.copy()
        wanted[start[0] : start[0] + 2, start[1] : start[1] + 3] = block
        np.testing.assert_array_equal(ops.slice_update(x, start, block).numpy(), wanted)
    by_x, by_block = (
        cnnrs.grad(
            lambda t, i=i: ops.sum(ops.slice_update(*((t, (1, 1), block) if i == 0 else (x, (1, 1), t))))
        )(v)
        for i, v in enumerate((x, block))
    )
    assert by_x.numpy().sum() == 20 - 6 and (by_block.numpy() == 1).all()


@pytest.mark.parametrize("name", ["segment_sum", "segment_prod", "segment_max", "segment_min"])
def test_segments(name):
    data, ids = RNG.normal(size=(12, 3)).astype(np.float32), RNG.integers(-1, 6, 12)
    ufunc, start = {
        "segment_sum": (np.add, 0),
        "segment_prod": (np.multiply, 1),
        "segment_max": (np.maximum, -np.inf),
        "segment_min": (np.minimum, np.inf),
    }[name]
    wanted = np.full((5, 3), start, np.float32)
    inside = (ids >= 0) & (ids < 5)
    ufunc.at(wanted, ids[inside], data[inside])
    function = functools.partial(getattr(ops, name), num_segments=5)
    for f in (function, cnnrs.function(function)):
        np.testing.assert_allclose(f(ops.array(data), ops.array(ids)).numpy(), wanted, rtol=1e-5)
    known = np.array([0, 0, 2])
    assert getattr(ops, name)(data[:3], known).shape == (3, 3)


def test_counts():
    x, w = RNG.integers(0, 6, (3, 20)), RNG.normal(size=(3, 20)).astype(np.float32)
    np.testing.assert_array_equal(ops.bincount(x[0]).numpy(), np.bincount(x[0]))
    rows = ops.bincount(x, weights=w, minlength=8).numpy()
    for k in range(3):
        np.testing.assert_allclose(rows[k], np.bincount(x[k], w[k], 8), rtol=1e-5, atol=1e-6)
    for bins, limits in ((10, None), (3, (-1.0, 0.5)), (1, None)):
        counts, bounds = ops.histogram(X.ravel(), bins=bins, range=limits)
        wanted = np.histogram(X.ravel(), bins=bins, range=limits)
        np.testing.assert_array_equal(counts.numpy(), wanted[0])
        np.testing.assert_allclose(bounds.numpy(), wanted[1], rtol=1e-5, atol=1e-6)


def test_quantiles_of_nan_and_of_traced_fractions():
    x = np.float32([[1, np.nan, 3], [np.nan, np.nan, np.nan], [4, 5, 6]])
    assert np.isnan(ops.median(x, axis=1).numpy()).tolist() == [True, True, False]
    np.testing.assert_array_equal(ops.nanmedian(x, axis=1).numpy(), [2, np.nan, 5])
    assert ops.nanargmax(x, axis=1).tolist() == [2, -1, 2]
    got = cnnrs.function(lambda a, q: ops.quantile(a, q, axis=0))(ops.array(M), ops.array([0.25, 0.8]))
    np.testing.assert_allclose(got.numpy(), np.quantile(M, [0.25, 0.8], axis=0), rtol=1e-5)


def test_functional_models_of_an_unknown_batch():
    x = cnnrs.Input((4, 5))
    outputs = [
        ops.sort(x, axis=1),
        ops.top_k(x, 2)[0],
        ops.cumsum(x, axis=2),
        ops.median(x, axis=(1, 2)),
        ops.rot90(x, axes=(1, 2)),
        ops.nanmax(x, axis=1),
        ops.scan(lambda s, row: (s + row, s), ops.zeros((5,)), x[0])[1],
        ops.vectorized_map(lambda row: row * 2, x),
    ]
    model = Model(x, outputs)
    assert (
        outputs[0].shape == (None, 4, 5) and outputs[3].shape == (None,) and outputs[7].shape == (None, 4, 5)
    )
    got = model.predict(X, verbose=0)
    np.testing.assert_array_equal(got[0], np.sort(X, axis=1))
    np.testing.assert_allclose(got[3], np.median(X, axis=(1, 2)), rtol=1e-5)
    np.testing.assert_array_equal(got[7], X * 2)
