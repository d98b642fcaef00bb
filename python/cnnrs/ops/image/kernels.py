"""Kernels of classic filters, as arrays of numpy in float64."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["DERIVATIVES", "derivative", "gabor_pair", "gaussian_derivative", "laplacian_kernel", "reach"]

# The weights along the edge, by the name of a filter.
DERIVATIVES = {"sobel": (1.0, 2.0, 1.0), "scharr": (3.0, 10.0, 3.0), "prewitt": (1.0, 1.0, 1.0)}
# Plans keep a row for each tap of a filter: a window that no image fills would take all memory.
WIDEST = 1023


def derivative(name: str, normalize: bool) -> np.ndarray:
    """The kernels of the change to the right and of that downwards, (3, 3, 2).

    Args:
        name: A key of `DERIVATIVES`.
        normalize: Whether a ramp that grows by 1 a pixel has the derivative 1.
    """
    across = np.array(DERIVATIVES[name])
    right = across[:, None] * np.array([-1.0, 0.0, 1.0])
    both = np.stack([right, right.T], axis=-1)
    return both / (2.0 * across.sum()) if normalize else both


def laplacian_kernel(neighbors: int) -> np.ndarray:
    """The sum of differences to 4 or 8 neighbours, (3, 3)."""
    kernel = np.ones((3, 3)) if neighbors == 8 else np.array([[0.0, 1, 0], [1, 0, 1], [0, 1, 0]])
    kernel[1, 1] = -neighbors
    return kernel


def reach(sigma: float, truncate: float, owner: str) -> int:
    """The pixels on each side that a Gaussian weighs.

    Raises:
        ValueError: They are more than a filter may have.
    """
    pixels = truncate * sigma + 0.5
    if not 2 * pixels + 1 <= WIDEST:
        raise ValueError(
            f"{owner}: expected a filter of at most {WIDEST} pixels, received sigma {sigma} with {truncate} "
            f"deviations on each side"
        )
    return int(pixels)


def gaussian_derivative(sigma: float, radius: int, order: int) -> np.ndarray:
    """The weights of a Gaussian of sum 1, or of its second derivative, on 2 radius + 1 pixels."""
    x = np.arange(-radius, radius + 1, dtype=np.float64)
    weights = np.exp(-0.5 * (x / sigma) ** 2)
    weights /= weights.sum()
    return weights if order == 0 else weights * (x**2 / sigma**4 - 1.0 / sigma**2)


def gabor_pair(
    frequency: float,
    angle: float,
    bandwidth: float,
    aspect: float,
    phase: float,
    size: tuple[int, int] | None,
) -> tuple[np.ndarray, np.ndarray]:
    """The even and the odd kernel of a Gabor filter: a Gaussian times a cosine and a sine.

    The Gaussian is as wide as the bandwidth in octaves demands at half of the height of its spectrum.

    Args:
        frequency: Of the wave, in cycles a pixel.
        angle: Of the direction in which the wave runs, in radians from the right downwards.
        bandwidth: In octaves.
        aspect: Deviation along the wave over that across.
        phase: Of the wave, in radians.
        size: Rows and columns; None for 3 deviations on each side.
    """
    octaves = 2.0**bandwidth
    along = math.sqrt(math.log(2) / 2) / math.pi * (octaves + 1) / (octaves - 1) / frequency
    across = along / aspect
    if size is None:
        # The box around the ellipse of 3 deviations.
        cosine, sine = math.cos(angle), math.sin(angle)
        rows, columns = math.hypot(along * sine, across * cosine), math.hypot(along * cosine, across * sine)
        size = (2 * math.ceil(3 * rows) + 1, 2 * math.ceil(3 * columns) + 1)
    y, x = (np.arange(n, dtype=np.float64) - (n - 1) / 2 for n in size)
    u = x * math.cos(angle) + y[:, None] * math.sin(angle)
    v = y[:, None] * math.cos(angle) - x * math.sin(angle)
    envelope = np.exp(-0.5 * ((u / along) ** 2 + (v / across) ** 2)) / (2 * math.pi * along * across)
    wave = 2 * math.pi * frequency * u + phase
    return envelope * np.cos(wave), envelope * np.sin(wave)
