"""Rows of what is done to images beside padding and resizing, and of the layers that prepare them."""

from __future__ import annotations

import itertools

import autograd.numpy as np
import numpy

from fuzz.images import image, pair, resize
from fuzz.layer_rows import batched_image, features, layer
from fuzz.movement import pad
from fuzz.pointwise import lift
from fuzz.rounding import noisy, r, total, value
from fuzz.table import Call, row


def _colored(d, kind="positive"):
    return d.fresh((d.batch, *d.frame(), 3), kind, batch=True)


def _modest(d, least=2):
    """Images of a few pixels, whose neighbours are looked at."""
    return d.fresh((d.batch, least + d.below(9), least + d.below(9), d.choose([1, 2, 3])), batch=True)


# ------------------------------------------------------------------ colours


def rgb_to_hsv(x):
    x = lift(x)
    red, green, blue = (x[..., i] for i in range(3))
    top = np.maximum(np.maximum(red, green), blue)
    extent = r(top - np.minimum(np.minimum(red, green), blue))
    some, bright = value(extent) > 0, value(top) > 0
    saturation = np.where(bright, r(extent / np.where(bright, top, 1.0)), 0.0)
    unit = r(1 / r(6 * np.where(some, extent, 1.0)))
    hue = np.where(
        value(red) == value(top),
        r(unit * r(green - blue)),
        np.where(
            value(green) == value(top),
            r(r(unit * r(blue - red)) + 1 / 3),
            r(r(unit * r(red - green)) + 2 / 3),
        ),
    )
    hue = np.where(some, np.where(value(hue) < 0, r(hue + 1), hue), 0.0)
    return np.stack([hue, saturation, top], -1)


def hsv_to_rgb(x):
    x = lift(x)
    hue, saturation, top = (x[..., i] for i in range(3))
    sixths = r(hue * 6)
    distances = [
        r(np.abs(r(sixths - 3)) - 1),
        r(2 - np.abs(r(sixths - 2))),
        r(2 - np.abs(r(sixths - 4))),
    ]
    pale = r(1 - saturation)
    return np.stack([r(r(pale + r(saturation * np.clip(d, 0, 1))) * top) for d in distances], -1)


row("ops.image.rgb_to_hsv", lambda d: Call([_colored(d)]), rgb_to_hsv, kinks=True, often=0.3)
row("ops.image.hsv_to_rgb", lambda d: Call([_colored(d)]), hsv_to_rgb, kinks=True, often=0.3)

# ------------------------------------------------------------------ filters


def _weights(size, sigma):
    x = numpy.arange(size) - (size - 1) / 2
    weights = numpy.exp(-0.5 * (x / sigma) ** 2)
    return weights / weights.sum()


def _along(x, axis, weights, same):
    size, extent = len(weights), value(x).shape[axis]
    if same:
        x = pad(x, [((size - 1) // 2, size // 2) if a == axis else (0, 0) for a in range(4)])
    count = extent if same else extent - size + 1
    index = [slice(None)] * 4
    parts = []
    for i, weight in enumerate(weights):
        index[axis] = slice(i, i + count)
        parts.append(noisy(x[tuple(index)] * weight))
    return r(sum(parts), 2.0)


def gaussian_blur(x, kernel_size=(3, 3), sigma=(1.0, 1.0)):
    x = _along(lift(x), 1, _weights(kernel_size[1], sigma[1]), True)
    return _along(x, 2, _weights(kernel_size[0], sigma[0]), True)


def sobel_edges(x):
    x = pad_mirrored(lift(x))

    def part(x, axis, shift):
        index = [slice(None)] * 4
        index[axis] = slice(shift, shift + value(x).shape[axis] - 2)
        return x[tuple(index)]

    def mean(x, axis):
        return r(r(part(x, axis, 0) + 2 * part(x, axis, 1)) + part(x, axis, 2))

    def change(x, axis):
        return r(part(x, axis, 2) - part(x, axis, 0))

    return np.stack([mean(change(x, 1), 2), mean(change(x, 2), 1)], 4)


def pad_mirrored(x):
    for axis in (1, 2):
        n = value(x).shape[axis]
        x = x[(slice(None),) * axis + (numpy.r_[1, numpy.arange(n), n - 2],)]
    return x


def ssim(a, b, filter_size):
    a, b = lift(a), lift(b)
    weights = _weights(filter_size, 1.5)

    def mean(x):
        return _along(_along(x, 1, weights, False), 2, weights, False)

    first, second = mean(a), mean(b)
    product, squares = r(first * second), r(r(first * first) + r(second * second))
    spread = r(r(mean(r(a * a)) + mean(r(b * b))) - squares)
    joint = r(mean(r(a * b)) - product)
    upper = r(r(2 * product + 1e-4) * r(2 * joint + 9e-4))
    quotient = r(upper / r(r(squares + 1e-4) * r(spread + 9e-4)))
    return (
        total(quotient, (1, 2, 3)) / value(quotient)[0].size
        if value(quotient).size
        else quotient.sum((1, 2, 3))
    )


row(
    "ops.image.gaussian_blur",
    lambda d: Call([_modest(d)], d.maybe(kernel_size=[3, 5], sigma=[0.75, 1.5])),
    gaussian_blur,
    often=0.3,
)
row("ops.image.sobel_edges", lambda d: Call([_modest(d)]), sobel_edges, often=0.3)


def _draw_ssim(d):
    shape = (2, 5 + d.below(5), 5 + d.below(5), 2)
    return Call([d.fresh(shape, "positive"), d.fresh(shape, "positive")], {"filter_size": 4})


row("ops.image.ssim", _draw_ssim, ssim, often=0.3)

# ------------------------------------------------------------------ warps

TURN = numpy.float32([0.9, -0.2, 1.5, 0.3, 1.1, -0.75, 0.0, 0.0])
CORNERS = numpy.float32([[0, 0], [4, 0], [0, 4], [4, 4]])
MOVED = numpy.float32([[0.5, 1], [3.25, 0.25], [0, 3], [4, 4]])


def _inside(index, extent, mode):
    if mode == "mirror" and extent > 1:
        around = index % (2 * extent - 2)
        return numpy.where(around >= extent, 2 * extent - 2 - around, around)
    if mode == "reflect":
        around = index % (2 * extent)
        return numpy.where(around >= extent, 2 * extent - 1 - around, around)
    return index % extent if mode == "wrap" else numpy.clip(index, 0, extent - 1)


def sample(flat, places, extents, mode, fill):
    """Elements of an array whose sampled axes are one, at coordinates."""
    result = 0.0
    strides = [int(numpy.prod(extents[i + 1 :])) for i in range(len(extents))]
    lows = [numpy.floor(place) for place in places]
    for corner in itertools.product(range(2), repeat=len(extents)):
        index, weight, valid = 0, 1.0, True
        for place, low, extent, stride, up in zip(places, lows, extents, strides, corner, strict=True):
            at = (low + up).astype(int)
            index = index + _inside(at, extent, mode) * stride
            weight = weight * (place - low if up else 1 - (place - low))
            valid = valid & (at >= 0) & (at < extent)
        found = flat[index]
        if mode == "constant":
            found = np.where(valid[..., None], found, fill)
        result = result + noisy(found * weight[..., None], 4.0)
    return r(result, 4.0)


def _warped(x, transform, mode, fill):
    x = lift(x)
    n, h, w, c = value(x).shape
    rows, columns = numpy.meshgrid(numpy.arange(h), numpy.arange(w), indexing="ij")
    a = numpy.float64(transform)
    depth = a[6] * columns + a[7] * rows + 1
    across = r((a[0] * columns + a[1] * rows + a[2]) / depth, 4.0)
    down = r((a[3] * columns + a[4] * rows + a[5]) / depth, 4.0)
    flat = np.transpose(np.reshape(x, (n, h * w, c)), (1, 0, 2))
    flat = np.reshape(flat, (h * w, n * c))
    y = sample(flat, [down, across], (h, w), mode, fill)
    return np.transpose(np.reshape(y, (h, w, n, c)), (2, 0, 1, 3))


def affine_transform(x, transform, fill_mode="constant", fill_value=0):
    return _warped(x, transform, fill_mode, fill_value)


def perspective_transform(x, start_points, end_points):
    rows = []
    for (x0, y0), (x1, y1) in zip(numpy.float64(start_points), numpy.float64(end_points), strict=True):
        rows += [[x1, y1, 1, 0, 0, 0, -x0 * x1, -x0 * y1], [0, 0, 0, x1, y1, 1, -y0 * x1, -y0 * y1]]
    transform = numpy.linalg.solve(numpy.array(rows), numpy.float64(start_points).reshape(-1))
    return _warped(x, transform, "constant", 0.0)


def _map(x, coordinates, order, fill_mode="constant"):
    x = lift(x)
    places = list(numpy.float64(coordinates))
    flat = np.reshape(x, (-1, 1))
    return sample(flat, places, value(x).shape, fill_mode, 0.0)[..., 0]


def _draw_map(d):
    x = d.fresh((2 + d.below(5), 2 + d.below(5)))
    places = [[[0.25, 1.5, -0.75], [3.25, 0.5, 9.0]], [[0.5, 0.25, 1.0], [-2.5, 1.75, 0.0]]]
    return Call([x, places, 1], d.maybe(fill_mode=d.choose(["nearest", "wrap", "mirror", "reflect"])))


row(
    "ops.image.affine_transform",
    lambda d: Call(
        [_modest(d), TURN.tolist()],
        d.maybe(fill_mode=d.choose(["nearest", "wrap", "mirror", "reflect"]), fill_value=2.0),
    ),
    affine_transform,
    often=0.3,
)
row(
    "ops.image.perspective_transform",
    lambda d: Call([_modest(d), CORNERS.tolist(), MOVED.tolist()]),
    perspective_transform,
    often=0.3,
)
row("ops.image.map_coordinates", _draw_map, _map, often=0.3)

# ------------------------------------------------------------------ sizes and patches


def scale_and_translate(x, output_shape, scale, translation, spatial_dims, method, antialias=True):
    x = lift(x)
    for axis, factor, shift in zip(spatial_dims, scale, translation, strict=True):
        n, m = value(x).shape[axis], output_shape[axis]
        width = max(1 / factor, 1.0) if antialias else 1.0
        centres = (numpy.arange(m) + 0.5 - shift) / factor - 0.5
        distance = numpy.abs(centres[:, None] - numpy.arange(n)) / width
        weights = numpy.maximum(0, 1 - distance)
        sums = weights.sum(1, keepdims=True)
        weights = numpy.where(sums > 1e-3, weights / numpy.where(sums > 1e-3, sums, 1), 0)
        inside = (centres >= -0.5) & (centres <= n - 0.5)
        weights = numpy.where(inside[:, None], weights, 0)
        moved = np.moveaxis(x, axis, -1)
        y = total(moved[..., None, :] * noisy(weights, 8.0), -1)
        x = np.moveaxis(y, -1, axis)
    return x


def _draw_scale(d):
    x = _modest(d)
    _, h, w, _ = d.shape(x)
    options = d.maybe(antialias=False)
    return Call([x, [None, h + 1, w, None], [1.5, 0.625], [0.3, -0.55], [1, 2], "linear"], options)


row("ops.image.scale_and_translate", _draw_scale, scale_and_translate, often=0.3)


def _blocks(x, size, strides):
    parts = []
    counts = [(n - k) // s + 1 for n, k, s in zip(value(x).shape[1:4], size, strides, strict=True)]
    for offset in itertools.product(*map(range, size)):
        places = [slice(o, o + (c - 1) * s + 1, s) for o, c, s in zip(offset, counts, strides, strict=True)]
        parts.append(x[(slice(None), *places)])
    return np.concatenate(parts, -1)


def _joined(x, size, output_size):
    n, rows, columns, length = value(x).shape
    a, b = pair(size)
    y = np.reshape(x, (n, rows, columns, a, b, length // (a * b)))
    return np.reshape(np.transpose(y, (0, 1, 3, 2, 4, 5)), (n, rows * a, columns * b, length // (a * b)))


row(
    "ops.image.extract_patches_3d",
    lambda d: Call(
        [d.fresh((d.batch, 3 + d.below(3), 4, 3 + d.below(4), d.choose([1, 2])), batch=True), [2, 3, 2]],
        {"strides": d.choose([[1, 1, 2], [2, 1, 1]])},
    ),
    lambda x, size, strides: _blocks(lift(x), size, strides),
    exact=True,
    often=0.3,
)
row(
    "ops.image.reconstruct_patches",
    lambda d: Call([d.fresh((d.batch, 2, 3, 12), batch=True), [2, 3], [4, 9]]),
    lambda x, size, output_size: _joined(lift(x), size, output_size),
    exact=True,
    often=0.3,
)
row(
    "ops.psnr",
    lambda d: (s := d.some_shape()) and min(s) and Call([d.fresh(s), d.fresh(s), 2.0]) or None,
    lambda a, b, max_val: r(
        20 * numpy.log10(max_val)
        - r(np.log(total(r(r(lift(a) - lift(b)) ** 2)) / value(a).size) * 10 / numpy.log(10)),
        2.0,
    ),
    often=0.3,
)

# ------------------------------------------------------------------ layers


def _middle(x, weights, height, width):
    h, w = value(x).shape[1:3]
    if h >= height and w >= width:
        top, left = (h - height) // 2, (w - width) // 2
        return lift(x)[:, top : top + height, left : left + width]
    rows, columns = max(1, min(h, w * height // width)), max(1, min(w, h * width // height))
    top, left = (h - rows) // 2, (w - columns) // 2
    return resize(lift(x)[:, top : top + rows, left : left + columns], (height, width))


layer(
    "CenterCrop",
    lambda d: Call([batched_image(d)], {"height": d.extent(20), "width": d.extent(20)}),
    _middle,
    often=0.3,
)
layer(
    "Normalization",
    lambda d: Call([features(d)], {"mean": 0.5, "variance": 2.25, **d.maybe(invert=True)}),
    lambda x, weights, mean, variance, invert=False: (
        r(mean + r(lift(x) * variance**0.5)) if invert else r(r(lift(x) - mean) / variance**0.5)
    ),
    often=0.3,
)
_ = image
