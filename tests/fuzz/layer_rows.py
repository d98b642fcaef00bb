"""Rows of the layers. A reference takes the call's inputs, `weights`, and the constructor's arguments."""

from __future__ import annotations

from functools import reduce

import autograd.numpy as np
import numpy

from fuzz import images, networks, pointwise
from fuzz.images import image, pair
from fuzz.movement import pad
from fuzz.pointwise import lift
from fuzz.reductions import matmul, mean, variance
from fuzz.rounding import noisy, r, value
from fuzz.table import Call, row

ACTIVATIONS = {
    None: lambda x: x,
    "relu": pointwise.relu,
    "tanh": lambda x: r(pointwise.tanh(x)),
    "sigmoid": lambda x: r(pointwise.sigmoid(x)),
    "silu": lambda x: r(x * pointwise.sigmoid(x)),
    "relu6": pointwise.KINKED["relu6"],
    "gelu": lambda x: r(pointwise.gelu(x, False)),
    "softmax": networks.softmax,
    "elu": lambda x: r(pointwise.elu(x)),
}


def layer(name, draw, reference, **flags):
    row(f"layers.{name}", draw, reference, model=True, kinks=True, **flags)


def activation(d):
    return d.maybe(activation=d.choose([*list(ACTIVATIONS)[1:], "relu", "relu"]))


def features(d):
    """A value with a batch and at least one more axis."""
    return d.pick(where=lambda v: v.ndim >= 2 and v.size and v.shape[0] == d.batch) or d.fresh(
        (d.batch, d.extent()), batch=True
    )


def batched_image(d):
    found = d.pick(
        where=lambda v: (
            v.ndim == 4
            and v.size
            and v.shape[0] == d.batch
            and max(v.shape[1:3]) <= 130
            and v.shape[3] <= 600
        )
    )
    return found or d.fresh((d.batch, *d.frame(), d.channels()), batch=True)


def _dense(x, weights, units, activation=None, use_bias=True):
    y = matmul(lift(x), weights[0])
    return ACTIVATIONS[activation](r(y + weights[1]) if use_bias else y)


def _draw_dense(d):
    x = features(d)
    units = d.extent()
    options = {"units": units, **activation(d), **d.maybe(use_bias=False)}
    weights = [d.weight((d.shape(x)[-1], units), "small")]
    if options.get("use_bias", True):
        weights.append(d.weight((units,)))
    return Call([x], options, weights=weights)


layer("Dense", _draw_dense, _dense, often=4)


def convolution(f, count=1):
    def reference(x, weights, activation=None, use_bias=True, **options):
        for own in ("filters", "kernel_size", "groups", "depth_multiplier"):
            options.pop(own, None)
        y = f(x, *weights[:count], **options)
        return ACTIVATIONS[activation](r(y + weights[count]) if use_bias else y)

    return reference


def _finish(d, options, weights, filters):
    options.update(activation(d))
    if d.flip(0.3):
        options["use_bias"] = False
    else:
        weights.append(d.weight((filters,)))
    return weights


def _draw_conv2d(d):
    x = batched_image(d)
    c, k = d.shape(x)[3], images._kernel(d)
    groups = d.choose([1, 1, 1, d.divisor(c)])
    filters = groups * max(1, d.channels() // groups)
    options = {"filters": filters, "kernel_size": list(k), **d.window(x, k)}
    if groups > 1:
        options["groups"] = groups
    return Call(
        [x], options, weights=_finish(d, options, [d.weight((*k, c // groups, filters), "small")], filters)
    )


def _draw_depthwise(d):
    x = batched_image(d)
    c, k, m = d.shape(x)[3], images._kernel(d), d.choose([1, 1, 2])
    options = {"kernel_size": list(k), "depth_multiplier": m, **d.window(x, k)}
    return Call([x], options, weights=_finish(d, options, [d.weight((*k, c, m), "small")], c * m))


def _draw_separable(d):
    x = batched_image(d)
    c, k, filters = d.shape(x)[3], images._kernel(d), d.channels()
    options = {"filters": filters, "kernel_size": list(k), **d.window(x, k)}
    weights = [d.weight((*k, c, 1), "small"), d.weight((1, 1, c, filters), "small")]
    return Call([x], options, weights=_finish(d, options, weights, filters))


def _draw_transpose(d):
    x = batched_image(d)
    c, k, filters = d.shape(x)[3], images._kernel(d), d.channels()
    options = {
        "filters": filters,
        "kernel_size": list(k),
        **d.maybe(padding="same", strides=d.choose([1, 2, [1, 2], 3])),
    }
    return Call([x], options, weights=_finish(d, options, [d.weight((*k, filters, c), "small")], filters))


for name in ("Conv2D", "Convolution2D"):
    layer(name, _draw_conv2d, convolution(images.conv), often=6 if name == "Conv2D" else 0.2)
layer("DepthwiseConv2D", _draw_depthwise, convolution(images.depthwise), often=3)
for name in ("SeparableConv2D", "SeparableConvolution2D"):
    layer(
        name, _draw_separable, convolution(images.separable, 2), often=1 if name == "SeparableConv2D" else 0.1
    )
for name in ("Conv2DTranspose", "Convolution2DTranspose"):
    layer(
        name, _draw_transpose, convolution(images.transposed), often=1.5 if name == "Conv2DTranspose" else 0.1
    )


def _draw_pool(d):
    x = batched_image(d)
    call = images.draw_pool(d.seeing({}, x))
    options = {"pool_size": call.args[1], **call.kwargs}
    return Call([x], options)


def pooling(f):
    return lambda x, weights, pool_size, **k: f(x, pool_size, **k)


for name, f in {"Max": images.max_pool, "Average": images.average_pool}.items():
    layer(f"{name}Pooling2D", _draw_pool, pooling(f), often=1.5)
layer("MaxPool2D", _draw_pool, pooling(images.max_pool), often=0.1)
layer("AvgPool2D", _draw_pool, pooling(images.average_pool), often=0.1)
for names, f in {
    ("GlobalMaxPooling2D", "GlobalMaxPool2D"): lambda x, weights, keepdims=False: np.max(
        x, axis=(1, 2), keepdims=keepdims
    ),
    ("GlobalAveragePooling2D", "GlobalAvgPool2D"): lambda x, weights, keepdims=False: r(
        mean(x, (1, 2), keepdims)
    ),
}.items():
    for name in names:
        layer(
            name,
            lambda d: Call([batched_image(d)], d.maybe(keepdims=True)),
            f,
            often=0.7 if "Pooling" in name else 0.1,
        )


def _batch_norm(x, weights, axis=-1, epsilon=1e-3, training=False, scale=True, center=True):
    weights = list(weights)
    gamma = weights.pop(0) if scale else None
    beta = weights.pop(0) if center else None
    x = lift(x)
    if training:
        axis %= value(x).ndim
        axes = tuple(a for a in range(value(x).ndim) if a != axis)
        y = normalized = networks.normalized(x, axes, epsilon, True)
        shape = [-1 if a == axis else 1 for a in range(value(x).ndim)]
        if scale:
            y = r(normalized * np.reshape(gamma, shape))
        return r(y + np.reshape(beta, shape)) if center else y
    return networks.batch_norm(x, weights[0], weights[1], axis, beta, gamma, epsilon)


def _draw_bn(d):
    x = features(d) if d.flip(0.3) else batched_image(d)
    n = (d.shape(x)[-1],)
    options = d.maybe(epsilon=d.choose([1e-5, 0.1]), scale=False, center=False)
    weights = [d.weight(n) for key in ("scale", "center") if options.get(key, True)]
    # Moving statistics change under training; without a reference for them they start anew in each run.
    weights += [d.weight(n, trained=False), d.weight(n, "positive", trained=False)]
    return Call([x], options, d.maybe(training=True), weights)


layer("BatchNormalization", _draw_bn, _batch_norm, often=4)


def scaled(d, x, axes):
    n = tuple(d.shape(x)[a] for a in axes)
    return [d.weight(n), d.weight(n)]


layer(
    "LayerNormalization",
    lambda d: Call([x := features(d)], d.maybe(epsilon=0.01), weights=scaled(d, x, [-1])),
    lambda x, weights, epsilon=1e-3: networks.layer_norm(lift(x), *weights, epsilon=epsilon),
    often=1,
)


def _group_norm(x, weights, groups, epsilon=1e-3):
    shape = value(x).shape
    grouped = np.reshape(lift(x), (shape[0], -1, groups, shape[-1] // groups))
    y = np.reshape(networks.normalized(grouped, (1, 3), epsilon), shape)
    return r(r(y * weights[0]) + weights[1])


layer(
    "GroupNormalization",
    lambda d: Call([x := batched_image(d)], {"groups": d.divisor(d.shape(x)[3])}, weights=scaled(d, x, [-1])),
    _group_norm,
)


def _response_norm(x, weights, size=5, alpha=1e-4, beta=0.75, k=2.0):
    channels, reach = value(x).shape[3], size // 2
    squares = pad(r(lift(x) ** 2), [[0, 0], [0, 0], [0, 0], [reach, reach]])
    total = sum(squares[..., shift : shift + channels] for shift in range(size))
    return r(lift(x) * (k + alpha * total) ** -beta)


layer(
    "LocalResponseNormalization",
    lambda d: Call(
        [batched_image(d)], d.maybe(size=d.choose([1, 3, 7]), alpha=0.1, beta=d.choose([0.5, 0.3]), k=1.0)
    ),
    _response_norm,
)


def _draw_tokens(d):
    x = batched_image(d)
    _, height, width, channels = d.shape(x)
    class_token = d.choose([True, False])
    tokens = [d.weight((1, 1, channels))] if class_token else []
    places = d.weight((1, class_token + height * width, channels))
    return Call([x], {"class_token": class_token}, weights=[*tokens, places])


def _tokens(x, weights, class_token):
    shape = value(x).shape
    row = np.reshape(lift(x), (shape[0], shape[1] * shape[2], shape[3]))
    if class_token:
        front = weights[0] + numpy.zeros((shape[0], 1, 1))
        row = np.concatenate([front, row], axis=1)
    return r(row + weights[-1])


layer("PatchTokens", _draw_tokens, _tokens)

layer(
    "UnitNormalization",
    lambda d: Call([features(d)]),
    lambda x, weights: networks.normalize(lift(x), epsilon=1e-12),
    often=0.5,
)


def _relu(x, weights, max_value=None, negative_slope=0.0, threshold=0.0):
    kept = x if max_value is None else np.where(x > max_value, max_value, x)
    below = negative_slope * (x - threshold) if negative_slope else 0.0
    low = x < threshold if threshold else x <= 0
    return r(np.where(low, below, kept))


layer(
    "ReLU",
    lambda d: Call([features(d)], d.maybe(max_value=d.choose([1.0, 6.0]), negative_slope=0.1, threshold=0.5)),
    _relu,
    often=2,
)
layer(
    "LeakyReLU",
    lambda d: Call([features(d)], d.maybe(negative_slope=0.1)),
    lambda x, weights, negative_slope=0.3: r(np.where(x > 0, x, negative_slope * x)),
)
layer(
    "ELU",
    lambda d: Call([features(d)], d.maybe(alpha=0.5)),
    lambda x, weights, alpha=1.0: r(pointwise.elu(x, alpha)),
)
layer("Softmax", lambda d: Call([features(d)]), lambda x, weights: networks.softmax(lift(x)))
layer(
    "PReLU",
    lambda d: Call([x := features(d)], weights=[d.weight(d.shape(x)[1:])]),
    lambda x, weights: r(pointwise.relu(x) - r(weights[0] * pointwise.relu(-x))),
)
layer(
    "Activation",
    lambda d: Call([features(d)], {"activation": d.choose(list(ACTIVATIONS)[1:])}),
    lambda x, weights, activation: ACTIVATIONS[activation](lift(x)),
)
layer("Identity", lambda d: Call([features(d)]), lambda x, weights: x, often=0.3)
for name, option in {
    "Dropout": "rate",
    "SpatialDropout2D": "rate",
    "GaussianDropout": "rate",
    "GaussianNoise": "stddev",
    "StochasticDepth": "rate",
}.items():
    layer(
        name,
        lambda d, option=option: Call([batched_image(d)], {option: 0.3}),
        lambda x, weights, **k: x,
        often=0.2,
    )
layer(
    "DropBlock2D",
    lambda d: Call([batched_image(d)], {"rate": 0.3, "block_size": 1}),
    lambda x, weights, **k: x,
    often=0.2,
)
layer(
    "ShakeDrop",
    lambda d: Call([batched_image(d)], {"rate": 0.25}),
    lambda x, weights, rate: r(x * (1.0 - rate)),
    often=0.2,
)
layer(
    "ActivityRegularization", lambda d: Call([features(d)], {"l2": 0.1}), lambda x, weights, **k: x, often=0.2
)
layer(
    "Lambda|square",
    lambda d: Call([features(d)], {"function": d.code("ops.square")}),
    lambda x, weights, **k: r(x * x),
    often=0.3,
)


def merging(name, f, often=1.0):
    def draw(d):
        x = features(d)
        y = d.pick(where=lambda v: v.shape == d.shape(x)) or x
        z = [d.fresh(d.shape(x), batch=True)] if d.flip(0.3) and name != "Subtract" else []
        return Call([[x, y if d.flip(0.7) else d.fresh(d.shape(x), batch=True), *z]])

    layer(name, draw, f, often=often)


merging("Add", lambda xs, weights: reduce(lambda a, b: r(a + b), map(lift, xs)), 3)
merging("Subtract", lambda xs, weights: r(xs[0] - xs[1]))
merging("Multiply", lambda xs, weights: reduce(lambda a, b: r(a * b), map(lift, xs)))
merging("Maximum", lambda xs, weights: reduce(pointwise._maximum, xs))
merging("Minimum", lambda xs, weights: reduce(pointwise._minimum, xs))
merging("Average", lambda xs, weights: r(reduce(lambda a, b: r(a + b), xs) / len(xs)))


def _draw_concatenate(d):
    x = features(d)
    shape = d.shape(x)
    y = d.pick(where=lambda v: v.ndim == len(shape) and v.shape[:-1] == shape[:-1])
    return Call([[x, y or d.fresh((*shape[:-1], d.small()), batch=True)]])


layer(
    "Concatenate", _draw_concatenate, lambda xs, weights: np.concatenate([lift(x) for x in xs], -1), often=2
)
layer(
    "Dot",
    lambda d: Call(
        [[d.fresh((d.batch, n := d.extent()), batch=True), d.fresh((d.batch, n), batch=True)]],
        {"axes": 1},
    ),
    lambda xs, weights, axes: matmul(np.expand_dims(xs[0], 1), np.expand_dims(xs[1], 2))[:, 0],
    often=0.5,
)
layer(
    "Flatten",
    lambda d: Call([features(d)]),
    lambda x, weights: np.reshape(x, (value(x).shape[0], -1)),
    often=1.5,
)
layer(
    "Reshape",
    lambda d: Call([features(d)], {"target_shape": [-1] if d.flip() else [1, -1]}),
    lambda x, weights, target_shape: np.reshape(x, (value(x).shape[0], *target_shape)),
)
layer(
    "Permute",
    lambda d: Call([batched_image(d)], {"dims": (d.rng.permutation(3) + 1).tolist()}),
    lambda x, weights, dims: np.transpose(x, (0, *dims)),
)
layer(
    "RepeatVector",
    lambda d: (
        (x := d.pick(where=lambda v: v.ndim == 2 and v.shape[0] == d.batch))
        and Call([x], {"n": d.choose([1, 2, 3])})
    ),
    lambda x, weights, n: np.stack([x] * n, 1),
    often=0.3,
)
layer(
    "ZeroPadding2D",
    lambda d: Call([batched_image(d)], {"padding": [[d.below(3), d.below(3)], [d.below(3), 1]]}),
    lambda x, weights, padding: pad(lift(x), [(0, 0), *(tuple(p) for p in padding), (0, 0)]),
)
layer(
    "Cropping2D",
    lambda d: (
        (x := batched_image(d))
        and min(d.shape(x)[1:3]) > 2
        and Call([x], {"cropping": [[d.below(2), 1], [0, d.below(2)]]})
        or None
    ),
    lambda x, weights, cropping: x[
        :,
        cropping[0][0] : value(x).shape[1] - cropping[0][1],
        cropping[1][0] : value(x).shape[2] - cropping[1][1],
    ],
)


def _upsampling(x, weights, size, interpolation="nearest"):
    a, b = pair(size)
    if interpolation == "nearest":
        return np.repeat(np.repeat(x, a, 1), b, 2)
    return images.resize(x, (value(x).shape[1] * a, value(x).shape[2] * b))


layer(
    "UpSampling2D",
    lambda d: Call([batched_image(d)], {"size": d.choose([2, [1, 3]]), **d.maybe(interpolation="bilinear")}),
    _upsampling,
)
layer(
    "Resizing",
    lambda d: Call(
        [batched_image(d)],
        {"height": d.extent(33), "width": d.extent(33), **d.maybe(interpolation="nearest")},
    ),
    lambda x, weights, height, width, **k: images.resize(x, (height, width), **k),
    often=0.5,
)
layer(
    "Rescaling",
    lambda d: Call([features(d)], {"scale": 0.5, **d.maybe(offset=-1.0)}),
    lambda x, weights, scale, offset=0.0: r(r(lift(x) * scale) + offset),
    often=0.5,
)
_ = (image, numpy, variance, noisy)
