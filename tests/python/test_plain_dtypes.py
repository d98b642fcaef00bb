"""float64 and integers of every size: ops make of them what numpy makes, and integers are exact."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import _core, layers, ops

# Each type is a plan of its own.
pytestmark = pytest.mark.filterwarnings("ignore:.*plans have been compiled")
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
TYPES = ["float64", *INTEGERS]


def drawn(dtype: str, *shape: int, seed: int = 0, least: int | None = None) -> np.ndarray:
    """Numbers of a type, over all of its range."""
    rng = np.random.default_rng(seed)
    if dtype == "float64":
        return rng.standard_normal(shape)
    info = np.iinfo(dtype)
    return rng.integers(info.min if least is None else least, info.max, shape, dtype=dtype, endpoint=True)


def same(got: Any, expected: np.ndarray, tolerance: float = 0.0) -> None:
    got = got.numpy()
    assert got.dtype == expected.dtype
    if tolerance:
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)
    else:
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("dtype", TYPES)
def test_pointwise_functions_are_numpys(dtype):
    a, b = drawn(dtype, 5, 300), drawn(dtype, 300, seed=1)
    b[b == 0] = 1
    with np.errstate(over="ignore"):
        for name in "add subtract multiply maximum minimum less less_equal equal greater not_equal".split():
            same(getattr(ops, name)(a, b), getattr(np, name)(a, b))
        # numpy leaves the least integer divided by -1 to the processor.
        b[b.astype(float) == -1] = 3
        for name in ("floor_divide", "mod"):
            same(getattr(ops, name)(a, b), getattr(np, name)(a, b))
        for name in ("negative", "absolute", "square", "sign"):
            same(getattr(ops, name)(a), getattr(np, name)(a))
        same(ops.where(a > b, a, b), np.where(a > b, a, b))
        same(
            ops.power(a[0] if dtype == "float64" else a, np.array(3, dtype)),
            np.power(a[0] if dtype == "float64" else a, np.array(3, dtype)),
            1e-15 if dtype == "float64" else 0,
        )


@pytest.mark.parametrize("dtype", TYPES)
def test_reductions_are_numpys(dtype):
    x = drawn(dtype, 4, 300, 3)
    wide = {"int8": "int32", "int16": "int32", "uint8": "uint32", "uint16": "uint32"}.get(dtype, dtype)
    tolerance = 1e-12 if dtype == "float64" else 0.0
    for axis in (None, 0, 1, (0, 2)):
        same(ops.sum(x, axis=axis), np.sum(x, axis=axis, dtype=wide), tolerance)
        same(ops.prod(x, axis=axis), np.prod(x, axis=axis, dtype=wide), tolerance)
        same(ops.max(x, axis=axis), np.max(x, axis=axis))
        same(ops.min(x, axis=axis), np.min(x, axis=axis))
    assert ops.argmax(x, axis=1).numpy().tolist() == x.argmax(1).tolist()
    assert ops.mean(x).dtype == ops.var(x).dtype == ("float64" if dtype == "float64" else "float32")
    same(ops.cumsum(x[0], axis=0), np.cumsum(x[0], axis=0, dtype=dtype), tolerance)
    same(ops.sort(x, axis=1), np.sort(x, axis=1))


@pytest.mark.parametrize("dtype", TYPES)
def test_elements_are_moved_as_they_are(dtype):
    x = drawn(dtype, 4, 5, 6)
    same(ops.transpose(x, (2, 0, 1)), x.transpose(2, 0, 1))
    same(
        ops.pad(x, ((1, 0), (0, 2), (3, 0)), constant_values=7),
        np.pad(x, ((1, 0), (0, 2), (3, 0)), constant_values=7),
    )
    same(ops.concatenate([x, x], axis=1), np.concatenate([x, x], 1))
    same(ops.array(x)[1:3, ::-2, 4], x[1:3, ::-2, 4])
    same(ops.broadcast_to(x[:, :1], (4, 3, 6)), np.broadcast_to(x[:, :1], (4, 3, 6)))
    for rows in (np.array([3, 0, -1]), np.array([3, 0], np.uint8)):
        same(ops.take(x, rows, axis=1), x[:, rows])
    same(ops.one_hot(np.array([1, 0]), 3, dtype=dtype), np.eye(3, dtype=dtype)[[1, 0]])
    same(ops.arange(4, dtype=dtype), np.arange(4, dtype=dtype))
    for make in (ops.zeros, ops.ones, lambda shape, dtype: ops.full(shape, 3, dtype)):
        assert make((2,), dtype=dtype).dtype == dtype


@pytest.mark.parametrize("dtype", TYPES)
def test_casts_are_numpys(dtype):
    x = drawn(dtype, 100)
    for to in [*INTEGERS, "float64", "float32", "bool"]:
        given = np.abs(x) * 30 if dtype == "float64" else x
        same(ops.cast(given, to), given.astype(to))


def test_saturating_casts_give_the_nearest():
    for dtype in INTEGERS:
        info = np.iinfo(dtype)
        for given in ([-1e30, 1e30, 3.7], np.array([-1e30, 1e30, 3.7])):
            assert ops.saturate_cast(given, dtype).tolist() == [info.min, info.max, 3]
        for source in INTEGERS:
            x = drawn(source, 50)
            expected = [min(max(int(v), info.min), info.max) for v in x]
            assert ops.saturate_cast(x, dtype).tolist() == expected, (source, dtype)


def test_places_beyond_int32_do_not_wrap_around():
    far, near = np.array([2**32]), np.array([2**32 - 1], np.uint32)
    for place in (far, near):
        for call in (
            lambda p: ops.scatter(p[:, None], [1.0], (3,)),
            lambda p: ops.scatter_update(ops.zeros(3), p[:, None], [1.0]),
        ):
            with pytest.raises(ValueError, match="expected -3 to 2"):
                call(place).tolist()
        with pytest.raises(ValueError, match="expected each index within"):
            ops.scatter(np.stack([place, place], 1), [1.0], (3, 3))
        assert ops.segment_sum(np.ones(1), place, 2).tolist() == [0.0, 0.0]
        assert ops.slice_update(ops.zeros(3), place, ops.ones(1)).tolist() == [0.0, 0.0, 1.0]
        assert ops.slice(ops.arange(5.0), ops.convert_to_tensor(place), (2,)).tolist() == [3.0, 4.0]
    assert ops.saturate_cast([100_000, -100_000, 7], "float16").tolist() == [65504.0, -65504.0, 7.0]


def test_elements_that_are_only_moved_or_compared_keep_their_integers():
    x = np.full((1, 3, 3, 4), 2**24 + 1, np.int32)
    for y in (
        ops.depth_to_space(x, 2),
        ops.space_to_depth(x[:, :2, :2], 2),
        ops.unfold(x, 2),
        ops.adaptive_max_pool(x, 2),
        ops.max_pool(x, 2),
    ):
        assert y.dtype == "int32"
        assert (y.numpy() == 2**24 + 1).all()


_X = np.array([0.3, 0.7, -0.2])
_LARGE = np.array([1.0 + 1e-10, 1.5, 1e9 + 5.0, 3e9, 1e200])
_ENDS = (ops.convert_to_tensor(np.array(1.0)), 0.1, 5)
IN_FLOAT64 = {
    "arctan2": (lambda: ops.arctan2(_X, 0.1), np.arctan2(_X, 0.1)),
    "arccosh": (lambda: ops.arccosh(_LARGE), np.arccosh(_LARGE)),
    "fmax": (lambda: ops.fmax(_X, 0.1), np.fmax(_X, 0.1)),
    "fmin": (lambda: ops.fmin(0.1, _X), np.fmin(0.1, _X)),
    "fmod": (lambda: ops.fmod(0.1, _X), np.fmod(0.1, _X)),
    "full_like": (lambda: ops.full_like(_X, 0.1), np.full_like(_X, 0.1)),
    "geomspace": (lambda: ops.geomspace(*_ENDS), np.geomspace(1.0, 0.1, 5)),
    "heaviside": (lambda: ops.heaviside(np.zeros(1), 0.1), np.array([0.1])),
    "histogram": (lambda: ops.histogram(_X, 7)[1], np.histogram(_X, 7)[1]),
    "histogram within": (lambda: ops.histogram(_X, 7, (0.1, 0.6))[1], np.histogram(_X, 7, (0.1, 0.6))[1]),
    "istft": (lambda: ops.istft(ops.stft(np.tile(_X, 8), 8, 2, 8), 8, 2, 8), np.tile(_X, 8)),
    "ldexp": (
        lambda: ops.ldexp(np.array([1.0, 1.0, 0.0, 2.0**-1000]), [300, -1000, 2000, 2000]),
        np.array([2.0**300, 2.0**-1000, 0.0, 2.0**1000]),
    ),
    "linspace": (lambda: ops.linspace(*_ENDS), np.linspace(1.0, 0.1, 5)),
    "logspace": (lambda: ops.logspace(*_ENDS), np.logspace(1.0, 0.1, 5)),
    "norm": (lambda: ops.norm(_X, 0), np.array(3.0)),
    "unique": (lambda: ops.unique(_X, size=4, fill_value=0.1), np.array([-0.2, 0.3, 0.7, 0.1])),
    "trapezoid": (lambda: ops.trapezoid(_X, dx=0.1), np.array(0.075)),
}


@pytest.mark.parametrize("name", IN_FLOAT64)
def test_float64_and_numbers_of_python_beside_it_lose_no_digits(name):
    function, expected = IN_FLOAT64[name]
    result = function()
    assert result.dtype == "float64"
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-13, atol=1e-14)


def test_running_sums_and_products_are_of_the_type_that_is_asked_for():
    most = np.full(3, 2**31 - 1, np.int32)
    assert ops.cumsum(most, dtype="int64").tolist() == np.cumsum(most, dtype=np.int64).tolist()
    assert ops.cumprod(most[:2], dtype="int64").tolist() == np.cumprod(most[:2], dtype=np.int64).tolist()
    assert ops.cumsum(np.full(3, 200, np.uint8), dtype="int64").tolist() == [200, 400, 600]
    assert ops.cumsum(np.array([1.5, 2.5]), dtype="int32").tolist() == [1, 3]
    assert ops.cumsum(np.array([1e-9, 1.0, 1e-9]), dtype="float64")[2].tolist() == pytest.approx(
        1.000000002, rel=1e-12
    )
    tenths = np.full(5000, 0.1, np.float16)
    assert ops.cumsum(tenths, dtype="float16")[-1].tolist() == ops.cumsum(tenths)[-1].tolist() == 500.0


def test_ldexp_overflows_only_where_its_result_does():
    x = np.array([0.0, 2.0**-120, 1.0, -1.0], np.float32)
    assert ops.ldexp(x, np.array([300, 240, 2**40, 2**31])).tolist() == [0.0, 2.0**120, np.inf, -np.inf]


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8"])
def test_fmod_of_integers_is_numpys_at_the_least_of_them(dtype):
    limits = np.iinfo(dtype)
    x = np.array([limits.min, limits.min + 1, 7, limits.max], dtype)
    for divisor in (3, 5) if limits.min == 0 else (3, -3, 5):
        assert ops.fmod(x, divisor).tolist() == np.fmod(x, np.array(divisor, dtype)).tolist()


def test_indices_of_small_types_reach_into_large_extents():
    indices = np.array([100, 200], np.uint8)
    assert [part.tolist() for part in ops.unravel_index(indices, (10, 300))] == [[0, 0], [100, 200]]
    assert [part.tolist() for part in ops.unravel_index(indices, (7, 150))] == [[0, 1], [100, 50]]


def test_indices_beyond_int32_are_outside_of_every_axis():
    for rows in (np.array([2**32]), np.array([-(2**32)]), np.array([2**63], np.uint64)):
        with pytest.raises(ValueError, match="index"):
            ops.take(np.ones(3), rows).numpy()


@pytest.mark.parametrize("dtype", INTEGERS)
def test_products_of_integers_are_exact(dtype):
    a, b = drawn(dtype, 3, 7, 20), drawn(dtype, 20, 9, seed=1)
    with np.errstate(over="ignore"):
        same(ops.matmul(a, b), np.matmul(a, b))
        # Keras adds up products of int8, and of these alone, in int32.
        wide = np.int32 if dtype == "int8" else dtype
        same(ops.einsum("bij,jk->bki", a, b), np.matmul(a.astype(wide), b.astype(wide)).transpose(0, 2, 1))


def test_convolutions_and_poolings_compute_in_float64():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 6, 7, 4)), rng.standard_normal((3, 3, 4, 5))
    y = ops.conv(x, w, padding="valid")
    patches = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    same(y, np.einsum("npqcij,ijck->npqk", patches, w), 1e-13)
    windows = x[:, :6, :6].reshape(2, 3, 2, 3, 2, 4)
    same(ops.max_pool(x, 2), windows.max((2, 4)))
    same(ops.average_pool(x, 2), windows.mean((2, 4)), 1e-15)
    shifted = np.exp(x - x.max(-1, keepdims=True))
    same(ops.softmax(x), shifted / shifted.sum(-1, keepdims=True), 1e-14)


def test_float64_gradients_agree_with_differences():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 5, 5, 2)), rng.standard_normal((3, 3, 2, 3))

    def loss(given):
        x, w = given
        y = ops.conv(ops.tanh(x), w, strides=2, padding="same")
        y = ops.max_pool(ops.gelu(y), 2)
        return ops.mean(ops.logsumexp(y, axis=-1)) + ops.std(y)

    grads = [g.numpy() for g in cnnrs.grad(loss)([ops.array(x), ops.array(w)])]
    for k, (value, grad) in enumerate(zip((x, w), grads, strict=True)):
        assert grad.dtype == np.float64
        for at in [tuple(rng.integers(0, value.shape)) for _ in range(5)]:
            ends = []
            for step in (1e-6, -1e-6):
                moved = [x.copy(), w.copy()]
                moved[k][at] += step
                ends.append(loss([ops.array(m) for m in moved]).item())
            np.testing.assert_allclose(grad[at], (ends[0] - ends[1]) / 2e-6, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("dtype", TYPES)
def test_values_go_through_variables_files_and_dlpack(dtype, tmp_path):
    x = drawn(dtype, 3, 4)
    path = str(tmp_path / "t.safetensors")
    _core.save_safetensors(path, {"t": ops.array(x), "u": x.T}, {})
    loaded = _core.load_safetensors(path)[0]
    for got, expected in ((loaded["t"], x), (loaded["u"], x.T)):
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(np.from_dlpack(ops.array(x)), x)
    v = cnnrs.Variable(x, dtype=dtype)
    v.assign(x[::-1])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(v)).numpy(), x[::-1])
    assert v.dtype == dtype and dtype in repr(v.value)
    assert int(v.value[0, 0]) == int(x[-1, 0]) and v.value.tolist() == x[::-1].tolist()


@pytest.mark.parametrize("dtype", TYPES)
def test_traced_functions_compute_as_ops_do(dtype):
    x = drawn(dtype, 6, 7)

    def f(x):
        return ops.concatenate([x + x, ops.broadcast_to(ops.max(x, axis=0), (1, 7))]), ops.cast(
            x, "float32"
        ) * 2

    for got, expected in zip(cnnrs.function(f)(x), f(ops.array(x)), strict=True):
        same(got, expected.numpy())


def test_a_model_of_float64_trains_in_float64():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((32, 3)), rng.standard_normal((32, 1))
    model = cnnrs.Sequential([cnnrs.Input((3,)), layers.Dense(1, dtype="float64")])
    kernel, bias = (w.numpy() for w in model.weights)
    model.compile(cnnrs.optimizers.SGD(0.1), "mse")
    assert kernel.dtype == np.float64 and model.predict(x, verbose=0).dtype == np.float64
    x32, y32 = (a.astype(np.float32).astype(np.float64) for a in (x, y))
    error = x32 @ kernel + bias - y32
    model.train_on_batch(x, y)
    rate = float(np.float32(0.1))
    expected = kernel - rate * 2 * x32.T @ error / 32
    # A weight may come near 0.
    np.testing.assert_allclose(model.weights[0].numpy(), expected, rtol=1e-6, atol=2e-8)
    assert model.weights[0].dtype == "float64"


def test_a_gpu_says_what_it_lacks():
    gpus = (
        [d for d in cnnrs.config.list_devices() if d.startswith("gpu")]
        if hasattr(cnnrs.config, "list_devices")
        else []
    )
    if not gpus:
        pytest.skip("there is no GPU")
    with pytest.raises(TypeError, match="float64.*float32"):
        (ops.array(np.ones(3)).to(gpus[0]) + 1).numpy()


def test_layers_that_widen_16_bits_compute_in_float64_where_they_are_asked_to():
    x = np.random.default_rng(0).normal(size=(4, 6, 8))
    deviation = np.sqrt(x.var(-1, keepdims=True) + 1e-3)
    cases = {
        layers.LayerNormalization: (x - x.mean(-1, keepdims=True)) / deviation,
        layers.RMSNormalization: x / np.sqrt(np.square(x).mean(-1, keepdims=True) + 1e-6),
        layers.UnitNormalization: x / np.linalg.norm(x, axis=-1, keepdims=True),
        layers.BatchNormalization: (x - x.mean((0, 1))) / np.sqrt(x.var((0, 1)) + 1e-3),
    }
    for cls, expected in cases.items():
        for more in (
            ({},) if cls is not layers.BatchNormalization else ({}, {"center": False, "scale": False})
        ):
            layer = cls(dtype="float64", **more)
            kwargs = {"training": True} if cls is layers.BatchNormalization else {}
            np.testing.assert_allclose(layer(x, **kwargs), expected, atol=1e-14, err_msg=cls.__name__)
    dropped = layers.Dropout(0.5, dtype="float64")(x, training=True).numpy()
    assert set(dropped[dropped != 0]) <= set((2 * x).ravel())
    layer = layers.Dense(3, activity_regularizer="l2", dtype="float64")
    output = layer(x).numpy()
    assert float(layer.losses[0]) == pytest.approx(0.01 * np.square(output).sum() / 4, 1e-14)
