"""Filters that find edges: first and second derivatives of images."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from cnnrs.base.arguments import choice, flag, number
from cnnrs.ops.dispatch import op
from cnnrs.ops.image import kernels
from cnnrs.ops.image.filtering import OUTPUTS, check_border, constant, extended, filtered, in_rows, of_slopes
from cnnrs.ops.image.filters import blurred
from cnnrs.ops.image.layout import as_batch, computed, of_floats

__all__ = [
    "difference_of_gaussians",
    "laplacian",
    "laplacian_of_gaussian",
    "prewitt",
    "scharr",
    "sobel",
]

# What all filters here say of their images and of what lies beyond these.
_IMAGES = """\
images: Tensor of shape (height, width, channels) or (batch, height, width, channels), of any dtype;
            each channel is filtered for itself."""
_BORDER = """\
fill_mode: What lies outside of `a b c d`: "reflect", the default, `b a | a b c d | d c`; "mirror"
            `c b | a b c d | c b`; "nearest" `a a | a b c d | d d`; "wrap" `c d | a b c d | a b`; "constant"
            `fill_value`.
        fill_value: A number; 0 by default.
        data_format: "channels_last" for the shapes given here, "channels_first" for channels in front of
            height and width, in and out; None, the default, means `config.image_data_format()`."""


class _Border(NamedTuple):
    """What lies beyond the borders of images."""

    fill_mode: str
    fill_value: float


def _public(
    images: Any,
    fill_mode: str = "reflect",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Any:
    """The arguments that all filters here have: the first, and behind their own the others."""


def _filter_of_images(compute: Callable[..., Any]) -> Any:
    """The public function of a filter, with the arguments of `_public` beside its own.

    Args:
        compute: Filters floats of shape (batch, height, width, channels); it takes them, what lies beyond
            their borders, and its own arguments.
    """
    name = compute.__name__
    shared = inspect.signature(_public)
    images, *border = shared.parameters.values()
    own = list(inspect.signature(compute).parameters.values())[2:]
    signature = shared.replace(parameters=[images, *own, *border])

    def function(*args: Any, **kwargs: Any) -> Any:
        try:
            given = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name}() {error}") from None
        given.apply_defaults()
        value = given.arguments
        around = _Border(value["fill_mode"], check_border(name, value["fill_mode"], value["fill_value"]))
        batch, restore = as_batch(value["images"], value["data_format"], name)
        made = compute(computed(batch), around, **{p.name: value[p.name] for p in own})
        return restore(of_floats(made, batch.dtype))

    functools.update_wrapper(function, compute)
    # What `inspect` reads; mypy knows no attribute of functions that is not declared.
    function.__signature__ = signature  # type: ignore[attr-defined]
    text = (compute.__doc__ or "").replace("{images}", _IMAGES).replace("{border}", _BORDER)
    function.__doc__ = text
    return op(function)


_DERIVATIVE = """

    Args:
        {images}
        output: "magnitude", the default, `sqrt(x² + y²)`; "direction", the angle of the steepest rise, in
            radians from the right downwards, 0 where there is none; "x", the change to the right; "y", that
            downwards; "xy", both, with the channels of x before those of y.
        normalize: Whether a ramp that grows by 1 a pixel has a derivative of 1; False by default, which keeps
            the whole numbers above.
        {border}

    Returns:
        Float tensor of the shape and type of `images`, or float32 if it is no float; twice the channels with
        "xy".

    Raises:
        TypeError: `images` is not numeric.
        ValueError: `images` has neither 3 nor 4 axes, or an argument is none of the values above.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> ramp = np.arange(9.0).reshape(3, 3, 1)
        >>> [ops.image.{name}(ramp, output)[1, 1, 0].item() for output in ("x", "y")]
        [{x}, {y}]
    """


def _derivative(name: str, summary: str, right: float, down: float) -> Any:
    """The function of a pair of derivatives."""

    def function(x: Any, border: _Border, output: str = "magnitude", normalize: bool = False) -> Any:
        choice(output, name, "output", OUTPUTS)
        pair = kernels.derivative(name, flag(normalize, name, "normalize"))
        return of_slopes(name, x, constant(pair[:, :, None], x), output, *border)

    function.__name__ = function.__qualname__ = name
    text = _DERIVATIVE.replace("{name}", name).replace("{x}", str(right)).replace("{y}", str(down))
    function.__doc__ = summary + text
    return _filter_of_images(function)


sobel = _derivative(
    "sobel",
    """Computes derivatives of images by the filters of Sobel and Feldman: weights 1, 2, 1 along the edge.

    The kernel of x is `[[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]`, and that of y its transpose (a talk of 1968;
    Duda and Hart 1973, "Pattern Classification and Scene Analysis", page 271).""",
    8.0,
    24.0,
)
scharr = _derivative(
    "scharr",
    """Computes derivatives of images by the filters of Scharr: weights 3, 10, 3 along the edge.

    Their direction depends less on how an edge is turned than that of `sobel` (Scharr 2000, "Optimale
    Operatoren in der Digitalen Bildverarbeitung", Heidelberg). The kernel of x is
    `[[-3, 0, 3], [-10, 0, 10], [-3, 0, 3]]`, and that of y its transpose.""",
    32.0,
    96.0,
)
prewitt = _derivative(
    "prewitt",
    """Computes derivatives of images by the filters of Prewitt: weights 1, 1, 1 along the edge.

    The kernel of x is `[[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]]`, and that of y its transpose (Prewitt 1970,
    "Object Enhancement and Extraction").""",
    6.0,
    18.0,
)


@_filter_of_images
def laplacian(x: Any, border: _Border, neighbors: int = 4) -> Any:
    """Computes the Laplacian of images: the sum of differences of each pixel's neighbours from it.

    Args:
        {images}
        neighbors: 4 for those above, below and beside, or 8 for the diagonal ones, too; 4 by default.
        {border}

    Returns:
        Float tensor of the shape and type of `images`, or float32 if it is no float.

    Raises:
        TypeError: `images` is not numeric.
        ValueError: `images` has neither 3 nor 4 axes, or an argument is none of the values above.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> bowl = np.arange(5.0)[:, None, None] ** 2 + np.zeros((5, 5, 1))
        >>> ops.image.laplacian(bowl)[2, 2, 0].item(), ops.image.laplacian(bowl, 8)[2, 2, 0].item()
        (2.0, 6.0)
    """
    if isinstance(neighbors, bool) or neighbors not in (4, 8):
        raise ValueError(f"laplacian: neighbors: expected 4 or 8, received {neighbors!r}")
    kernel = constant(kernels.laplacian_kernel(neighbors)[:, :, None, None], x)
    return filtered("laplacian", x, kernel, *border)


def _gaussians(x: Any, sigma: float, owner: str, truncate: float, border: _Border) -> Any:
    """Images blurred by a Gaussian."""
    radius = kernels.reach(sigma, truncate, owner)
    weights = constant(kernels.gaussian_derivative(sigma, radius, 0), x)
    return blurred(extended(owner, x, ((radius, radius),) * 2, *border), weights, weights, "valid")


@_filter_of_images
def laplacian_of_gaussian(x: Any, border: _Border, sigma: float = 1.0, truncate: float = 4.0) -> Any:
    """Computes the Laplacian of images that a Gaussian has blurred, by the second derivatives of that.

    Its zeros are edges, and its extrema blobs whose radius is about `sigma · √2` (Marr and Hildreth 1980,
    "Theory of edge detection").

    Args:
        {images}
        sigma: Standard deviation in pixels, above 0; 1 by default.
        truncate: How many deviations the filters reach to each side, above 0; 4 by default.
        {border}

    Returns:
        Float tensor of the shape and type of `images`, or float32 if it is no float.

    Raises:
        TypeError: `images` is not numeric.
        ValueError: `images` has neither 3 nor 4 axes, or an argument is none of the values above.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> spot = np.zeros((9, 9, 1))
        >>> spot[4, 4] = 1.0
        >>> round(ops.image.laplacian_of_gaussian(spot)[4, 4, 0].item(), 3)
        -0.318
    """
    name = "laplacian_of_gaussian"
    sigma, truncate = number(sigma, name, "sigma", above=0), number(truncate, name, "truncate", above=0)
    radius = kernels.reach(sigma, truncate, name)
    wide = extended(name, x, ((radius, radius),) * 2, *border)
    mean, second = (constant(kernels.gaussian_derivative(sigma, radius, order), x) for order in (0, 2))
    parts = blurred(wide, second, mean, "valid"), blurred(wide, mean, second, "valid")
    return in_rows(lambda down, across: down + across, *parts)


@_filter_of_images
def difference_of_gaussians(
    x: Any,
    border: _Border,
    low_sigma: float = 1.0,
    high_sigma: float | None = None,
    truncate: float = 4.0,
) -> Any:
    """Computes images blurred a little minus images blurred more: what lies between two scales.

    With a quotient of 1.6 it is near to minus a Laplacian of a Gaussian (Marr and Hildreth 1980), and with
    several scales the base of SIFT (Lowe 2004).

    Args:
        {images}
        low_sigma: The smaller standard deviation in pixels, above 0; 1 by default.
        high_sigma: The larger one; None, the default, for 1.6 times the smaller one.
        truncate: How many deviations the filters reach to each side, above 0; 4 by default.
        {border}

    Returns:
        Float tensor of the shape and type of `images`, or float32 if it is no float.

    Raises:
        TypeError: `images` is not numeric.
        ValueError: `images` has neither 3 nor 4 axes, `high_sigma` is not above `low_sigma`, or an argument
            is none of the values above.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> spot = np.zeros((9, 9, 1))
        >>> spot[4, 4] = 1.0
        >>> round(ops.image.difference_of_gaussians(spot)[4, 4, 0].item(), 3)
        0.097
    """
    name = "difference_of_gaussians"
    low, truncate = number(low_sigma, name, "low_sigma", above=0), number(truncate, name, "truncate", above=0)
    high = 1.6 * low if high_sigma is None else number(high_sigma, name, "high_sigma", above=low)
    fine, coarse = (_gaussians(x, sigma, name, truncate, border) for sigma in (low, high))
    return in_rows(lambda fine, coarse: fine - coarse, fine, coarse)
