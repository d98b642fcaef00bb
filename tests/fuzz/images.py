"""Rows of convolution, pooling and what else is done to images."""

from __future__ import annotations

import math
from functools import reduce

import autograd.numpy as np
import numpy

from fuzz.movement import pad
from fuzz.pointwise import lift
from fuzz.reductions import matmul
from fuzz.rounding import STATE, UNIT, noisy, r, spread, total, uncertain, value
from fuzz.table import Call, row


def pair(n):
    return (n, n) if isinstance(n, int) else tuple(n)


def margins(extents, window, strides, padding):
    """Padding before and after on both axes; `window` counts dilation."""
    if padding == "valid":
        return [(0, 0), (0, 0)]
    if padding != "same":
        return [tuple(p) for p in padding]
    sides = []
    for n, k, s in zip(extents, window, strides, strict=True):
        whole = max((math.ceil(n / s) - 1) * s + k - n, 0)
        sides.append((whole // 2, whole - whole // 2))
    return sides


def first_to_last(f):
    """Lets a function of channels_last images take `data_format`."""

    def either(x, *args, data_format=None, **kwargs):
        if data_format == "channels_first":
            return np.transpose(f(np.transpose(x, (0, 2, 3, 1)), *args, **kwargs), (0, 3, 1, 2))
        return f(x, *args, **kwargs)

    return either


def taps(x, size, strides, dilation):
    """For each tap of the window, its place and the pixels that it sees."""
    n, h, w, _ = value(x).shape
    out = [(e - (k - 1) * d - 1) // s + 1 for e, k, s, d in zip((h, w), size, strides, dilation, strict=True)]
    if min(out) < 1:
        raise ValueError(f"a window of {size} does not fit an image of {(h, w)}")
    for i in range(size[0]):
        for j in range(size[1]):
            a, b = i * dilation[0], j * dilation[1]
            yield (
                i,
                j,
                x[
                    :,
                    a : a + (out[0] - 1) * strides[0] + 1 : strides[0],
                    b : b + (out[1] - 1) * strides[1] + 1 : strides[1],
                ],
            )


def _conv(x, kernel, strides=1, padding="valid", dilation_rate=1):
    x = lift(x)
    strides, dilation = pair(strides), pair(dilation_rate)
    kh, kw, inner, filters = value(kernel).shape
    groups = value(x).shape[3] // inner
    window = [(k - 1) * d + 1 for k, d in zip((kh, kw), dilation, strict=True)]
    sides = margins(value(x).shape[1:3], window, strides, padding)
    x = pad(x, [(0, 0), *sides, (0, 0)])
    more = max(1.0, (kh * kw * inner) ** 0.5 / 16)
    terms = []
    for i, j, seen in taps(x, (kh, kw), strides, dilation):
        weights = noisy(kernel[i, j], more)
        if groups == 1:
            terms.append(np.tensordot(noisy(seen), weights, 1))
        else:
            shape = value(seen).shape
            seen = np.reshape(noisy(seen), (*shape[:3], groups, inner))
            weights = np.reshape(weights, (inner, groups, filters // groups))
            terms.append(np.reshape(np.einsum("nhwgc,cgf->nhwgf", seen, weights), (*shape[:3], filters)))
    y = terms[0]
    for term in terms[1:]:
        y = y + term
    return r(_transformed(y, x, kernel, strides, dilation), more)


def _transformed(y, x, kernel, strides, dilation):
    """`y` as Winograd's transforms may make it: rounding spreads over tiles, and what is not finite does."""
    if not STATE.fast or STATE.rng is None:
        return y
    size = numpy.max(numpy.abs(value(x)), axis=3)
    if not numpy.any(~(size < 1e18)):
        return spread(y)
    kh, kw, inner, _ = value(kernel).shape
    if (*strides, *dilation) != (1, 1, 1, 1) or kw not in (3, 5, 7) or inner != value(x).shape[3]:
        return y
    # F(4x4, 3x3) and F(M, R) along rows, M + R = 10: other outputs of the tile lie at most M - 1 away.
    size = numpy.where(size < 1e34, size, numpy.inf)[..., None]
    near = _largest(size, (kh, kw), (0, 9 - kw))
    if (kh, kw) == (3, 3):
        near = numpy.maximum(near, _largest(size, (kh, kw), (3, 3)))
    weight = 40 * UNIT * numpy.max(numpy.sum(numpy.abs(value(kernel)), axis=(0, 1, 2)), initial=0.0)
    noise = weight * numpy.where(numpy.isfinite(near), near, 0.0)
    moved = y + noise * STATE.rng.choice([-1.0, 1.0], value(y).shape)
    # Where a huge number beside it leaves no digit of a sum, not even its sign is known: as with infinities.
    lost = ~numpy.isfinite(near) | (noise > numpy.maximum(numpy.abs(value(y)), 1e15))
    return uncertain(moved, lost & numpy.ones(value(y).shape, bool))


def _largest(size, window, reach):
    """For each output, the largest pixel of its window made longer by `reach` on all sides."""
    size = numpy.pad(size, [(0, 0), *((n, n) for n in reach), (0, 0)])
    longer = [k + 2 * n for k, n in zip(window, reach, strict=True)]
    return reduce(numpy.maximum, (seen for _, _, seen in taps(size, longer, (1, 1), (1, 1))))


conv = first_to_last(_conv)


def _depthwise(x, kernel, **k):
    kh, kw, c, m = value(kernel).shape
    return _conv(x, np.reshape(kernel, (kh, kw, 1, c * m)), **k)


depthwise = first_to_last(_depthwise)


def _separable(x, depth, point, **k):
    return _conv(_depthwise(x, depth, **k), point)


separable = first_to_last(_separable)


def _transposed(x, kernel, strides=1, padding="valid", output_padding=None, dilation_rate=1):
    """Pixels scattered by the kernel: zeros between them, then a convolution with the flipped kernel."""
    x = lift(x)
    strides, dilation = pair(strides), pair(dilation_rate)
    n, h, w, c = value(x).shape
    kh, kw, filters, channels = value(kernel).shape
    if c != channels:
        raise ValueError(f"expected {channels} channels, received {c}")
    window = [(k - 1) * d + 1 for k, d in zip((kh, kw), dilation, strict=True)]
    size, before = [], []
    for axis, extent in enumerate((h, w)):
        k, s = window[axis], strides[axis]
        if output_padding is None:
            out = extent * s + (max(k - s, 0) if padding == "valid" else 0)
        else:
            out = (
                (extent - 1) * s + k - (2 * (k // 2) if padding == "same" else 0) + pair(output_padding)[axis]
            )
        size.append(out)
        before.append(margins([out], [k], [s], padding)[0][0] if padding == "same" else 0)
    for axis in (0, 1):  # zeros between the pixels
        s = strides[axis]
        if s > 1:
            extent = value(x).shape[axis + 1]
            x = np.expand_dims(x, axis + 2)
            x = pad(x, [(0, s - 1) if a == axis + 2 else (0, 0) for a in range(5)])
            shape = list(value(x).shape)
            shape[axis + 1 : axis + 3] = [extent * s]
            x = np.reshape(x, shape)
    flipped = np.transpose(kernel[::-1, ::-1], (0, 1, 3, 2))
    sides, cuts = [], []
    for axis in (0, 1):
        left = window[axis] - 1 - before[axis]
        whole = size[axis] + window[axis] - 1
        right = whole - left - value(x).shape[axis + 1]
        sides.append((max(left, 0), max(right, 0)))
        cuts.append(slice(max(-left, 0), value(x).shape[axis + 1] + min(right, 0)))
    x = pad(x[:, cuts[0], cuts[1]], [(0, 0), *sides, (0, 0)])
    return _conv(x, flipped, dilation_rate=dilation)


transposed = first_to_last(_transposed)


def _max_pool(x, size, strides=None, padding="valid"):
    x, size = lift(x), pair(size)
    strides = size if strides is None else pair(strides)
    sides = margins(value(x).shape[1:3], size, strides, padding)
    best = None
    lowest = -numpy.inf
    for axis, (before, after) in enumerate(sides, 1):
        x = pad(x, [(before, after) if a == axis else (0, 0) for a in range(4)], lowest)
    for _, _, seen in taps(x, size, strides, (1, 1)):
        if best is None:
            best = seen
        else:
            a, b = value(seen), value(best)
            best = np.where((a > b) | (numpy.isnan(a) & ~numpy.isnan(b)), seen, best)
    return best


def _average_pool(x, size, strides=None, padding="valid"):
    x, size = lift(x), pair(size)
    strides = size if strides is None else pair(strides)
    sides = margins(value(x).shape[1:3], size, strides, padding)
    shape = value(x).shape
    counted = numpy.pad(numpy.ones((1, *shape[1:3], 1)), [(0, 0), *sides, (0, 0)])
    x = pad(x, [(0, 0), *sides, (0, 0)])
    y, n = 0.0, 0.0
    for _, _, seen in taps(x, size, strides, (1, 1)):
        y = y + noisy(seen)
    for _, _, seen in taps(counted, size, strides, (1, 1)):
        n = n + seen
    return r(y / n, 2.0)


max_pool, average_pool = first_to_last(_max_pool), first_to_last(_average_pool)


def image(d):
    """Images, drawn anew or met before."""
    found = d.pick(where=lambda v: v.ndim == 4 and v.size and max(v.shape[1:3]) <= 130 and v.shape[3] <= 600)
    return found or d.fresh((d.batch, *d.frame(), d.channels()), batch=True)


def window(d, x, kernel):
    """Strides, padding and dilation under which the window fits."""
    _, h, w, _ = d.shape(x)
    options = d.maybe(padding="same")
    which = d.below(4)
    if which == 0:
        options["strides"] = d.choose([2, [1, 2], [2, 1], 3])
    elif which == 1:
        options["dilation_rate"] = d.choose([2, [2, 1], [1, 3]])
    elif which == 2 and d.flip(0.3):
        options["padding"] = [[d.below(3), d.below(3)], [d.below(3), d.below(3)]]
    if options.get("padding", "valid") == "valid":
        dilation = pair(options.get("dilation_rate", 1))
        if any((k - 1) * q + 1 > n for k, q, n in zip(kernel, dilation, (h, w), strict=True)):
            options["padding"] = "same"
    return options


def _kernel(d):
    return d.choose([(3, 3), (3, 3), (1, 1), (5, 5), (2, 2), (1, 3), (3, 1), (7, 7), (4, 3)])


def _first(d, x, options):
    """The same under channels_first, for images that fit as they are."""
    return options


def draw_conv(d):
    x = image(d)
    c, k = d.shape(x)[3], _kernel(d)
    groups = d.choose([1, 1, 1, d.divisor(c)])
    filters = groups * max(1, d.channels() // groups)
    options = window(d, x, k)
    if isinstance(options.get("padding"), list):
        p, q = options["padding"], pair(options.get("dilation_rate", 1))
        if any((n - 1) * e + 1 > m + sum(s) for n, e, m, s in zip(k, q, d.shape(x)[1:3], p, strict=True)):
            options["padding"] = "same"
    return Call([x, d.fresh((*k, c // groups, filters), "small")], options)


def _without_explicit(options):
    return {key: v for key, v in options.items() if not (key == "padding" and isinstance(v, list))}


def draw_depthwise(d):
    x = image(d)
    k = _kernel(d)
    options = window(d, x, k)
    if isinstance(options.get("padding"), list):
        options["padding"] = "same"
    return Call([x, d.fresh((*k, d.shape(x)[3], d.choose([1, 1, 2])), "small")], options)


def draw_separable(d):
    call = draw_depthwise(d)
    c, m = d.shape(call.args[1])[2:]
    call.args.append(d.fresh((1, 1, c * m, d.channels()), "small"))
    return call


def draw_transposed(d):
    x = image(d)
    k = _kernel(d)
    options = d.maybe(padding="same", strides=d.choose([1, 2, [1, 2], 3]))
    return Call([x, d.fresh((*k, d.channels(), d.shape(x)[3]), "small")], options)


def draw_pool(d):
    x = image(d)
    size = d.choose([1, 2, 3, [2, 3], [3, 1], 5])
    options = d.maybe(strides=d.choose([1, 2, [2, 1], 3]), padding="same")
    if any(k > n for k, n in zip(pair(size), d.shape(x)[1:3], strict=True)):
        options["padding"] = "same"
    return Call([x, size], options)


row("ops.conv", draw_conv, conv, often=6, model=True)
row("ops.depthwise_conv", draw_depthwise, depthwise, often=3, model=True)
row("ops.separable_conv", draw_separable, separable, often=1, model=True)
row("ops.conv_transpose", draw_transposed, transposed, often=2, model=True)
row("ops.max_pool", draw_pool, max_pool, often=2, kinks=True, model=True)
row("ops.average_pool", draw_pool, average_pool, often=2, model=True)


def _channels_first(draw):
    def drawn(d):
        x = d.pick(where=lambda v: v.ndim == 4 and v.size and max(v.shape[2:]) <= 130 and v.shape[1] <= 600)
        x = x or d.fresh((d.batch, d.channels(), *d.frame()), batch=True)
        n, c, h, w = d.shape(x)
        call = draw(d.seeing({x.index: (n, h, w, c)}, x))
        if call is None:
            return None
        call.args[0] = x
        call.kwargs["data_format"] = "channels_first"
        return call

    return drawn


row("ops.conv|first", _channels_first(draw_conv), conv, often=1)
row("ops.max_pool|first", _channels_first(draw_pool), max_pool, often=0.5, kinks=True)


def _sequences(f, kernels):
    """`f` of images for sequences, which are images of one row."""

    def rows(x, *args, **options):
        args = [lift(a)[None] if i < kernels else (1, a) for i, a in enumerate(args)]
        for name in ("strides", "dilation_rate"):
            if options.get(name) is not None:
                options[name] = (1, options[name])
        return f(lift(x)[:, None], *args, **options)[:, 0]

    return rows


def _draw_sequences(kernel, transposed=False):
    def drawn(d):
        x = d.pick(where=lambda v: v.ndim == 3 and v.size and v.shape[1] <= 130 and v.shape[2] <= 600)
        x = x or d.fresh((d.batch, d.frame()[0], d.channels()), batch=True)
        k, channels = d.choose([1, 2, 3, 5]), d.shape(x)[2]
        options = d.maybe(strides=d.choose([1, 2, 3]), padding="same")
        if k > d.shape(x)[1]:
            options["padding"] = "same"
        if not kernel:
            return Call([x, k], options)
        if options.get("strides", 1) == 1 and (k - 1) * 2 < d.shape(x)[1] and d.flip(0.3):
            options["dilation_rate"] = 2
        shape = (k, d.channels(), channels) if transposed else (k, channels, d.channels())
        return Call([x, d.fresh(shape, "small")], options)

    return drawn


row("ops.conv|sequences", _draw_sequences(True), _sequences(_conv, 1), often=1, model=True)
row(
    "ops.conv_transpose|sequences",
    _draw_sequences(True, True),
    _sequences(_transposed, 1),
    often=0.5,
    model=True,
)
row(
    "ops.max_pool|sequences",
    _draw_sequences(False),
    _sequences(_max_pool, 0),
    often=0.5,
    kinks=True,
    model=True,
)
row("ops.average_pool|sequences", _draw_sequences(False), _sequences(_average_pool, 0), often=0.5, model=True)


def _depth_to_space(x, b):
    n, h, w, c = value(x).shape
    x = np.transpose(np.reshape(x, (n, h, w, b, b, c // (b * b))), (0, 1, 3, 2, 4, 5))
    return np.reshape(x, (n, h * b, w * b, c // (b * b)))


def _space_to_depth(x, b):
    n, h, w, c = value(x).shape
    x = np.transpose(np.reshape(x, (n, h // b, b, w // b, b, c)), (0, 1, 3, 2, 4, 5))
    return np.reshape(x, (n, h // b, w // b, b * b * c))


row(
    "ops.depth_to_space",
    lambda d: Call([d.fresh((d.batch, *d.frame(), 4 * d.choose([1, 2, 4])), batch=True), 2]),
    first_to_last(_depth_to_space),
    exact=True,
    often=0.5,
)
row(
    "ops.space_to_depth",
    lambda d: Call(
        [d.fresh((d.batch, 2 * d.choose([1, 3, 4]), 2 * d.choose([1, 2]), d.channels()), batch=True), 2]
    ),
    first_to_last(_space_to_depth),
    exact=True,
    often=0.5,
)


def _patches(x, size, strides=None, padding="valid"):
    k = pair(size)
    s = k if strides is None else pair(strides)
    x = pad(x, [(0, 0), *margins(value(x).shape[1:3], k, s, padding), (0, 0)])
    return np.concatenate([seen for _, _, seen in taps(x, k, s, (1, 1))], -1)


row(
    "ops.image.extract_patches",
    lambda d: (c := draw_pool(d)) and d.shape(c.args[0])[3] <= 20 and Call(c.args, c.kwargs) or None,
    first_to_last(_patches),
    often=0.5,
)


def centres(n, target):
    return (numpy.arange(target) + 0.5) * n / target - 0.5


def resize(x, size, interpolation="bilinear"):
    x = lift(x)
    for axis, target in zip((1, 2), pair(size), strict=True):
        n = value(x).shape[axis]
        moved = np.moveaxis(x, axis, -1)
        # The product with a matrix that has zeros.
        wild = ~numpy.isfinite(value(moved)).all(-1, keepdims=True)
        at = centres(n, target)
        if interpolation == "nearest":
            moved = moved[..., numpy.minimum(numpy.floor(at + 0.5), n - 1).astype(int)]
        else:
            low = numpy.floor(at)
            weight = at - low
            a, b = (numpy.clip(i, 0, n - 1).astype(int) for i in (low, low + 1))
            moved = r(r(moved[..., a] * (1 - weight)) + r(moved[..., b] * weight))
        moved = uncertain(moved, wild & numpy.ones(value(moved).shape, bool))
        x = np.moveaxis(moved, -1, axis)
    return x


row(
    "ops.image.resize",
    lambda d: Call([image(d), [d.extent(33), d.extent(33)]], d.maybe(interpolation="nearest")),
    first_to_last(resize),
)
row(
    "ops.image.pad_images",
    lambda d: Call(
        [image(d)],
        {
            "top_padding": d.below(3),
            "left_padding": d.below(3),
            "bottom_padding": d.below(3),
            "right_padding": 1,
        },
    ),
    lambda x, top_padding, left_padding, bottom_padding, right_padding: pad(
        x, [(0, 0), (top_padding, bottom_padding), (left_padding, right_padding), (0, 0)]
    ),
    exact=True,
    often=0.5,
)


def _draw_crop(d):
    x = image(d)
    _, h, w, _ = d.shape(x)
    return Call(
        [x],
        {
            "top_cropping": (h - 1) // 2,
            "left_cropping": 0,
            "target_height": 1 + d.below(h - (h - 1) // 2),
            "target_width": w,
        },
    )


row(
    "ops.image.crop_images",
    _draw_crop,
    lambda x, top_cropping, left_cropping, target_height, target_width: x[
        :, top_cropping : top_cropping + target_height, left_cropping : left_cropping + target_width
    ],
    exact=True,
    often=0.5,
)
row(
    "ops.image.rgb_to_grayscale",
    lambda d: Call([d.fresh((d.batch, *d.frame(), 3), batch=True)]),
    lambda x: total(r(x * numpy.array([0.2989, 0.587, 0.114])), 3, True),
    often=0.3,
)
_ = matmul
