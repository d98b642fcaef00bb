"""Convolution and pooling of sequences, images and volumes, channels last and first, by their definitions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import cnnrs
from cnnrs import Input, ops

pytestmark = pytest.mark.filterwarnings("ignore:.*plans have been compiled:RuntimeWarning")

RANKS = [1, 2, 3]


def drawn(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def padded(x, window, stride, padding, value=0.0):
    """`x`, channels last, with the border of "same" along its spatial axes."""
    sides = [(0, 0)]
    for n, k in zip(x.shape[1:-1], window, strict=True):
        whole = max((-(-n // stride) - 1) * stride + k - n, 0) if padding == "same" else 0
        sides.append((whole // 2, whole - whole // 2))
    return np.pad(x.astype(np.float64), [*sides, (0, 0)], constant_values=value)


def windows(x, size, stride, dilation=1):
    """For each tap, what the windows see there."""
    span = [
        (n - (k - 1) * dilation - 1) // stride * stride + 1 for n, k in zip(x.shape[1:], size, strict=False)
    ]
    for tap in itertools.product(*map(range, size)):
        at = tuple(slice(t * dilation, t * dilation + n, stride) for t, n in zip(tap, span, strict=True))
        yield tap, x[(slice(None), *at)]


def convolved(x, kernel, stride, padding, dilation):
    *size, inner, filters = kernel.shape
    groups = x.shape[-1] // inner
    x = padded(x, [(k - 1) * dilation + 1 for k in size], stride, padding)
    total = 0.0
    for tap, seen in windows(x, size, stride, dilation):
        seen = seen.reshape(*seen.shape[:-1], groups, inner)
        taps = kernel[tap].reshape(inner, groups, filters // groups)
        total = total + np.einsum("...gc,cgf->...gf", seen, taps)
    return total.reshape(*total.shape[:-2], filters)


def first(x):
    return np.moveaxis(x, -1, 1)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("stride, dilation, groups", [(1, 1, 1), (2, 1, 2), (3, 1, 1), (1, 2, 1)])
@pytest.mark.parametrize("rank", RANKS)
def test_conv_is_the_sum_over_its_windows(rank, stride, dilation, groups, padding):
    x, kernel = drawn(0, 2, *(7, 6, 8)[:rank], 4), drawn(1, *(3, 2, 1)[:rank], 4 // groups, 6)
    expected = convolved(x, kernel, stride, padding, dilation)
    y = ops.conv(x, kernel, stride, padding, dilation_rate=dilation)
    np.testing.assert_allclose(y.numpy(), expected, atol=1e-4)
    y = ops.conv(first(x), kernel, stride, padding, "channels_first", dilation)
    np.testing.assert_allclose(y.numpy(), first(expected), atol=1e-4)


@pytest.mark.parametrize("rank", RANKS)
def test_explicit_padding_is_that_of_each_axis(rank):
    x, kernel = drawn(0, 1, *(5, 4, 6)[:rank], 2), drawn(1, *(3, 2, 2)[:rank], 2, 3)
    sides = [(1, 2), (0, 3), (2, 0)][:rank]
    border = np.pad(x, [(0, 0), *sides, (0, 0)])
    np.testing.assert_allclose(
        ops.conv(x, kernel, padding=sides).numpy(), convolved(border, kernel, 1, "valid", 1), atol=1e-4
    )
    lowest = np.pad(x, [(0, 0), *sides, (0, 0)], constant_values=-np.inf)
    size = [3, 4, 3][:rank]
    best = np.max([seen for _, seen in windows(lowest, size, 1)], axis=0)
    np.testing.assert_array_equal(ops.max_pool(x, size, 1, sides).numpy(), best)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("rank", RANKS)
def test_depthwise_and_separable_conv_are_grouped_ones(rank, padding):
    x, kernel = drawn(0, 2, *(6, 7, 5)[:rank], 3), drawn(1, *(2, 3, 2)[:rank], 3, 2)
    mix = drawn(2, *[1] * rank, 6, 4)
    grouped = kernel.reshape(*kernel.shape[:rank], 1, 6)
    expected = convolved(x, grouped, 2, padding, 1)
    np.testing.assert_allclose(ops.depthwise_conv(x, kernel, 2, padding).numpy(), expected, atol=1e-4)
    y = ops.separable_conv(first(x), kernel, mix, 2, padding, "channels_first")
    np.testing.assert_allclose(y.numpy(), first(convolved(expected, mix, 1, "valid", 1)), atol=1e-4)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("stride, dilation", [(1, 1), (2, 1), (3, 1), (1, 2)])
@pytest.mark.parametrize("rank", RANKS)
def test_transposed_conv_is_the_adjoint(rank, stride, dilation, padding):
    y, kernel = drawn(0, 2, *(4, 3, 5)[:rank], 3), drawn(1, *(3, 2, 3)[:rank], 2, 3)
    back = ops.conv_transpose(y, kernel, stride, padding, dilation_rate=dilation)
    x = drawn(2, *back.shape)
    forth = convolved(x, kernel, stride, padding, dilation)
    assert forth.shape == y.shape
    np.testing.assert_allclose(float(np.sum(back.numpy() * x)), np.sum(forth * y), rtol=1e-4, atol=1e-3)
    again = ops.conv_transpose(first(y), kernel, stride, padding, None, "channels_first", dilation)
    np.testing.assert_allclose(again.numpy(), first(back.numpy()), atol=1e-5)


def test_transposed_conv_of_volumes_refuses_a_size_that_no_conv_has():
    with pytest.raises(ValueError, match="output_padding"):
        ops.conv_transpose(drawn(0, 1, 3, 3, 3, 1), drawn(1, 2, 2, 2, 1, 1), 2, "valid", 3)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("stride", [1, 2, None])
@pytest.mark.parametrize("rank", RANKS)
def test_pools_see_their_windows(rank, stride, padding):
    x, size = drawn(0, 2, *(7, 6, 5)[:rank], 3), [3] * rank
    step = stride or 3
    seen = np.stack([w for _, w in windows(padded(x, size, step, padding, np.nan), size, step)])
    for function, reduced in ((ops.max_pool, np.nanmax), (ops.average_pool, np.nanmean)):
        expected = reduced(seen, axis=0)
        np.testing.assert_allclose(function(x, 3, stride, padding).numpy(), expected, atol=1e-5)
        y = function(first(x), 3, stride, padding, "channels_first")
        np.testing.assert_allclose(y.numpy(), first(expected), atol=1e-5)


@pytest.mark.parametrize("rank", RANKS)
def test_symbolic_extents_may_be_unknown(rank):
    x = Input((*[None] * rank, 4))
    known = Input((*[9] * rank, 4))
    kernel = drawn(0, *[3] * rank, 4, 6)
    assert ops.conv(x, kernel, 2, "same").shape == (None, *[None] * rank, 6)
    assert ops.conv(known, kernel, 2, "same").shape == (None, *[5] * rank, 6)
    assert ops.average_pool(known, 2).shape == (None, *[4] * rank, 4)
    back = drawn(0, *[3] * rank, 6, 4)
    assert ops.conv_transpose(known, back, 2, "same").shape == (None, *[18] * rank, 6)


@pytest.mark.parametrize("x", [np.zeros((3, 3)), np.zeros((1, 2, 2, 2, 2, 1))])
def test_other_ranks_are_refused(x):
    for function in (ops.max_pool, ops.average_pool):
        with pytest.raises(ValueError, match="received shape"):
            function(x, 2)
    with pytest.raises(ValueError, match="received shape"):
        ops.conv(x, np.zeros((1, 1, 1)))


@pytest.mark.parametrize("numbers", [0, (1, 1, 1), "2", 1.5])
def test_wrong_numbers_are_refused(numbers):
    x, kernel = drawn(0, 1, 6, 2), drawn(1, 2, 2, 3)
    for name in ("strides", "dilation_rate"):
        with pytest.raises(ValueError, match=name):
            ops.conv(x, kernel, **{name: numbers})
    with pytest.raises(ValueError, match="pool_size"):
        ops.max_pool(x, numbers)


def windows_of_grid(n, size):
    return [(i * n // size, -(-(i + 1) * n // size)) for i in range(size)]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 9])
@pytest.mark.parametrize("rank", RANKS)
def test_adaptive_pools_see_the_windows_of_a_grid(rank, size):
    x = drawn(0, 2, *(7, 6, 5)[:rank], 3)
    cells = [windows_of_grid(n, size) for n in x.shape[1:-1]]
    for function, reduced in ((ops.adaptive_average_pool, np.mean), (ops.adaptive_max_pool, np.max)):
        expected = np.empty((2, *[size] * rank, 3))
        for place in itertools.product(range(size), repeat=rank):
            at = tuple(slice(*cells[a][i]) for a, i in enumerate(place))
            expected[(slice(None), *place)] = reduced(x[(slice(None), *at)], axis=tuple(range(1, rank + 1)))
        np.testing.assert_allclose(function(x, size).numpy(), expected, atol=1e-5)
        y = function(first(x), [size] * rank, "channels_first")
        np.testing.assert_allclose(y.numpy(), first(expected), atol=1e-5)


def test_adaptive_pools_have_gradients_and_unknown_extents():
    x, weights = drawn(0, 1, 5, 2), drawn(1, 1, 3, 2)
    for function in (ops.adaptive_average_pool, ops.adaptive_max_pool):
        value, slope = ops.jvp(lambda v, f=function: f(v, 3), [x], [x])
        np.testing.assert_allclose(slope.numpy(), value.numpy(), atol=1e-5)  # both are homogeneous
        assert function(Input((None, None, 4)), 3).shape == (None, 3, 3, 4)
        total = cnnrs.grad(lambda v, f=function: ops.sum(f(v, 3) * weights))(ops.array(x))
        np.testing.assert_allclose(float(ops.sum(total * x)), float(ops.sum(value * weights)), rtol=1e-4)


@pytest.mark.parametrize(
    "dilation, padding, stride", [(1, 0, 1), (2, 1, 1), ((1, 2), (0, 1), (2, 1)), (1, 2, 3)]
)
def test_fold_is_the_transpose_of_unfold(dilation, padding, stride):
    x = drawn(0, 2, 3, 7, 6)
    columns = ops.unfold(x, (3, 2), dilation, padding, stride)
    w = drawn(1, *columns.shape)
    back = ops.fold(w, (7, 6), (3, 2), dilation, padding, stride)
    assert back.shape == x.shape
    np.testing.assert_allclose(np.sum(columns.numpy() * w), np.sum(back.numpy() * x), rtol=1e-3, atol=1e-3)
    # A product with the columns is a convolution.
    kernel = drawn(2, 3, 2, 3, 4)
    product = np.einsum("bkl,kf->bfl", columns.numpy(), kernel.transpose(2, 0, 1, 3).reshape(18, 4))
    p = [padding] * 2 if isinstance(padding, int) else list(padding)
    border = np.pad(x, [(0, 0), (0, 0), (p[0], p[0]), (p[1], p[1])])
    conv = ops.conv(border, kernel, stride, "valid", "channels_first", dilation)
    np.testing.assert_allclose(product, conv.numpy().reshape(2, 4, -1), atol=1e-3)


@pytest.mark.parametrize("call", [
    lambda: ops.unfold(np.ones((3, 3)), 2), lambda: ops.unfold(np.ones((1, 1, 3, 3)), 4),
    lambda: ops.unfold(np.ones((1, 1, 3, 3)), 2, padding=-1), lambda: ops.fold(np.ones((1, 3, 4)), 3, 2),
    lambda: ops.fold(np.ones((1, 4, 5)), 3, 2), lambda: ops.adaptive_max_pool(np.ones((1, 3, 1)), 0),
    lambda: ops.adaptive_average_pool(np.ones((3, 1)), 1),
    lambda: ops.adaptive_max_pool(np.ones((1, 0, 1)), 2),
])  # fmt: skip
def test_windows_that_do_not_fit_are_refused(call):
    with pytest.raises(ValueError, match="expected"):
        call()


IMAGE, KERNEL = np.ones((1, 5, 5, 1), np.float32), np.ones((3, 3, 1, 1), np.float32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ops.max_pool(IMAGE, 2, padding=1),
            r"max_pool: padding: expected 'valid', 'same' or .* received 1",
        ),
        (lambda: ops.max_pool(IMAGE, 2, 0), "max_pool: strides: expected .* received 0"),
        (lambda: ops.average_pool(IMAGE, 0), "average_pool: pool_size: expected .* received 0"),
        (
            lambda: ops.average_pool(IMAGE, 2, padding="full"),
            "average_pool: padding: expected 'valid' or 'same'",
        ),
        (lambda: ops.max_pool(IMAGE, 2, data_format="nchw"), "max_pool: data_format: expected .* 'nchw'"),
        (
            lambda: ops.max_pool(IMAGE[0, 0], 2),
            r"max_pool: expected images of shape .* received shape \(5, 1\)",
        ),
        (lambda: ops.conv(IMAGE, KERNEL, padding=1), "conv: padding: expected"),
        (lambda: ops.depthwise_conv(IMAGE, KERNEL, 0), "depthwise_conv: strides: expected"),
        (
            lambda: ops.separable_conv(IMAGE, KERNEL[0], KERNEL),
            "separable_conv: depthwise_kernel: expected shape",
        ),
        (lambda: ops.conv_transpose(IMAGE, KERNEL, 0), "conv_transpose: strides: expected"),
        (lambda: ops.adaptive_max_pool(IMAGE, (1, 2, 3)), "adaptive_max_pool: output_size: expected"),
    ],
)
def test_errors_name_the_function_and_the_argument(call, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        call()
