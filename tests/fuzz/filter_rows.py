"""Rows of classic filters: windows over images, with what lies outside."""

from __future__ import annotations

import math

import autograd.numpy as np
import numpy

from fuzz.image_rows import _modest
from fuzz.movement import pad
from fuzz.pointwise import lift
from fuzz.rounding import noisy, r, value
from fuzz.table import Call, row

# Derivatives by the weights along an edge.
ALONG = {"sobel": (1, 2, 1), "scharr": (3, 10, 3), "prewitt": (1, 1, 1)}
MODES = {"reflect": "symmetric", "mirror": "reflect", "nearest": "edge", "wrap": "wrap"}


def bordered(x, rows, columns, mode, fill):
    """Images with rows and columns around them, mirrored, repeated or constant."""
    if mode == "constant":
        inside = pad(numpy.ones(value(x).shape), [(0, 0), (rows,) * 2, (columns,) * 2, (0, 0)])
        wide = pad(x, [(0, 0), (rows,) * 2, (columns,) * 2, (0, 0)])
        return wide + fill * (1.0 - inside)
    for axis, margin in ((1, rows), (2, columns)):
        index = numpy.pad(numpy.arange(value(x).shape[axis]), margin, mode=MODES[mode])
        x = x[(slice(None),) * axis + (index,)]
    return x


def windowed(x, kernel, mode="reflect", fill=0.0):
    """The weighted sum of each pixel's neighbours."""
    rows, columns = kernel.shape
    _, height, width, _ = value(x).shape
    wide = bordered(x, rows // 2, columns // 2, mode, fill)
    # Taps of 0 are multiplied, too: infinite pixels beside them become NaN.
    parts = [
        noisy(wide[:, i : i + height, j : j + width] * kernel[i, j])
        for i in range(rows)
        for j in range(columns)
    ]
    return r(sum(parts), 2.0)


def slopes(name):
    def reference(x, output, normalize=False, fill_mode="reflect", fill_value=0.0):
        along = numpy.array(ALONG[name], dtype="float64")
        right = along[:, None] * numpy.array([-1.0, 0.0, 1.0])
        if normalize:
            right = right / (2 * along.sum())
        kernels = {"x": [right], "y": [right.T], "xy": [right, right.T]}[output]
        return np.concatenate([windowed(lift(x), k, fill_mode, fill_value) for k in kernels], -1)

    return reference


def _border(d):
    return d.maybe(fill_mode=d.choose(["mirror", "nearest", "wrap", "constant"]), fill_value=0.5)


for _name in ALONG:
    row(
        f"ops.image.{_name}",
        lambda d: Call([_modest(d), d.choose(["x", "y", "xy"])], {**d.maybe(normalize=True), **_border(d)}),
        slopes(_name),
        often=0.2,
    )


def laplacian(x, neighbors=4, fill_mode="reflect", fill_value=0.0):
    kernel = numpy.ones((3, 3)) if neighbors == 8 else numpy.array([[0.0, 1, 0], [1, 0, 1], [0, 1, 0]])
    kernel[1, 1] = -neighbors
    return windowed(lift(x), kernel, fill_mode, fill_value)


row(
    "ops.image.laplacian",
    lambda d: Call([_modest(d)], {**d.maybe(neighbors=8), **_border(d)}),
    laplacian,
    often=0.2,
)


def weights(sigma, truncate=4.0, order=0):
    radius = int(truncate * sigma + 0.5)
    x = numpy.arange(-radius, radius + 1.0)
    found = numpy.exp(-0.5 * (x / sigma) ** 2)
    found /= found.sum()
    return found * (x**2 / sigma**4 - 1 / sigma**2) if order else found


def apart(x, down, across, mode, fill):
    """Images whose border is added once, then filtered along both axes."""
    _, height, width, _ = value(x).shape
    wide = bordered(x, len(down) // 2, len(across) // 2, mode, fill)
    wide = r(sum(noisy(wide[:, i : i + height] * w) for i, w in enumerate(down)), 2.0)
    return r(sum(noisy(wide[:, :, j : j + width] * w) for j, w in enumerate(across)), 2.0)


def laplacian_of_gaussian(x, sigma, fill_mode="reflect", fill_value=0.0):
    x, mean, second = lift(x), weights(sigma), weights(sigma, order=2)
    border = (fill_mode, fill_value)
    return r(apart(x, second, mean, *border) + apart(x, mean, second, *border))


def difference_of_gaussians(x, low_sigma, high_sigma, fill_mode="reflect", fill_value=0.0):
    x, border = lift(x), (fill_mode, fill_value)
    low, high = weights(low_sigma), weights(high_sigma)
    return r(apart(x, low, low, *border) - apart(x, high, high, *border))


def unsharp_mask(x, sigma, amount, fill_mode="reflect", fill_value=0.0):
    x, blur = lift(x), weights(sigma)
    return r(x + r(amount * r(x - apart(x, blur, blur, fill_mode, fill_value))))


row(
    "ops.image.laplacian_of_gaussian",
    lambda d: Call([_modest(d), d.choose([0.75, 1.0])], _border(d)),
    laplacian_of_gaussian,
    often=0.2,
)
row(
    "ops.image.difference_of_gaussians",
    lambda d: Call([_modest(d), 0.5, d.choose([0.75, 1.0])], _border(d)),
    difference_of_gaussians,
    often=0.2,
)
row(
    "ops.image.unsharp_mask",
    lambda d: Call([_modest(d), d.choose([0.5, 1.0]), d.choose([0.5, 2.0])], _border(d)),
    unsharp_mask,
    often=0.2,
)


def gabor(x, frequency, angle, kernel_size, output, fill_mode="reflect", fill_value=0.0):
    sigma = math.sqrt(math.log(2) / 2) / math.pi * 3 / frequency
    offsets = numpy.arange(kernel_size) - (kernel_size - 1) / 2
    along = offsets * math.cos(angle) + offsets[:, None] * math.sin(angle)
    squares = offsets**2 + offsets[:, None] ** 2
    envelope = numpy.exp(-0.5 * squares / sigma**2) / (2 * math.pi * sigma**2)
    wave = numpy.cos if output == "real" else numpy.sin
    return windowed(lift(x), envelope * wave(2 * math.pi * frequency * along), fill_mode, fill_value)


def _draw_gabor(d):
    options = {"kernel_size": 5, "output": d.choose(["real", "imaginary"])}
    return Call([_modest(d), 0.25], {"orientations": [d.choose([0.0, 0.5])], **options, **_border(d)})


row(
    "ops.image.gabor",
    _draw_gabor,
    lambda x, frequency, orientations, **more: gabor(x, frequency, orientations[0], **more),
    often=0.2,
)
