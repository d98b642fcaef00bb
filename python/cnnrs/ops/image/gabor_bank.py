"""Gabor filters: waves under a Gaussian, which answer to stripes of one frequency and direction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnrs.base.arguments import choice, integer, integers, number
from cnnrs.ops.dispatch import apply, as_tensor, op
from cnnrs.ops.image import kernels
from cnnrs.ops.image.filtering import check_border, constant, filtered, in_rows
from cnnrs.ops.image.layout import as_batch, computed, of_floats
from cnnrs.ops.roots import root

__all__ = ["OUTPUTS", "bank", "energy", "gabor", "gabor_kernels"]

OUTPUTS = ("real", "imaginary", "magnitude")


def _angles(orientations: Any, owner: str) -> list[float]:
    if isinstance(orientations, (int, np.integer)) and not isinstance(orientations, bool):
        many = integer(orientations, owner, "orientations", least=1, most=kernels.WIDEST)
        return [math.pi * i / many for i in range(many)]
    return _numbers(orientations, owner, "orientations")


def _numbers(values: Any, owner: str, argument: str, **bounds: Any) -> list[float]:
    given = values if isinstance(values, (Sequence, np.ndarray)) and not isinstance(values, str) else [values]
    if not len(given):
        raise ValueError(f"{owner}: {argument}: expected a number or several, received {values!r}")
    return [number(value, owner, argument, **bounds) for value in given]


def bank(
    frequencies: Any,
    orientations: Any,
    bandwidth: float,
    aspect: float,
    phase: float,
    kernel_size: Any,
    owner: str,
) -> np.ndarray:
    """The kernels of `gabor_kernels` in float64.

    Raises:
        ValueError: An argument is none of those that it takes.
    """
    waves = _numbers(frequencies, owner, "frequencies", above=0, most=0.5)
    angles = _angles(orientations, owner)
    octaves = number(bandwidth, owner, "bandwidth", above=0)
    aspect = number(aspect, owner, "aspect", above=0)
    phase = number(phase, owner, "phase")
    size: tuple[int, int] | None = None
    if kernel_size is not None:
        given = integers(kernel_size, owner, "kernel_size", least=1)
        if len(given) not in (1, 2) or max(given) > kernels.WIDEST:
            raise ValueError(
                f"{owner}: kernel_size: expected one or two integers up to {kernels.WIDEST}, "
                f"received {kernel_size!r}"
            )
        size = (given[0], given[-1])
    else:
        widest = 3 * math.sqrt(math.log(2) / 2) / math.pi / min(waves) / min(aspect, 1.0)
        # What grows without bound for small bandwidths is told before it is made.
        if not octaves < 1000 or 2 * widest * (2**octaves + 1) / (2**octaves - 1) + 3 > kernels.WIDEST:
            raise ValueError(
                f"{owner}: kernel_size: expected a size for frequencies {waves} and bandwidth {octaves}, "
                f"whose filters have more than {kernels.WIDEST} pixels otherwise; received None"
            )
    pairs = [
        kernels.gabor_pair(wave, angle, octaves, aspect, phase, size) for wave in waves for angle in angles
    ]
    rows, columns = (max(even.shape[axis] for even, _ in pairs) for axis in (0, 1))
    found = np.zeros((2, rows, columns, len(pairs)))
    for i, pair in enumerate(pairs):
        top, left = (rows - pair[0].shape[0]) // 2, (columns - pair[0].shape[1]) // 2
        height, width = pair[0].shape
        found[:, top : top + height, left : left + width, i] = pair
    return found


def energy(even: Any, odd: Any) -> Any:
    """The magnitude of complex numbers; at 0 its gradient is 0."""
    return root(apply("square", even) + apply("square", odd))


@op
def gabor_kernels(
    frequencies: Any,
    orientations: Any = 4,
    bandwidth: float = 1.0,
    aspect: float = 1.0,
    phase: float = 0.0,
    kernel_size: Any = None,
) -> Any:
    """Makes the kernels of a bank of Gabor filters (Daugman 1985, JOSA A 2(7)).

    `exp(-½ (u²/σ² + v²/τ²)) / 2πστ` times the cosine and the sine of `2π f u + phase`, where u runs along the
    wave and v across, and σ follows from the frequency f and the bandwidth.

    Args:
        frequencies: Cycles a pixel, above 0 and up to 0.5: one number or several.
        orientations: How many directions, evenly over half a turn, or their angles in radians from the right
            downwards; 4 by default.
        bandwidth: Width of the spectrum at half of its height in octaves, above 0; 1 by default.
        aspect: Deviation along the wave over that across, σ / τ, above 0; 1 by default.
        phase: Of the wave at the centre in radians; 0 by default.
        kernel_size: Rows and columns, an integer or two; None, the default, for 3 deviations on each side of
            the widest filter.

    Returns:
        float32 tensor (2, rows, columns, filters): the kernels with the cosine, and those with the sine. All
        directions of a frequency follow each other.

    Raises:
        ValueError: An argument is none of the values above.

    Example:
        >>> from cnnrs import ops
        >>> ops.image.gabor_kernels([0.1, 0.2], orientations=6, kernel_size=15).shape
        (2, 15, 15, 12)
    """
    found = bank(frequencies, orientations, bandwidth, aspect, phase, kernel_size, "gabor_kernels")
    return as_tensor(found.astype(np.float32))


@op
def gabor(
    images: Any,
    frequencies: Any,
    orientations: Any = 4,
    bandwidth: float = 1.0,
    aspect: float = 1.0,
    phase: float = 0.0,
    kernel_size: Any = None,
    output: str = "magnitude",
    fill_mode: str = "reflect",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Any:
    """Filters images with a bank of Gabor filters: how much there is of stripes of a width and direction.

    Args:
        images: Tensor of shape (height, width, channels) or (batch, height, width, channels), of any dtype.
        frequencies: Cycles a pixel, above 0 and up to 0.5: one number or several.
        orientations: How many directions, or their angles, as in `gabor_kernels`; 4 by default.
        bandwidth: As in `gabor_kernels`; 1 by default.
        aspect: As in `gabor_kernels`; 1 by default.
        phase: As in `gabor_kernels`; 0 by default.
        kernel_size: As in `gabor_kernels`; None by default.
        output: "magnitude", the default, which hardly depends on where the stripes lie; "real" for the
            filters with the cosine; "imaginary" for those with the sine.
        fill_mode: What lies outside, as in `sobel`; "reflect" by default.
        fill_value: What lies outside with "constant"; 0 by default.
        data_format: "channels_last" or "channels_first"; None, the default, means
            `config.image_data_format()`.

    Returns:
        Float tensor of the type of `images`, or float32 if it is no float, with the results of all filters in
        the place of each channel.

    Raises:
        TypeError: `images` is not numeric.
        ValueError: `images` has neither 3 nor 4 axes, or an argument is none of the values above.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> stripes = np.cos(2 * np.pi * 0.2 * np.arange(40.0))[None, :, None] + np.zeros((40, 1, 1))
        >>> print(ops.image.gabor(stripes, 0.2, orientations=2)[20, 20].numpy().round(2))
        [0.5 0. ]
    """
    choice(output, "gabor", "output", OUTPUTS)
    fill_value = check_border("gabor", fill_mode, fill_value)
    pair = bank(frequencies, orientations, bandwidth, aspect, phase, kernel_size, "gabor")
    batch, restore = as_batch(images, data_format, "gabor")
    x = computed(batch)
    even, odd = (
        filtered("gabor", x, constant(kernel[:, :, None], x), fill_mode, fill_value)
        if output != other
        else None
        for kernel, other in zip(pair, ("imaginary", "real"), strict=True)
    )
    y = in_rows(energy, even, odd) if output == "magnitude" else (odd if even is None else even)
    return restore(of_floats(y, batch.dtype))
