"""Rows of the layers of sequences."""

from __future__ import annotations

import autograd.numpy as np

from fuzz import images, networks
from fuzz.layer_rows import _finish, convolution, features, layer, scaled
from fuzz.movement import pad
from fuzz.pointwise import lift, sigmoid, tanh
from fuzz.reductions import matmul, mean
from fuzz.rounding import r, value
from fuzz.table import Call

layer(
    "Masking",
    lambda d: Call([features(d)]),
    lambda x, weights: np.where(np.any(value(x) != 0, -1, keepdims=True), lift(x), 0.0),
)
layer(
    "RMSNormalization",
    lambda d: Call([x := features(d)], d.maybe(epsilon=0.01), weights=scaled(d, x, [-1])[:1]),
    lambda x, weights, epsilon=1e-6: networks._rms(lift(x), weights[0], epsilon=epsilon),
)


def _draw_einsum_dense(d):
    x = features(d)
    width, units = d.shape(x)[-1], d.extent()
    options = {"equation": "...a,ab->...b", "output_shape": units, "bias_axes": "b"}
    return Call([x], options, weights=[d.weight((width, units), "small"), d.weight((units,))])


layer(
    "EinsumDense",
    _draw_einsum_dense,
    lambda x, weights, **k: r(matmul(lift(x), weights[0]) + weights[1]),
)


def sequence(d):
    """A value of shape (batch, steps, channels)."""
    found = d.pick(where=lambda v: v.ndim == 3 and v.size and v.shape[0] == d.batch and v.shape[2] <= 600)
    return found or d.fresh((d.batch, d.extent(), d.channels()), batch=True)


def _window(d, x):
    """Length of a window over `x`, and options with which it fits."""
    k = d.choose([1, 2, 3, 5])
    options = d.maybe(strides=d.choose([1, 2, 3]), padding="same")
    if k > d.shape(x)[1]:
        options["padding"] = "same"
    return k, options


def _draw_conv1d(d):
    x = sequence(d)
    c, (k, options), filters = d.shape(x)[2], _window(d, x), d.channels()
    options = {"filters": filters, "kernel_size": k, **options}
    return Call([x], options, weights=_finish(d, options, [d.weight((k, c, filters), "small")], filters))


def _draw_depthwise1d(d):
    x = sequence(d)
    c, (k, options), m = d.shape(x)[2], _window(d, x), d.choose([1, 2])
    options = {"kernel_size": k, "depth_multiplier": m, **options}
    return Call([x], options, weights=_finish(d, options, [d.weight((k, c, m), "small")], c * m))


def _draw_separable1d(d):
    x = sequence(d)
    c, (k, options), filters = d.shape(x)[2], _window(d, x), d.channels()
    options = {"filters": filters, "kernel_size": k, **options}
    weights = [d.weight((k, c, 1), "small"), d.weight((1, c, filters), "small")]
    return Call([x], options, weights=_finish(d, options, weights, filters))


def _draw_transpose1d(d):
    x = sequence(d)
    c, k, filters = d.shape(x)[2], d.choose([1, 2, 3, 5]), d.channels()
    options = {"filters": filters, "kernel_size": k, **d.maybe(padding="same", strides=d.choose([1, 2, 3]))}
    return Call([x], options, weights=_finish(d, options, [d.weight((k, filters, c), "small")], filters))


def _draw_pool1d(d):
    x = sequence(d)
    k, options = _window(d, x)
    return Call([x], {"pool_size": k, **options})


for name, draw, f, count in (
    ("Conv1D", _draw_conv1d, images._conv, 1),
    ("DepthwiseConv1D", _draw_depthwise1d, images._depthwise, 1),
    ("SeparableConv1D", _draw_separable1d, images._separable, 2),
    ("Conv1DTranspose", _draw_transpose1d, images._transposed, 1),
):
    layer(name, draw, convolution(images._sequences(f, count), count))
for name, f in (("Max", images._max_pool), ("Average", images._average_pool)):
    reference = images._sequences(f, 0)
    layer(
        f"{name}Pooling1D",
        _draw_pool1d,
        lambda x, weights, pool_size, reference=reference, **k: reference(x, pool_size, **k),
    )
layer("GlobalMaxPooling1D", lambda d: Call([sequence(d)]), lambda x, weights: np.max(x, axis=1))
layer("GlobalAveragePooling1D", lambda d: Call([sequence(d)]), lambda x, weights: r(mean(x, (1,), False)))
layer(
    "ZeroPadding1D",
    lambda d: Call([sequence(d)], {"padding": d.choose([1, [0, 2]])}),
    lambda x, weights, padding: pad(x, ((0, 0), images.pair(padding), (0, 0))),
)
layer(
    "Cropping1D",
    lambda d: (
        (x := d.pick(where=lambda v: v.ndim == 3 and v.shape[0] == d.batch and v.shape[1] > 3))
        and Call([x], {"cropping": d.choose([[1, 1], [0, 2]])})
    ),
    lambda x, weights, cropping: x[:, cropping[0] : value(x).shape[1] - cropping[1]],
)
layer(
    "UpSampling1D",
    lambda d: Call([sequence(d)], {"size": d.choose([1, 2, 3])}),
    lambda x, weights, size: np.repeat(x, size, axis=1),
)
for name in ("SpatialDropout1D", "AlphaDropout"):
    layer(name, lambda d: Call([sequence(d)], {"rate": 0.3}), lambda x, weights, **k: x, often=0.2)


def _short(d):
    """A sequence of few steps and features."""
    found = d.pick(
        where=lambda v: (
            v.ndim == 3 and v.size and v.shape[0] == d.batch and v.shape[1] <= 6 and v.shape[2] <= 64
        )
    )
    return found or d.fresh((d.batch, d.choose([1, 2, 5]), d.small()), batch=True)


def _draw_recurrent(gates, biases):
    def draw(d):
        x, units = _short(d), d.small()
        width = gates * units
        shapes = [(d.shape(x)[2], width), (units, width), (*biases, width)]
        options = {"units": units, **d.maybe(return_sequences=True, go_backwards=True)}
        return Call([x], options, weights=[d.weight(shape, "small") for shape in shapes])

    return draw


def _sigmoid(x):
    return r(sigmoid(x))


def _tanh(x):
    return r(tanh(x))


def _recurrent(advance, count):
    """A layer whose step is `advance(input, states, weights, units)`, with `count` states."""

    def reference(x, weights, units, return_sequences=False, go_backwards=False):
        x = lift(x)
        states = [np.zeros((value(x).shape[0], units))] * count
        outputs = []
        order = range(value(x).shape[1])
        for step in reversed(order) if go_backwards else order:
            states = advance(x[:, step], states, weights, units)
            outputs.append(states[0])
        return np.stack(outputs, 1) if return_sequences else outputs[-1]

    return reference


def _simple(x, states, weights, units):
    kernel, recurrent, bias = weights
    return [_tanh(r(r(matmul(x, kernel) + bias) + matmul(states[0], recurrent)))]


def _lstm(x, states, weights, units):
    kernel, recurrent, bias = weights
    h, c = states
    z = r(r(matmul(x, kernel) + bias) + matmul(h, recurrent))
    i, f, g, o = (z[:, k * units : (k + 1) * units] for k in range(4))
    c = r(r(_sigmoid(f) * c) + r(_sigmoid(i) * _tanh(g)))
    return [r(_sigmoid(o) * _tanh(c)), c]


def _gru(x, states, weights, units):
    kernel, recurrent, bias = weights
    (h,) = states
    given, inner = r(matmul(x, kernel) + bias[0]), r(matmul(h, recurrent) + bias[1])
    z, reset = (
        _sigmoid(r(given[:, k * units : (k + 1) * units] + inner[:, k * units : (k + 1) * units]))
        for k in range(2)
    )
    new = _tanh(r(given[:, 2 * units :] + r(reset * inner[:, 2 * units :])))
    return [r(r(z * h) + r(r(1.0 - z) * new))]


layer("SimpleRNN", _draw_recurrent(1, ()), _recurrent(_simple, 1), often=0.5)
layer("LSTM", _draw_recurrent(4, ()), _recurrent(_lstm, 2), often=0.5)
layer("GRU", _draw_recurrent(3, (2,)), _recurrent(_gru, 1), often=0.5)
