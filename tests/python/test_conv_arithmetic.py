"""Convolutions with every combination of strides, dilation, padding and sizes, against sums in float64."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import cnnrs
from cnnrs import layers, losses, ops

RANDOM = np.random.default_rng(0)
# Each case has shapes of its own.
pytestmark = pytest.mark.filterwarnings("ignore:.*plans have been compiled:RuntimeWarning")


def _taps(extent: int, out: int, window: int, stride: int, dilation: int, padding: str):
    """For each output and tap the input, or None in the padding."""
    reach = (window - 1) * dilation + 1
    before = max(0, (out - 1) * stride + reach - extent) // 2 if padding == "same" else 0
    for o, tap in itertools.product(range(out), range(window)):
        i = o * stride + tap * dilation - before
        yield o, tap, i if 0 <= i < extent else None


def _out(extent: int, window: int, stride: int, dilation: int, padding: str) -> int:
    reach = (window - 1) * dilation + 1
    return -(-extent // stride) if padding == "same" else (extent - reach) // stride + 1


def _matrix(extent, out, window, stride, dilation, padding):
    """(out, tap, input) of 0 and 1: the convolution along one axis."""
    m = np.zeros((out, window, extent))
    for o, tap, i in _taps(extent, out, window, stride, dilation, padding):
        if i is not None:
            m[o, tap, i] = 1.0
    return m


_STEPS = [(1, 1), (2, 2), (3, 2), (1, 3)]


@pytest.mark.parametrize("dilation", [(1, 1), (2, 2), (3, 2), (1, 3)], ids=str)
@pytest.mark.parametrize("strides", _STEPS, ids=str)
@pytest.mark.parametrize("kernel_size", [(1, 1), (2, 2), (3, 3), (2, 3)], ids=str)
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_depthwise_convolution(kernel_size, strides, dilation, padding):
    height, width, channels, multiplier = 9, 8, 3, 2
    x = RANDOM.normal(size=(2, height, width, channels)).astype(np.float32)
    kernel = RANDOM.normal(size=(*kernel_size, channels, multiplier)).astype(np.float32)
    rows, columns = (
        _matrix(n, _out(n, k, s, d, padding), k, s, d, padding)
        for n, k, s, d in zip((height, width), kernel_size, strides, dilation, strict=True)
    )
    path = "yai,xbj,nijc,abcm->nyxcm"
    expected = np.einsum(path, rows, columns, x, kernel, optimize=True)
    options = {"strides": strides, "padding": padding, "dilation_rate": dilation}
    with cnnrs.GradientTape() as tape:
        given = [ops.array(x), ops.array(kernel)]
        tape.watch(given)
        y = ops.depthwise_conv(*given, **options)
        dy = RANDOM.normal(size=y.shape).astype(np.float32)
        loss = ops.sum(y * dy)
    np.testing.assert_allclose(y.numpy(), expected.reshape(y.shape), atol=2e-5)
    by_x, by_kernel = tape.gradient(loss, given)
    grad = dy.reshape(expected.shape)
    np.testing.assert_allclose(
        by_x.numpy(),
        np.einsum("yai,xbj,nyxcm,abcm->nijc", rows, columns, grad, kernel, optimize=True),
        atol=5e-5,
    )
    np.testing.assert_allclose(
        by_kernel.numpy(),
        np.einsum("yai,xbj,nyxcm,nijc->abcm", rows, columns, grad, x, optimize=True),
        atol=1e-4,
    )


def _transposed_size(extent, window, stride, dilation, padding, extra):
    reach = (window - 1) * dilation + 1
    if extra is None:
        return extent * stride + (max(reach - stride, 0) if padding == "valid" else 0)
    return (extent - 1) * stride + reach - (2 * (reach // 2) if padding == "same" else 0) + extra


@pytest.mark.parametrize("output_padding", [None, 0, 1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("window", [1, 2, 3, 4, 5])
def test_transposed_convolution(window, padding, stride, dilation, output_padding):
    extent, channels, filters = 4, 2, 3
    size = _transposed_size(extent, window, stride, dilation, padding, output_padding)
    x = RANDOM.normal(size=(2, extent, extent, channels)).astype(np.float32)
    kernel = RANDOM.normal(size=(window, window, filters, channels)).astype(np.float32)
    options = {
        "strides": stride,
        "padding": padding,
        "dilation_rate": dilation,
        "output_padding": output_padding,
    }
    if size < 1 or _out(size, window, stride, dilation, padding) != extent:
        # It is the gradient of no convolution.
        with pytest.raises(ValueError, match="conv_transpose|conv2d_input_grad|expected"):
            ops.conv_transpose(x, kernel, **options).numpy()
        return
    m = _matrix(size, extent, window, stride, dilation, padding)
    expected = np.einsum("yai,xbj,nyxc,abfc->nijf", m, m, x, kernel, optimize=True)
    y = ops.conv_transpose(x, kernel, **options)
    np.testing.assert_allclose(y.numpy(), expected, atol=5e-5)
    if stride == 1 or dilation == 1:
        layer = layers.Conv2DTranspose(filters, window, use_bias=False, **options)
        layer.build(x.shape)
        layer.set_weights([kernel])
        # Filters that stay the same are transformed once, so that another kernel may cost less.
        np.testing.assert_allclose(layer(x).numpy(), y.numpy(), atol=1e-5)
        symbol = layer(cnnrs.Input(x.shape[1:]))
        assert symbol.shape == (None, *y.shape[1:])


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_label_smoothing_over_any_axis(axis, from_logits, smoothing):
    classes = 4
    y = np.eye(classes)[RANDOM.integers(0, classes, (2, 3))]
    p = RANDOM.uniform(0.1, 1.0, (2, 3, classes))
    p /= p.sum(-1, keepdims=True)
    smooth = y * (1 - smoothing) + smoothing / classes
    scores = p if not from_logits else np.exp(p) / np.exp(p).sum(-1, keepdims=True)
    expected = -(smooth * np.log(scores)).sum(-1)
    there = (np.moveaxis(a, -1, axis).astype(np.float32) for a in (y, p))
    arguments = {"from_logits": from_logits, "label_smoothing": smoothing, "axis": axis}
    result = losses.categorical_crossentropy(*there, **arguments)
    np.testing.assert_allclose(result.numpy(), expected, rtol=2e-5)
    there = (np.moveaxis(a, -1, axis).astype(np.float32) for a in (y, p))
    mean = losses.CategoricalCrossentropy(**arguments)(*there)
    assert float(mean) == pytest.approx(expected.mean(), rel=2e-5)
