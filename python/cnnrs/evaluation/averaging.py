"""Predictions for several views of an image, averaged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from cnnrs.analysis.receptive_fields import spatial_axes
from cnnrs.base.arguments import flag, integer
from cnnrs.evaluation.labels import as_array
from cnnrs.evaluation.outputs import of_model
from cnnrs.ops.spatial import pair

__all__ = ["test_time_augmentation"]


def test_time_augmentation(
    model: Any,
    x: Any,
    *,
    horizontal_flip: bool = True,
    vertical_flip: bool = False,
    crop_size: Any = None,
    batch_size: int = 32,
    from_logits: bool | None = None,
) -> np.ndarray:
    """The mean of the probabilities for an image, its mirror images and its crops.

    With `crop_size` and the horizontal flip these are the ten views of the paper: the four corners and the
    middle, each as it is and flipped.

    Args:
        model: A model of one input that gives one score a class.
        x: Images as the model takes them: (samples, height, width, channels); with `crop_size` larger ones.
        horizontal_flip: Whether left and right are exchanged in further views.
        vertical_flip: Whether top and bottom are.
        crop_size: (height, width) of five crops, or one number for both; None takes whole images.
        batch_size: Images that are computed at once.
        from_logits: Whether the model gives logits; None asks its loss, and looks at what it gives.

    Returns:
        Probabilities of shape (samples, classes) in float64.

    Raises:
        ValueError: The samples are no images, or smaller than the crops.

    Reference: A. Krizhevsky, I. Sutskever, G. E. Hinton (2012), "ImageNet Classification with Deep
    Convolutional Neural Networks", NeurIPS, section 4.1.

    >>> import numpy as np
    >>> import cnnrs
    >>> from cnnrs import evaluation, layers
    >>> model = cnnrs.Sequential(
    ...     [cnnrs.Input((8, 8, 3)), layers.Flatten(), layers.Dense(2, activation="softmax")]
    ... )
    >>> x = np.random.default_rng(0).random((3, 8, 8, 3), np.float32)
    >>> found = evaluation.test_time_augmentation(model, x)
    >>> both = (model.predict(x, verbose=0) + model.predict(x[:, :, ::-1], verbose=0)) / 2
    >>> bool(np.allclose(found, both, atol=1e-6))
    True
    """
    owner = "test_time_augmentation"
    batch_size = integer(batch_size, owner, "batch_size", least=1)
    images = as_array(x)
    axes = spatial_axes(model, images.ndim)
    if images.ndim != 4 or len(axes) != 2:
        raise ValueError(
            f"{owner}: x: expected (samples, height, width, channels), received shape {images.shape}"
        )
    down, across = axes
    flips: list[tuple[int, ...]] = [()]
    if flag(horizontal_flip, owner, "horizontal_flip"):
        flips += [(*axes_flipped, across) for axes_flipped in list(flips)]
    if flag(vertical_flip, owner, "vertical_flip"):
        flips += [(*axes_flipped, down) for axes_flipped in list(flips)]
    total, views = None, 0
    for crop in _crops(images, (down, across), crop_size, owner):
        for flipped in flips:
            view = np.ascontiguousarray(np.flip(crop, flipped))
            outputs = [
                np.asarray(model.predict_on_batch(view[i : i + batch_size]))
                for i in range(0, len(view), batch_size)
            ]
            scores = of_model(model, np.concatenate(outputs), owner, from_logits)
            total = scores if total is None else total + scores
            views += 1
    assert total is not None
    return total / views


# pytest takes functions of such names for tests.
test_time_augmentation.__test__ = False  # type: ignore[attr-defined]


def _crops(images: np.ndarray, axes: tuple[int, int], crop_size: Any, owner: str) -> Iterator[np.ndarray]:
    if crop_size is None:
        yield images
        return
    size = [int(extent) for extent in pair(crop_size, f"{owner}: crop_size")]
    room = [images.shape[axis] - extent for axis, extent in zip(axes, size, strict=True)]
    if min(room) < 0 or min(size) < 1:
        raise ValueError(
            f"{owner}: crop_size: expected at most {tuple(images.shape[a] for a in axes)}, as large as the "
            f"images are, received {tuple(size)}"
        )
    for top, left in ((0, 0), (0, 1), (1, 0), (1, 1), (0.5, 0.5)):
        start = [int(part * free) for part, free in zip((top, left), room, strict=True)]
        index: list[Any] = [slice(None)] * images.ndim
        for axis, first, extent in zip(axes, start, size, strict=True):
            index[axis] = slice(first, first + extent)
        yield images[tuple(index)]
