"""Rows of softmax, normalisation, cross-entropies, encodings and attention."""

from __future__ import annotations

import math

import autograd.numpy as np
import numpy
from autograd.extend import defvjp, primitive

from fuzz.pointwise import clip, lift, softplus
from fuzz.reductions import logsumexp, matmul, mean, variance
from fuzz.rounding import STATE, noisy, r, total, value
from fuzz.table import Call, row


def softmax(x, axis=-1):
    axis = tuple(axis) if isinstance(axis, list) else axis
    top = numpy.max(value(x), axis=axis, keepdims=True)
    e = r(np.exp(r(x - top)))
    return r(e / total(e, axis, True))


def log_softmax(x, axis=-1):
    axis = tuple(axis) if isinstance(axis, list) else axis
    # An infinite logit makes all of its row NaN, as it does in softmax.
    top = numpy.max(value(x), axis=axis, keepdims=True)
    return r(x - logsumexp(x, axis, True) + numpy.where(top == numpy.inf, numpy.nan, 0.0))


def _axis(d):
    x = d.number()
    if not d.rank(x) or not d.size(x):
        return None
    return Call([x], d.maybe(axis=d.axes(x) if d.flip(0.2) else d.axis(x)))


row("ops.softmax", _axis, lambda x, **k: softmax(lift(x), **k), often=2)
row("ops.log_softmax", _axis, lambda x, **k: log_softmax(lift(x), **k), often=1.5)
row(
    "ops.moments",
    lambda d: (c := _axis(d)) and Call([c.args[0]], {"axes": d.axes(c.args[0]), **d.maybe(keepdims=True)}),
    lambda x, axes, keepdims=False: [r(mean(lift(x), axes, keepdims)), r(variance(lift(x), axes, keepdims))],
)


def agree(*shapes):
    """Refuses what numpy would broadcast and cnnrs does not."""
    if len({tuple(s) for s in shapes}) > 1:
        raise ValueError(f"expected equal shapes, received {shapes}")


def normalized(x, axes, epsilon, running=False):
    """With `running` the mean is Welford's, whose error follows the spread of x and not the mean.

    Evaluations with noise have the gradient in the form that engines use, whose sums cancel elsewhere than
    those of the chain rule step by step.
    """
    if STATE.rng is not None:
        return _normalized_at_once(x, axes, epsilon, running)
    return _normalized_by_steps(x, axes, epsilon, running)


def _normalized_by_steps(x, axes, epsilon, running):
    centred = r(x - mean(x, axes, True))
    if running and STATE.rng is not None:
        shape = numpy.mean(value(x), axis=axes, keepdims=True).shape
        sign = STATE.rng.integers(0, 2, shape) * 2 - 1
        centred = centred + 2 * STATE.amplitude * sign * numpy.std(value(x), axis=axes, keepdims=True)
    return r(centred * _inverse_deviation(x, axes, epsilon), 2.0)


def _inverse_deviation(x, axes, epsilon):
    return r(1 / np.sqrt(r(variance(x, axes, True) + epsilon)))


_normalized_at_once = primitive(_normalized_by_steps)


def _normalized_grad(ans, x, axes, epsilon, running):
    def vjp(g):
        inverse = _inverse_deviation(x, axes, epsilon)
        along = r(ans * mean(r(g * ans), axes, True))
        return r(r(r(g - mean(g, axes, True)) - along) * inverse)

    return vjp


defvjp(_normalized_at_once, _normalized_grad, argnums=(0,))


def batch_norm(x, mu, var, axis=-1, offset=None, scale=None, epsilon=1e-3):
    shape = [-1 if a == axis % value(x).ndim else 1 for a in range(value(x).ndim)]
    for given in (mu, var, offset, scale):
        agree([value(x).shape[axis]], [value(x).shape[axis]] if given is None else value(given).shape)
    factor = r(1 / np.sqrt(r(var + epsilon)))
    if scale is not None:
        factor = r(factor * scale)
    moved = 0.0 if offset is None else offset
    # One rounding of the product of the mean: the engine may fold scale and mean.
    y = (
        r(noisy(x) * np.reshape(factor, shape))
        - r(np.reshape(mu * factor, shape))
        + (np.reshape(moved, shape) if offset is not None else 0.0)
    )
    return r(y)


def _draw_batch_norm(d):
    x = d.number()
    if not d.rank(x):
        return None
    axis = d.axis(x)
    n = (d.shape(x)[axis],)
    return Call(
        [x, d.fresh(n), d.fresh(n, "positive"), axis],
        d.maybe(offset=d.fresh(n), scale=d.fresh(n), epsilon=d.choose([1e-5, 0.1])),
    )


row("ops.batch_normalization", _draw_batch_norm, lambda x, *a, **k: batch_norm(lift(x), *a, **k), often=2)


def layer_norm(x, gamma=None, beta=None, axis=-1, epsilon=1e-7):
    axes = sorted(a % value(x).ndim for a in (axis if isinstance(axis, (list, tuple)) else [axis]))
    for given in (gamma, beta):
        if given is not None:
            agree([value(x).shape[a] for a in axes], value(given).shape)
    shape = [n if a in axes else 1 for a, n in enumerate(value(x).shape)]
    y = normalized(x, tuple(axes), epsilon)
    if gamma is not None:
        y = r(y * np.reshape(gamma, shape))
    return y if beta is None else r(y + np.reshape(beta, shape))


def _draw_layer_norm(d):
    x = d.number()
    if not d.rank(x) or not d.size(x):
        return None
    axis = d.axis(x)
    n = (d.shape(x)[axis],)
    return Call([x], {"axis": axis, **d.maybe(gamma=d.fresh(n), beta=d.fresh(n), epsilon=0.01)})


row("ops.layer_normalization", _draw_layer_norm, lambda x, *a, **k: layer_norm(lift(x), *a, **k), often=1.5)


def _rms(x, scale=None, axis=-1, epsilon=1e-7):
    y = r(x * r(1 / np.sqrt(r(r(mean(x * x, axis, True)) + epsilon))))
    return y if scale is None else r(y * scale)


row(
    "ops.rms_normalization",
    lambda d: (c := _axis(d)) and Call(c.args, d.maybe(axis=d.axis(c.args[0]))),
    lambda x, **k: _rms(lift(x), **k),
    often=0.7,
)


def normalize(x, axis=-1, order=2, epsilon=1e-7):
    if order == 2:
        return r(x / r(np.sqrt(np.maximum(total(x * x, axis, True), epsilon**2))))
    size = r(total(np.abs(x) ** order, axis, True) ** (1 / order))
    return r(x / np.maximum(size, epsilon), 2.0)


row(
    "ops.normalize",
    lambda d: (c := _axis(d)) and Call(c.args, d.maybe(axis=d.axis(c.args[0]), order=d.choose([1, 2, 3]))),
    lambda x, **k: normalize(lift(x), **k),
    kinks=True,
    often=0.7,
)


def one_hot(x, num_classes, axis=-1):
    hot = (numpy.expand_dims(value(x), -1) == numpy.arange(num_classes)).astype(float)
    return numpy.moveaxis(hot, -1, axis)


def _classes(d):
    n = d.extent()
    return d.fresh((d.small(),) if d.flip() else (d.small(), d.small()), n, "int32"), n


row("ops.one_hot", lambda d: Call([*_classes(d)], d.maybe(axis=0)), one_hot, often=0.5)
row(
    "ops.multi_hot",
    lambda d: Call([*_classes(d)]),
    lambda x, n: one_hot(x, n).max(-2),
    often=0.3,
)


def _in_top_k(target, scores, k):
    scores = value(scores)
    agree(value(target).shape, scores.shape[:-1])
    own = numpy.take_along_axis(scores, target[:, None].astype(int), 1)
    return (scores > own).sum(1) < k


def _draw_top(d):
    x = d.pick(where=lambda v: v.ndim == 2 and v.size)
    if x is None:
        return None
    rows, classes = d.shape(x)
    return Call([d.fresh((rows,), classes, "int32"), x, d.choose([1, 2, 5])])


row("ops.in_top_k", _draw_top, _in_top_k, often=0.3)


def _logits(d):
    x = d.number()
    return x if d.rank(x) and d.size(x) else None


def _categorical(target, x, from_logits=False, axis=-1):
    agree(value(target).shape, value(x).shape)
    if from_logits:
        logs = log_softmax(x, axis)
    else:
        logs = r(np.log(clip(r(x / total(x, axis, True)), 1e-7, 1 - 1e-7)))
    return -total(r(target * logs), axis)


def _draw_categorical(d):
    if d.flip():
        x = _logits(d)
        return x and Call([d.fresh(d.shape(x), "rows"), x], {"from_logits": True})
    x = d.fresh((d.batch, d.extent() + 1), "rows")
    return Call([d.fresh(d.shape(x), "rows"), x])


row("ops.categorical_crossentropy", _draw_categorical, _categorical, often=1.5, kinks=True)


def _sparse(target, x, from_logits=False):
    target = numpy.asarray(target).astype(int)
    agree(target.shape, value(x).shape[:-1])
    classes = value(x).shape[-1]
    if ((target < 0) | (target >= classes)).any():  # another batch may leave fewer classes of flat values
        raise ValueError(f"expected labels of {classes} classes, received {target}")
    logits = x if from_logits else r(np.log(clip(x, 1e-7, 1 - 1e-7)))
    logs = log_softmax(logits)
    hot = numpy.expand_dims(target, -1) == numpy.arange(value(x).shape[-1])
    return -np.sum(np.where(hot, logs, 0.0), -1)


def _draw_sparse(d):
    if d.flip(0.7):
        x = _logits(d)
        return x and Call([d.fresh(d.shape(x)[:-1], d.shape(x)[-1], "int32"), x], {"from_logits": True})
    x = d.fresh((d.batch, d.extent() + 1), "rows")
    return Call([d.fresh(d.shape(x)[:-1], d.shape(x)[-1], "int32"), x])


row("ops.sparse_categorical_crossentropy", _draw_sparse, _sparse, often=1.5, kinks=True)


def _binary(target, x, from_logits=False):
    agree(value(target).shape, value(x).shape)
    if from_logits:
        # As a sum whose terms cancel: max(x, 0) - x * target + log(1 + exp(-abs(x))).
        return r(r(r(np.where(x > 0, x, 0.0)) - r(x * target)) + softplus(-np.abs(x)))
    x = clip(x, 1e-7, 1 - 1e-7)
    return -r(r(target * r(np.log(x))) + r((1 - target) * r(np.log(r(1 - x)))))


def _draw_binary(d):
    if d.flip():
        x = d.number()
        return Call([d.fresh(d.shape(x), 2), x], {"from_logits": True})
    x = d.fresh((d.batch, d.extent() + 1), "rows")
    return Call([d.fresh(d.shape(x), "rows"), x])


row("ops.binary_crossentropy", _draw_binary, _binary, kinks=True)


def _attention(q, k, v, scale=None, is_causal=False):
    q, k, v = (np.transpose(t, (0, 2, 1, 3)) for t in (q, k, v))
    factor = 1 / math.sqrt(value(q).shape[-1]) if scale is None else scale
    scores = r(matmul(q, np.swapaxes(k, -1, -2)) * factor)
    if is_causal:
        scores = np.where(numpy.tri(*value(scores).shape[-2:], dtype=bool), scores, -1e9)
    return np.transpose(matmul(softmax(scores, 3), v), (0, 2, 1, 3))


def _draw_attention(d):
    n, a, b, h, e = d.choose([1, 2]), d.extent(17), d.extent(17), d.choose([1, 2, 3]), d.extent(17)
    return Call(
        [d.fresh((n, a, h, e)), d.fresh((n, b, h, e)), d.fresh((n, b, h, d.extent(17)))],
        d.maybe(scale=0.3, is_causal=True),
    )


row("ops.dot_product_attention", _draw_attention, _attention, often=0.7)
