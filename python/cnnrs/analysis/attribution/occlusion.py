"""Occlusion: how much a score falls when a part of the image is covered."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.analysis.attribution.scores import Attribution, Scorer, image_of
from cnnrs.analysis.receptive_fields import spatial_axes
from cnnrs.base.arguments import integer, named, number

__all__ = ["occlusion"]


@named
def occlusion(
    model: Any,
    x: Any,
    class_index: Any = None,
    *,
    window: Any = None,
    stride: Any = None,
    value: float = 0.0,
    output: Any = None,
    batch_size: int = 32,
) -> Attribution:
    """How much the score of a class falls when a window of the image is covered.

    The model alone is asked, no gradient is taken. `raw` has the fall for each window, `values` for each
    pixel the mean of the windows that cover it.

    Args:
        model: A model of one input.
        x: Images.
        class_index: The class, or one for each image; None for the predicted ones.
        window: Rows and columns of the window, by default an eighth of the image.
        stride: Step between windows, by default half of the window.
        value: What the window is filled with.
        output: Which of several outputs: its number, or the name of the layer that makes it.
        batch_size: Covered images that are computed at once.

    Returns:
        The map: `found.values`, `found.plot()`.

    Raises:
        ValueError: The window is larger than the image, or an argument is none of these.

    Reference: M. D. Zeiler, R. Fergus (2013), "Visualizing and Understanding Convolutional Networks",
    arXiv:1311.2901, section 4.2.

    >>> import numpy as np
    >>> import cnnrs
    >>> model = cnnrs.Sequential([cnnrs.Input((8, 8, 1)), cnnrs.layers.Flatten(), cnnrs.layers.Dense(3)])
    >>> found = cnnrs.analysis.occlusion(model, np.ones((1, 8, 8, 1)), window=4, stride=2)
    >>> found.raw.shape, found.values.shape
    ((1, 3, 3), (1, 8, 8))
    """
    owner = "occlusion"
    images = image_of(model, x, owner)
    axes = spatial_axes(model, images.ndim)
    if len(axes) != 2:
        raise ValueError(f"{owner}: x: expected images of 4 axes, received shape {images.shape}")
    extents = [images.shape[a] for a in axes]
    sizes = _pair(window, [max(1, n // 8) for n in extents], owner, "window")
    strides = _pair(stride, [max(1, n // 2) for n in sizes], owner, "stride")
    if any(size > n for size, n in zip(sizes, extents, strict=True)):
        raise ValueError(f"{owner}: window: expected at most {tuple(extents)}, received {tuple(sizes)}")
    value = number(value, owner, "value")
    batch_size = integer(batch_size, owner, "batch_size", least=1)
    # The last windows end with the image.
    starts = [
        sorted({*range(0, n - size + 1, step), n - size})
        for n, size, step in zip(extents, sizes, strides, strict=True)
    ]
    scorer = Scorer(model, images, class_index, output, owner)
    places = [(i, top, left) for i in range(len(images)) for top in starts[0] for left in starts[1]]
    count = min(batch_size, len(places))
    function = scorer.recorded(images[np.zeros(count, int)], [], lambda found, scores: [scores])
    scores = np.empty(len(places))
    for first in range(0, len(places), count):
        part = places[first : first + count]
        # The last batch is filled up, so that one recording serves all.
        chosen = np.array([i for i, _, _ in [*part, *[part[-1]] * (count - len(part))]])
        covered = images[chosen]
        for k, (_, top, left) in enumerate(part):
            where: list[Any] = [k, *[slice(None)] * (images.ndim - 1)]
            where[axes[0]] = slice(top, top + sizes[0])
            where[axes[1]] = slice(left, left + sizes[1])
            covered[tuple(where)] = value
        (found,) = function(covered, scorer.mask(scorer.classes[chosen]))
        scores[first : first + len(part)] = found[: len(part)]
    falls = scorer.scores[:, None] - scores.reshape(len(images), -1)
    raw = falls.reshape(len(images), len(starts[0]), len(starts[1]))
    total, covers = np.zeros((len(images), *extents)), np.zeros(extents)
    for r, top in enumerate(starts[0]):
        for c, left in enumerate(starts[1]):
            window_at = (slice(top, top + sizes[0]), slice(left, left + sizes[1]))
            total[(slice(None), *window_at)] += raw[:, r, c, None, None]
            covers[window_at] += 1
    values = (total / np.maximum(covers, 1)).astype(np.float32)
    return Attribution("occlusion", values, scorer.classes, scorer.scores, images, raw.astype(np.float32))


def _pair(given: Any, default: list[int], owner: str, name: str) -> list[int]:
    if given is None:
        return default
    values = list(given) if isinstance(given, (tuple, list)) else [given, given]
    if len(values) != 2:
        raise ValueError(f"{owner}: {name}: expected an integer or two, received {given!r}")
    return [integer(v, owner, name, least=1) for v in values]
