"""Boxes in images, as (top, left, bottom, right) of 0 to 1."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cnnrs import ops, random
from cnnrs.compat.tf.arguments import as_float, numbers, tensor
from cnnrs.compat.tf.namespaces import operation
from cnnrs.compat.tf.random import Generator, source

__all__ = [
    "crop_and_resize",
    "draw_bounding_boxes",
    "sample_distorted_bounding_box",
    "stateless_sample_distorted_bounding_box",
]


def _sampling(low: Any, high: Any, extent: int, target: int, method: str) -> tuple[Any, Any]:
    """For each box a matrix of shape (target, extent), and which of its rows lie inside of the image."""
    if target > 1:
        steps = (high - low) * (extent - 1) / (target - 1)
        places = (low * (extent - 1))[:, None] + steps[:, None] * np.arange(target, dtype="float32")
    else:
        places = (0.5 * (low + high) * (extent - 1))[:, None]
    inside = ops.logical_and(places >= 0, places <= extent - 1)
    pixels = np.arange(extent, dtype="float32")
    if method == "bilinear":
        return ops.maximum(1.0 - ops.abs(places[..., None] - pixels), 0.0), inside
    return ops.cast(ops.equal(ops.floor(places + 0.5)[..., None], pixels), "float32"), inside


@operation
def crop_and_resize(
    image: Any,
    boxes: Any,
    box_indices: Any,
    crop_size: Any,
    method: str = "bilinear",
    extrapolation_value: float = 0.0,
) -> Any:
    """Parts of images, each of the size `crop_size`.

    Args:
        image: A tensor of shape (batch, height, width, channels).
        boxes: (top, left, bottom, right) of each part, a tensor of shape (n, 4); 1 is the last pixel.
        box_indices: Of which image each part is.
        crop_size: Height and width of the results.
        method: "bilinear" or "nearest".
        extrapolation_value: What stands where a box leaves the image.

    Returns:
        A float32 tensor of shape (n, height, width, channels).
    """
    x, corners = ops.cast(tensor(image), "float32"), as_float(boxes, "image.crop_and_resize")
    size = numbers(crop_size, "image.crop_and_resize", "crop_size")
    if method not in ("bilinear", "nearest"):
        raise ValueError(
            f"tf.image.crop_and_resize: method: expected bilinear or nearest, received {method!r}"
        )
    if x.ndim != 4 or corners.ndim != 2 or corners.shape[1] != 4 or len(size) != 2 or min(size) < 1:
        raise ValueError(
            f"tf.image.crop_and_resize: expected images of 4 axes, boxes of shape (n, 4) and two extents, "
            f"received {tuple(x.shape)}, {tuple(corners.shape)} and {size}"
        )
    rows, row_inside = _sampling(corners[:, 0], corners[:, 2], x.shape[1], size[0], method)
    columns, column_inside = _sampling(corners[:, 1], corners[:, 3], x.shape[2], size[1], method)
    chosen = ops.take(x, ops.cast(tensor(box_indices), "int32"), axis=0)
    parts = ops.einsum("nih,nhwc->niwc", rows, chosen)
    parts = ops.einsum("njw,niwc->nijc", columns, parts)
    inside = ops.logical_and(row_inside[:, :, None], column_inside[:, None, :])[..., None]
    return ops.where(inside, parts, float(extrapolation_value))


# Colours of boxes where none are given: one after the other.
_COLORS = np.array(
    [
        [1, 1, 0, 1],
        [0, 0, 1, 1],
        [1, 0, 0, 1],
        [0, 1, 0, 1],
        [0.5, 0, 0.5, 1],
        [0.5, 0.5, 0, 1],
        [0.5, 0, 0, 1],
        [0, 0, 0.5, 1],
        [0, 1, 1, 1],
        [1, 0, 1, 1],
    ],
    "float32",
)


@operation
def draw_bounding_boxes(images: Any, boxes: Any, colors: Any) -> Any:
    """Images with the edges of boxes in colours; it needs values: not while recording.

    Args:
        images: A float tensor of shape (batch, height, width, channels).
        boxes: Corners, of shape (batch, n, 4).
        colors: Colours of shape (m, channels), used one after the other; ten of them if None.
    """
    x = tensor(images)
    pixels, corners = np.array(x), np.asarray(boxes, "float32")
    height, width, depth = pixels.shape[1:]
    palette = _COLORS if colors is None else np.asarray(colors, "float32")
    palette = np.ones((len(palette), 1), "float32") if colors is None and depth == 1 else palette[:, :depth]
    for picture, own in zip(pixels, corners, strict=True):
        for i, box in enumerate(own):
            color = palette[i % len(palette)]
            top, bottom = (int(box[k] * (height - 1)) for k in (0, 2))
            left, right = (int(box[k] * (width - 1)) for k in (1, 3))
            if bottom < top or right < left or bottom < 0 or right < 0 or top >= height or left >= width:
                continue
            across = slice(max(left, 0), min(right, width - 1) + 1)
            down = slice(max(top, 0), min(bottom, height - 1) + 1)
            for row in (top, bottom):
                if 0 <= row < height:
                    picture[row, across] = color
            for column in (left, right):
                if 0 <= column < width:
                    picture[down, column] = color
    return ops.array(pixels)


class Distorted(NamedTuple):
    """What `sample_distorted_bounding_box` gives."""

    begin: Any
    size: Any
    bboxes: Any


def _sampled(
    host: np.random.Generator,
    image_size: Any,
    bounding_boxes: Any,
    covered: float,
    aspect_ratio_range: Any,
    area_range: Any,
    attempts: int,
    use_image: bool,
) -> Distorted:
    """A window whose area and proportions are drawn, and which covers enough of a box (Szegedy 2014)."""
    height, width, depth = numbers(image_size, "image.sample_distorted_bounding_box", "image_size")
    found = np.asarray(bounding_boxes, "float32").reshape(-1, 4)
    if not len(found):
        if not use_image:
            raise ValueError(
                "tf.image.sample_distorted_bounding_box: expected boxes, or use_image_if_no_bounding_boxes"
            )
        found = np.array([[0.0, 0.0, 1.0, 1.0]], "float32")
    inner = found * np.array([height, width, height, width])
    window = (0, 0, height, width)
    for _ in range(attempts):
        ratio = host.uniform(*aspect_ratio_range)
        area = host.uniform(*area_range) * height * width
        rows, columns = round((area / ratio) ** 0.5), round((area * ratio) ** 0.5)
        if not (1 <= rows <= height and 1 <= columns <= width):
            continue
        if not area_range[0] <= rows * columns / (height * width) <= area_range[1]:
            continue
        top, left = host.integers(0, height - rows + 1), host.integers(0, width - columns + 1)
        common = np.maximum(
            np.minimum(inner[:, 2], top + rows) - np.maximum(inner[:, 0], top), 0
        ) * np.maximum(np.minimum(inner[:, 3], left + columns) - np.maximum(inner[:, 1], left), 0)
        size = np.maximum((inner[:, 2] - inner[:, 0]) * (inner[:, 3] - inner[:, 1]), 1e-12)
        if (common / size >= covered).any():
            window = (int(top), int(left), rows, columns)
            break
    top, left, rows, columns = window
    box = np.array(
        [[[top / height, left / width, (top + rows) / height, (left + columns) / width]]], "float32"
    )
    begin, extent = np.array([top, left, 0], "int32"), np.array([rows, columns, -1 if depth else 0], "int32")
    return Distorted(ops.array(begin), ops.array(extent), ops.array(box))


@operation
def sample_distorted_bounding_box(
    image_size: Any,
    bounding_boxes: Any,
    seed: Any = 0,
    min_object_covered: float = 0.1,
    aspect_ratio_range: Any = None,
    area_range: Any = None,
    max_attempts: int | None = None,
    use_image_if_no_bounding_boxes: Any = None,
) -> Distorted:
    """A random window that covers enough of a box: where it begins, its size, and its corners.

    Args:
        image_size: (height, width, channels).
        bounding_boxes: Corners, of shape (..., 4).
        seed: Integer; 0 for the generator of the process.
        min_object_covered: The part of a box that the window covers.
        aspect_ratio_range: Bounds of width by height; (0.75, 1.33) if None.
        area_range: Bounds of the part of the image; (0.05, 1) if None.
        max_attempts: How often to draw before the whole image is taken; 100 if None.
        use_image_if_no_bounding_boxes: Whether without boxes the image is the box; else an error.
    """
    keys = (
        source(seed, "sample_distorted_bounding_box")
        if np.asarray(seed).any()
        else random.global_seed_generator()
    )
    return _sampled(
        np.random.default_rng(keys.next_seed()),
        image_size,
        bounding_boxes,
        float(min_object_covered),
        aspect_ratio_range or (0.75, 1.33),
        area_range or (0.05, 1.0),
        100 if max_attempts is None else max_attempts,
        bool(use_image_if_no_bounding_boxes),
    )


@operation
def stateless_sample_distorted_bounding_box(
    image_size: Any,
    bounding_boxes: Any,
    seed: Any,
    min_object_covered: float = 0.1,
    aspect_ratio_range: Any = None,
    area_range: Any = None,
    max_attempts: int | None = None,
    use_image_if_no_bounding_boxes: Any = None,
) -> Distorted:
    """As `sample_distorted_bounding_box`, the same for the same seed of two integers."""
    return _sampled(
        np.random.default_rng(Generator.from_seed(seed)._keys.next_seed()),
        image_size,
        bounding_boxes,
        float(min_object_covered),
        aspect_ratio_range or (0.75, 1.33),
        area_range or (0.05, 1.0),
        100 if max_attempts is None else max_attempts,
        bool(use_image_if_no_bounding_boxes),
    )
