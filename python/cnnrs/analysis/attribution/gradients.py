"""What pixels do for a class, by gradients: saliency, SmoothGrad, integrated gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnrs.analysis.attribution.scores import Attribution, Scorer, gradient, image_of
from cnnrs.analysis.receptive_fields import spatial_axes
from cnnrs.base.arguments import flag, integer, named, number

__all__ = ["integrated_gradients", "saliency", "smooth_grad"]


def _gradients(scorer: Scorer, images: np.ndarray, owner: str) -> Callable[[np.ndarray], list[np.ndarray]]:
    """A function of images that gives the gradients of the scores by pixels, and the scores."""
    function = scorer.recorded(
        images,
        [],
        lambda found, scores: [gradient(scores.sum(), found.inputs[0], owner, "the input"), scores],
    )
    mask = scorer.mask()
    return lambda x: function(x, mask)


def _channels(model: Any, images: np.ndarray) -> int:
    return 1 if spatial_axes(model, images.ndim)[0] == 2 else images.ndim - 1


@named
def saliency(
    model: Any, x: Any, class_index: Any = None, *, output: Any = None, absolute: bool = True
) -> Attribution:
    """The gradient of a class's score by the pixels.

    `raw` are the gradients; `values` the greatest among the channels of each pixel, without its sign.

    Args:
        model: A model of one input.
        x: Images.
        class_index: The class, or one for each image; None for the predicted ones.
        output: Which of several outputs: its number, or the name of the layer that makes it.
        absolute: Whether signs are left out; else channels are added up.

    Returns:
        The map: `found.values`, `found.plot()`.

    Raises:
        ValueError: An argument is none of these.

    Reference: K. Simonyan, A. Vedaldi, A. Zisserman (2014), "Deep Inside Convolutional Networks: Visualising
    Image Classification Models and Saliency Maps", arXiv:1312.6034, section 3.

    >>> import numpy as np
    >>> import cnnrs
    >>> model = cnnrs.Sequential([cnnrs.Input((8, 8, 1)), cnnrs.layers.Flatten(), cnnrs.layers.Dense(3)])
    >>> cnnrs.analysis.saliency(model, np.ones((2, 8, 8, 1)), class_index=[0, 2]).values.shape
    (2, 8, 8)
    """
    images = image_of(model, x, "saliency")
    scorer = Scorer(model, images, class_index, output, "saliency")
    raw, _ = _gradients(scorer, images, "saliency")(images)
    channels = _channels(model, images)
    values = (
        np.abs(raw).max(axis=channels) if flag(absolute, "saliency", "absolute") else raw.sum(axis=channels)
    )
    return Attribution("saliency", values, scorer.classes, scorer.scores, images, raw)


@named
def smooth_grad(
    model: Any,
    x: Any,
    class_index: Any = None,
    *,
    samples: int = 50,
    noise: float = 0.15,
    seed: int = 0,
    output: Any = None,
    absolute: bool = True,
) -> Attribution:
    """The mean of the saliency of noisy copies of each image.

    Args:
        model: A model of one input.
        x: Images.
        class_index: The class, or one for each image; None for those predicted of images without noise.
        samples: Noisy copies.
        noise: The noise's standard deviation, as a share of the image's range; the paper has 0.1 to 0.2.
        seed: What the noise comes from.
        output: Which of several outputs: its number, or the name of the layer that makes it.
        absolute: Whether signs are left out; else channels are added up.

    Returns:
        The map: `found.values`, `found.plot()`.

    Raises:
        ValueError: An argument is none of these.

    Reference: D. Smilkov, N. Thorat, B. Kim, F. Viégas, M. Wattenberg (2017), "SmoothGrad: removing noise by
    adding noise", arXiv:1706.03825.

    >>> import numpy as np
    >>> import cnnrs
    >>> model = cnnrs.Sequential([cnnrs.Input((8, 8, 1)), cnnrs.layers.Flatten(), cnnrs.layers.Dense(3)])
    >>> image = np.random.default_rng(0).normal(size=(1, 8, 8, 1))
    >>> found = cnnrs.analysis.smooth_grad(model, image, samples=4)
    >>> plain = cnnrs.analysis.saliency(model, image)
    >>> bool(np.allclose(found.values, plain.values, atol=1e-6))  # the model is linear
    True
    """
    owner = "smooth_grad"
    images = image_of(model, x, owner)
    samples = integer(samples, owner, "samples", least=1)
    noise = number(noise, owner, "noise", least=0)
    scorer = Scorer(model, images, class_index, output, owner)
    gradients = _gradients(scorer, images, owner)
    random = np.random.default_rng(seed)
    axes = tuple(range(1, images.ndim))
    spread = noise * (images.max(axis=axes, keepdims=True) - images.min(axis=axes, keepdims=True))
    total = np.zeros(images.shape, np.float64)
    for _ in range(samples):
        noisy = images + spread * random.standard_normal(images.shape)
        total += gradients(noisy.astype(np.float32))[0]
    raw = (total / samples).astype(np.float32)
    channels = _channels(model, images)
    values = np.abs(raw).max(axis=channels) if flag(absolute, owner, "absolute") else raw.sum(axis=channels)
    return Attribution("SmoothGrad", values, scorer.classes, scorer.scores, images, raw)


@named
def integrated_gradients(
    model: Any,
    x: Any,
    class_index: Any = None,
    *,
    baseline: Any = 0.0,
    steps: int = 50,
    output: Any = None,
) -> Attribution:
    """Gradients along the straight way from a baseline to each image, times that way.

    What the pixels are given adds up to the difference of the scores of image and baseline;
    `completeness_error` says by how much it fails to, because the way has finitely many steps. Points are
    those of Gauss and Legendre.

    Args:
        model: A model of one input.
        x: Images.
        class_index: The class, or one for each image; None for the predicted ones.
        baseline: An image without what is looked for, or a number for all pixels.
        steps: Points on the way.
        output: Which of several outputs: its number, or the name of the layer that makes it.

    Returns:
        `raw` for pixels and channels, `values` summed over channels, and the error.

    Raises:
        ValueError: An argument is none of these.

    Reference: M. Sundararajan, A. Taly, Q. Yan (2017), "Axiomatic Attribution for Deep Networks",
    arXiv:1703.01365, equation 1 and proposition 1.

    >>> import numpy as np
    >>> import cnnrs
    >>> model = cnnrs.Sequential([cnnrs.Input((8, 8, 1)), cnnrs.layers.Flatten(), cnnrs.layers.Dense(3)])
    >>> found = cnnrs.analysis.integrated_gradients(model, np.ones((1, 8, 8, 1)))
    >>> bool(abs(found.completeness_error[0]) < 1e-5)
    True
    """
    owner = "integrated_gradients"
    images = image_of(model, x, owner)
    steps = integer(steps, owner, "steps", least=1)
    try:
        start = np.broadcast_to(np.asarray(baseline, np.float32), images.shape)
    except (TypeError, ValueError):
        raise ValueError(
            f"{owner}: baseline: expected a number, or an array that fits {images.shape}, received "
            f"{baseline!r}"
        ) from None
    scorer = Scorer(model, images, class_index, output, owner)
    gradients = _gradients(scorer, images, owner)
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    way = images - start
    total = np.zeros(images.shape, np.float64)
    for place, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        total += weight * gradients((start + place * way).astype(np.float32))[0]
    raw = total * way
    before = gradients(np.ascontiguousarray(start))[1]
    error = raw.reshape(len(raw), -1).sum(axis=1) - (scorer.scores.astype(np.float64) - before)
    values = raw.sum(axis=_channels(model, images))
    return Attribution(
        "integrated gradients",
        values.astype(np.float32),
        scorer.classes,
        scorer.scores,
        images,
        raw.astype(np.float32),
        completeness_error=error,
    )
