"""Arrays as pictures: heat maps over images, and grids of small pictures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnrs.base.arguments import file_path, number
from cnnrs.base.extras import library, pyplot
from cnnrs.charts.png import tiles

__all__ = ["filter_tiles", "grid", "heat", "map_tiles", "overlay", "save_image", "to_unit"]

# Black, violet, red, orange, pale yellow: lighter is more, also in print without colours.
_COLOURS = np.array([[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]], np.float64)


def to_unit(values: np.ndarray, per_sample: bool = True) -> np.ndarray:
    """Values brought to 0 to 1, each sample for itself; 0 where all are equal.

    >>> to_unit(np.array([[1.0, 3.0], [5.0, 5.0]])).tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """
    values = np.asarray(values, np.float64)
    axes = tuple(range(1 if per_sample else 0, values.ndim))
    low, high = values.min(axis=axes, keepdims=True), values.max(axis=axes, keepdims=True)
    spread = high - low
    return np.divide(values - low, spread, out=np.zeros_like(values), where=spread > 0)


def heat(values: np.ndarray) -> np.ndarray:
    """Values from 0 to 1 as colours: uint8 with a last axis of 3.

    >>> heat(np.array([0.0, 1.0])).tolist()
    [[0, 0, 4], [252, 255, 164]]
    """
    places = np.clip(np.asarray(values, np.float64), 0, 1) * (len(_COLOURS) - 1)
    before = np.minimum(places.astype(int), len(_COLOURS) - 2)
    share = (places - before)[..., None]
    return np.rint(_COLOURS[before] * (1 - share) + _COLOURS[before + 1] * share).astype(np.uint8)


def filter_tiles(weights: np.ndarray, count: int = 48) -> np.ndarray:
    """The first filters side by side: of three channels in colours, of others the first channel.

    Args:
        weights: (rows, columns, channels, filters).
        count: How many at most.

    Returns:
        uint8 of shape (height, width, 4), transparent between the filters.
    """
    first = np.moveaxis(weights, -1, 0)[:count]
    unit = to_unit(first if first.shape[-1] == 3 else first[..., :1])
    pixels = np.rint(np.broadcast_to(unit, (*unit.shape[:3], 3)) * 255).astype(np.uint8)
    return tiles(list(pixels), 12, max(1, 28 // max(pixels.shape[1:3])), 2)


def map_tiles(maps: np.ndarray, count: int = 8, side: int = 64) -> np.ndarray:
    """The first channels side by side, each brought to its own range, as heat.

    Args:
        maps: (channels, rows, columns).
        count: How many at most.
        side: Pixels of the longer side; larger maps are shown at a part of their places.

    Returns:
        uint8 of shape (height, width, 4), transparent between the channels.
    """
    step = max(1, -(-max(maps.shape[1:]) // side))
    shown = maps[:count, ::step, ::step].astype(np.float64)
    pictures = [heat(to_unit(channel, per_sample=False)) for channel in shown]
    return tiles(pictures, count, max(1, side // max(shown.shape[1:])), 2)


def overlay(images: np.ndarray, values: np.ndarray, alpha: float = 0.5) -> np.ndarray:
    """Heat maps over images.

    Args:
        images: (samples, height, width, 1 or 3), of any range: each is brought to 0 to 1.
        values: (samples, height, width), brought to 0 to 1 likewise.
        alpha: How much the heat covers, from 0 to 1.

    Returns:
        uint8 of shape (samples, height, width, 3).

    Raises:
        ValueError: The shapes do not fit.
    """
    alpha = number(alpha, "overlay", "alpha", least=0, most=1)
    images, values = np.asarray(images), np.asarray(values)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or images.shape[:3] != values.shape:
        raise ValueError(
            f"overlay: images: expected shape {values.shape} with 1 or 3 channels behind, received "
            f"{images.shape}"
        )
    base = np.broadcast_to(to_unit(images), (*values.shape, 3)) * 255
    return np.rint(base * (1 - alpha) + heat(to_unit(values)) * alpha).astype(np.uint8)


def save_image(path: Any, image: np.ndarray) -> None:
    """Writes an image to a file, in the format that its ending names.

    Args:
        path: The file.
        image: uint8 of shape (height, width, 3).

    Raises:
        ImportError: Pillow of the extra `cnnrs[image]` is not installed.
    """
    library("PIL.Image", "image", "save_image").fromarray(image).save(file_path(path, "save_image"))


def grid(pictures: Any, titles: list[str], owner: str, columns: int = 8, cmap: str = "viridis") -> Any:
    """Draws pictures side by side.

    Args:
        pictures: Arrays of shape (height, width) or (height, width, 3).
        titles: What stands above each, or none.
        owner: What draws, for the error.
        columns: Pictures in a row.
        cmap: Colours of arrays with two axes.

    Returns:
        matplotlib's figure.

    Raises:
        ImportError: matplotlib of the extra `cnnrs[plot]` is not installed.
    """
    columns = max(1, min(columns, len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    size = (1.3 * columns, (1.5 if titles else 1.3) * rows)
    figure, axes = pyplot(owner).subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for i, ax in enumerate(axes.flat):
        ax.axis("off")
        if i < len(pictures):
            ax.imshow(pictures[i], cmap=cmap)
            if titles:
                ax.set_title(titles[i], fontsize=7)
    return figure
