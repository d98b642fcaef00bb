"""Properties of families of functions: types of results, norms, masks, thresholds, infinity and NaN."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import cnnrs
from cnnrs import activations, layers, ops

RANDOM = np.random.default_rng(0)
INF, NAN = math.inf, math.nan

# ---- sums of products

_PRODUCTS = {
    "matmul": (ops.matmul, np.matmul, [((3, 4), (4, 2)), ((4,), (4,)), ((2, 3, 4), (4,)), ((4,), (2, 4, 3))]),
    "@": (lambda a, b: ops.array(a) @ b, np.matmul, [((3, 4), (4, 2)), ((5, 1, 3, 4), (2, 4, 2))]),
    "reflected @": (lambda a, b: a @ ops.array(b), np.matmul, [((3, 4), (4, 2))]),
    "variable @": (lambda a, b: cnnrs.Variable(a) @ b, np.matmul, [((3, 4), (4, 2))]),
    "dot": (ops.dot, np.dot, [((3, 4), (4, 2)), ((4,), (4,)), ((), (4,)), ((2, 3, 4), (5, 4, 2))]),
    "inner": (ops.inner, np.inner, [((3, 4), (2, 4)), ((4,), (4,)), ((), (3,))]),
    "tensordot": (ops.tensordot, np.tensordot, [((2, 3, 4), (3, 4, 2))]),
    "vdot": (ops.vdot, np.vdot, [((2, 3), (2, 3))]),
    "outer": (ops.outer, np.outer, [((3,), (2, 2))]),
}
_TYPES = ["int32", "uint8", "bool", "float32"]


@pytest.mark.parametrize("first, second", list(itertools.product(_TYPES, _TYPES)), ids=str)
@pytest.mark.parametrize(
    "name, place", [(name, place) for name, row in _PRODUCTS.items() for place in range(len(row[2]))]
)
# Each case has shapes of its own.
@pytest.mark.filterwarnings("ignore:.*plans have been compiled:RuntimeWarning")
def test_products_have_the_type_of_their_factors(name, place, first, second):
    ours, theirs, shapes = _PRODUCTS[name]
    a, b = (RANDOM.integers(0, 2, shape) for shape in shapes[place])
    if "bool" not in (first, second):
        # Beyond what float32 counts exactly.
        a, b = a * 2**24 + 1 if first == "int32" else a, b * 3
    a, b = a.astype(first), b.astype(second)
    result = ours(a, b)
    kinds = {first, second}
    if name == "outer":
        expected = "int32" if kinds == {"bool"} else cnnrs.backend.result_type(first, second)
    else:
        expected = cnnrs.backend.result_type(first, second)
    assert result.dtype == expected
    exact = theirs(a.astype(np.int64), b.astype(np.int64))
    if expected == "float32":
        np.testing.assert_allclose(result.numpy(), exact, rtol=1e-6)
    else:
        np.testing.assert_array_equal(result.numpy(), exact.astype(expected))


def test_products_of_integers_wrap_around_and_say_what_does_not_fit():
    big = np.full((2, 3), 2**30 + 7, np.int32)
    expected = (big.astype(np.int64) @ big.T.astype(np.int64)).astype(np.int32)
    np.testing.assert_array_equal(ops.matmul(big, big.T).numpy(), expected)
    for shapes in (((2, 3), (2, 3)), ((3,), ()), ((), (3,)), ((2, 2, 3), (3, 3, 2))):
        a, b = (np.ones(s, np.int32) for s in shapes)
        with pytest.raises(ValueError, match="inner extents|at least 1 axis|broadcast"):
            ops.matmul(a, b)
    assert ops.matmul(np.ones((2, 0), np.int32), np.ones((0, 3), np.int32)).tolist() == [[0] * 3] * 2


@pytest.mark.parametrize("name", ["abs", "absolute", "trunc", "nan_to_num", "diff", "max", "min", "sort"])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float32", "float16"])
def test_functions_that_keep_the_type(name, dtype):
    function = getattr(ops, name, None)
    if function is None:
        pytest.skip(f"there is no ops.{name} yet")
    x = np.array([1, 0, 0, 1, 1]).astype(dtype)
    result = function(x)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result.numpy(), getattr(np, name)(x))


def test_full_is_float32_unless_told():
    for value in (3, True, 2.5, np.int32(3), np.array([1, 2])):
        assert ops.full((2,), value).dtype == "float32"
        assert ops.full((2,), value, "int32").dtype == "int32"
        assert ops.full_like(np.array([1, 2], np.int32), value).dtype == "int32"


# ---- norms


@pytest.mark.parametrize("order", [None, 0, 0.5, 1, 2, 3, -1, -2, INF, -INF])
@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_norms_of_vectors(order, axis):
    x = RANDOM.normal(size=(5,) if axis is None else (4, 5)).astype(np.float32)
    x[..., 1] = 3.0
    if order not in (-1, -2):
        x[..., 0] = 0.0
    expected = np.linalg.norm(x.astype(np.float64), order, axis)
    np.testing.assert_allclose(ops.norm(x, order, axis).numpy(), expected, rtol=2e-6)
    kept = np.linalg.norm(x.astype(np.float64), order, axis, keepdims=True)
    np.testing.assert_allclose(ops.norm(x, order, axis, keepdims=True).numpy(), kept, rtol=2e-6)


@pytest.mark.parametrize("shape, axis", [((3,), None), ((3, 4), 0), ((3, 4), -1), ((2, 3, 4), None)])
def test_the_frobenius_norm_is_of_matrices(shape, axis):
    with pytest.raises(ValueError, match="norm: ord: expected None.*received 'fro'"):
        ops.norm(np.ones(shape), "fro", axis)


@pytest.mark.parametrize("axis", [None, (0, 1), (-1, 0)])
def test_the_frobenius_norm(axis):
    x = RANDOM.normal(size=(3, 4))
    expected = np.linalg.norm(x)
    np.testing.assert_allclose(ops.norm(x, "fro", axis).numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(ops.norm(x, None, axis).numpy(), expected, rtol=1e-6)


# ---- masks and thresholds


@pytest.mark.parametrize("axis", [-1, 1, (1, 2)])
def test_softmax_of_what_a_mask_leaves(axis):
    x = RANDOM.normal(size=(3, 4, 5)).astype(np.float32)
    mask = RANDOM.uniform(size=x.shape) > 0.4
    mask[0] = False
    mask[1, :, 2] = False
    result = layers.Softmax(axis)(x, mask=mask).numpy()
    powers = np.where(mask, np.exp(x), 0.0)
    sums = powers.sum(axis, keepdims=True)
    np.testing.assert_allclose(
        result, np.where(sums == 0, 0.0, powers / np.where(sums == 0, 1, sums)), rtol=1e-5
    )
    assert not result[~mask].any()


@pytest.mark.parametrize("slope", [0.0, 0.5])
@pytest.mark.parametrize("limit", [None, 6.0])
@pytest.mark.parametrize("threshold", [0.0, 1.0, 5.0])
def test_relu_around_its_threshold(threshold, limit, slope):
    # Subnormal numbers count as 0.
    near = np.float32(1e-6 * threshold or 4 * np.finfo(np.float32).tiny)
    below, above = threshold - near, threshold + near
    x = np.array([-3.0, below, threshold, above, 5.5, 7.0, NAN], np.float32)
    kept = x if limit is None else np.minimum(x, limit)
    expected = np.where(x <= threshold, slope * (x - threshold), kept)
    for result in (
        activations.relu(x, slope, limit, threshold),
        layers.ReLU(limit, slope, threshold)(x),
    ):
        np.testing.assert_array_equal(result.numpy(), expected)
    with cnnrs.GradientTape() as tape:
        tape.watch(v := ops.array(x[:-1]))
        y = activations.relu(v, slope, limit, threshold)
    gradient = tape.gradient(y, v).numpy()
    assert gradient[2] == slope
    np.testing.assert_array_equal(gradient[[0, 4]], [slope, float(5.5 > threshold)])


# ---- infinity and NaN


def test_comparisons_with_infinity_and_nan():
    values = np.array([-INF, -1.0, 0.0, 1.0, INF, NAN], np.float32)
    a, b = np.meshgrid(values, values)
    with np.errstate(invalid="ignore"):
        for equal_nan in (False, True):
            np.testing.assert_array_equal(
                ops.isclose(a, b, equal_nan=equal_nan).numpy(), np.isclose(a, b, equal_nan=equal_nan)
            )
            for x, y in zip(a.flat, b.flat, strict=True):
                assert bool(ops.allclose(x, y, equal_nan=equal_nan)) == np.allclose(x, y, equal_nan=equal_nan)
    expected = [math.hypot(x, y) for x, y in zip(a.flat, b.flat, strict=True)]
    np.testing.assert_array_equal(ops.hypot(a, b).numpy().ravel(), np.float32(expected))


@pytest.mark.parametrize("dtype", ["int32", "uint8"])
@pytest.mark.parametrize("decimals", [-1, -2, 0, 1])
def test_integers_are_rounded_to_tens(decimals, dtype):
    x = np.array([0, 4, 5, 15, 16, 25, 123, 234, 249, 250, 251], dtype)
    exact = [round(int(v), decimals) for v in x]
    np.testing.assert_array_equal(ops.round(x, decimals).numpy(), np.array(exact).astype(dtype))


# ---- sets of classes


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 1), (2, 3, 4), (2, 3, 4, 2)], ids=str)
def test_multi_hot_is_of_the_indices_of_a_sample(shape):
    x = RANDOM.integers(-1, 6, shape)
    place = min(1, len(shape) - 1)
    hot = np.eye(8)[x + 1][..., 1:6].max(place)
    result = ops.multi_hot(x, 5)
    assert result.shape == hot.shape
    np.testing.assert_array_equal(result.numpy(), hot)
    for axis in range(-hot.ndim, hot.ndim):
        np.testing.assert_array_equal(ops.multi_hot(x, 5, axis=axis).numpy(), np.moveaxis(hot, -1, axis))
    symbol = ops.multi_hot(cnnrs.Input(shape[1:], dtype="int32"), 5) if len(shape) > 1 else None
    assert symbol is None or symbol.shape == (None, *hot.shape[1:])
