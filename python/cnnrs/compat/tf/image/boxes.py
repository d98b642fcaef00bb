"""Boxes in images, as (top, left, bottom, right) of 0 to 1."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cnnrs import ops, random
from cnnrs.compat.tf.arguments import as_float, boolean, integer, numbers, tensor
from cnnrs.compat.tf.namespaces import operation
from cnnrs.compat.tf.random import Generator, source

__all__ = [
    "combined_non_max_suppression",
    "crop_and_resize",
    "draw_bounding_boxes",
    "non_max_suppression",
    "non_max_suppression_padded",
    "non_max_suppression_with_scores",
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


def _overlaps(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The part of the union of two boxes that both cover; corners may be swapped."""
    low, high = np.minimum(box[..., :2], box[..., 2:]), np.maximum(box[..., :2], box[..., 2:])
    lows, highs = np.minimum(others[:, :2], others[:, 2:]), np.maximum(others[:, :2], others[:, 2:])
    common = np.maximum(np.minimum(high, highs) - np.maximum(low, lows), 0).prod(axis=-1)
    union = (high - low).prod(axis=-1) + (highs - lows).prod(axis=-1) - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def _suppress(
    boxes: np.ndarray, scores: np.ndarray, most: int, iou: float, least: float, sigma: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """The boxes that stay, best first, and their scores (Bodla 2017 for a sigma above 0)."""
    scores = scores.astype("float32").copy()
    alive = scores > least
    kept: list[int] = []
    values: list[float] = []
    while len(kept) < most and alive.any():
        best = int(np.argmax(np.where(alive, scores, -np.inf)))
        kept.append(best)
        values.append(scores[best])
        alive[best] = False
        overlap = _overlaps(boxes[best], boxes)
        if sigma > 0:
            scores = np.where(alive, scores * np.exp(-(overlap**2) / (2 * sigma)), scores).astype("float32")
            alive &= scores > least
        alive &= overlap <= iou
    return np.array(kept, "int32"), np.array(values, "float32")


def _checked(boxes: Any, scores: Any, function: str) -> tuple[np.ndarray, np.ndarray]:
    corners, points = np.asarray(boxes, "float32"), np.asarray(scores, "float32")
    if corners.ndim != 2 or corners.shape[1] != 4 or points.shape != corners.shape[:1]:
        raise ValueError(
            f"tf.image.{function}: expected boxes of shape (n, 4) and n scores, received {corners.shape} and "
            f"{points.shape}"
        )
    return corners, points


@operation
def non_max_suppression(
    boxes: Any,
    scores: Any,
    max_output_size: Any,
    iou_threshold: float = 0.5,
    score_threshold: float = float("-inf"),
) -> Any:
    """The indices of boxes that no better one overlaps, the best first; it needs values: not while recording.

    Args:
        boxes: Corners, of shape (n, 4).
        scores: How good each is.
        max_output_size: The most indices.
        iou_threshold: How much of their union two boxes may have in common.
        score_threshold: What a score must exceed.
    """
    corners, points = _checked(boxes, scores, "non_max_suppression")
    most = integer(max_output_size, "image.non_max_suppression", "max_output_size")
    return ops.array(_suppress(corners, points, most, float(iou_threshold), float(score_threshold))[0])


class WithScores(NamedTuple):
    """What `non_max_suppression_with_scores` gives."""

    selected_indices: Any
    selected_scores: Any


@operation
def non_max_suppression_with_scores(
    boxes: Any,
    scores: Any,
    max_output_size: Any,
    iou_threshold: float = 0.5,
    score_threshold: float = float("-inf"),
    soft_nms_sigma: float = 0.0,
) -> WithScores:
    """As `non_max_suppression`, with the scores; a sigma above 0 lowers the scores of boxes that overlap."""
    corners, points = _checked(boxes, scores, "non_max_suppression_with_scores")
    most = integer(max_output_size, "image.non_max_suppression_with_scores", "max_output_size")
    kept = _suppress(
        corners, points, most, float(iou_threshold), float(score_threshold), float(soft_nms_sigma)
    )
    return WithScores(*map(ops.array, kept))


class Padded(NamedTuple):
    """What `non_max_suppression_padded` gives."""

    selected_indices_padded: Any
    num_valid: Any


@operation
def non_max_suppression_padded(
    boxes: Any,
    scores: Any,
    max_output_size: Any,
    iou_threshold: float = 0.5,
    score_threshold: float = float("-inf"),
    pad_to_max_output_size: bool = False,
) -> Padded:
    """As `non_max_suppression`, with zeros behind if so asked, and how many indices count."""
    corners, points = _checked(boxes, scores, "non_max_suppression_padded")
    most = integer(max_output_size, "image.non_max_suppression_padded", "max_output_size")
    kept, _ = _suppress(corners, points, most, float(iou_threshold), float(score_threshold))
    many = np.array(len(kept), "int32")
    if boolean(pad_to_max_output_size, "image.non_max_suppression_padded", "pad_to_max_output_size"):
        kept = np.pad(kept, (0, most - len(kept)))
    return Padded(ops.array(kept), ops.array(many))


class Combined(NamedTuple):
    """What `combined_non_max_suppression` gives."""

    nmsed_boxes: Any
    nmsed_scores: Any
    nmsed_classes: Any
    valid_detections: Any


@operation
def combined_non_max_suppression(
    boxes: Any,
    scores: Any,
    max_output_size_per_class: Any,
    max_total_size: Any,
    iou_threshold: float = 0.5,
    score_threshold: float = float("-inf"),
    pad_per_class: bool = False,
    clip_boxes: bool = True,
) -> Combined:
    """`non_max_suppression` of each class of each image; it needs values: not while recording.

    Args:
        boxes: Corners, of shape (batch, n, classes or 1, 4).
        scores: Scores, of shape (batch, n, classes).
        max_output_size_per_class: The most boxes of a class.
        max_total_size: The most boxes of an image.
        iou_threshold: How much of their union two boxes may have in common.
        score_threshold: What a score must exceed.
        pad_per_class: Whether the results have as many boxes as all classes may have, at most the total.
        clip_boxes: Whether boxes are clipped to 0 to 1.

    Returns:
        Boxes, scores and classes, zeros behind those that count, and how many count.
    """
    corners, points = np.asarray(boxes, "float32"), np.asarray(scores, "float32")
    if corners.ndim != 4 or points.ndim != 3 or corners.shape[2] not in (1, points.shape[2]):
        raise ValueError(
            "tf.image.combined_non_max_suppression: expected boxes of shape (batch, n, classes or 1, 4) and "
            f"scores of shape (batch, n, classes), received {corners.shape} and {points.shape}"
        )
    per_class = integer(
        max_output_size_per_class, "image.combined_non_max_suppression", "max_output_size_per_class"
    )
    total = integer(max_total_size, "image.combined_non_max_suppression", "max_total_size")
    batch, _, classes = points.shape
    if boolean(pad_per_class, "image.combined_non_max_suppression", "pad_per_class"):
        total = min(total, per_class * classes)
    found = np.zeros((batch, total, 4), "float32")
    values, labels = np.zeros((batch, total), "float32"), np.zeros((batch, total), "float32")
    counts = np.zeros(batch, "int32")
    for b in range(batch):
        rows = []
        for c in range(classes):
            own = corners[b, :, c % corners.shape[2]]
            kept, kept_scores = _suppress(
                own, points[b, :, c], per_class, float(iou_threshold), float(score_threshold)
            )
            rows += [(-s, c, i, own[i]) for i, s in zip(kept.tolist(), kept_scores.tolist(), strict=True)]
        rows.sort(key=lambda row: row[:3])
        counts[b] = len(rows[:total])
        for place, (score, c, _, box) in enumerate(rows[:total]):
            found[b, place], values[b, place], labels[b, place] = box, -score, c
    if boolean(clip_boxes, "image.combined_non_max_suppression", "clip_boxes"):
        found = np.clip(found, 0.0, 1.0)
    return Combined(*(ops.array(x) for x in (found, values, labels, counts)))


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
