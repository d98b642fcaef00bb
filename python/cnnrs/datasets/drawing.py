"""Pictures of shapes in scenes with textures, clutter, light and noise: what `datasets.shapes` draws.

A picture follows from a row of uniform numbers, which does not depend on its size: a scene can be drawn small
and large. A shape is given by its radius as a function of the angle; a hole makes rings and crescents.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from cnnrs import _core

__all__ = ["CLASS_NAMES", "MOST_OBJECTS", "Pictures", "draw"]

CLASS_NAMES = ("disc", "ring", "crescent", "triangle", "square", "star", "cross", "heart", "arrow", "flower")
MOST_OBJECTS = 4

# Angles at which radii are kept.
_ANGLES = 1024
# Pictures that are drawn at once, and whose noise has one generator.
_CHUNK = 100
_BARS = 4
_GRID = 4


class Pictures(NamedTuple):
    """Pictures with what is in them.

    Attributes:
        images: (n, size, size, 3), uint8.
        labels: (n, objects) of int32: the classes of the objects, the hindmost first; -1 for none.
        boxes: (n, objects, 4) of float32: left, top, right and bottom of their visible parts in pixels; -1
            for none.
        masks: (n, size, size), uint8: 0 for background, else 1 + the class of the object in front.
    """

    images: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray
    masks: np.ndarray


def _radii(corners: np.ndarray) -> np.ndarray:
    """Radii of a polygon around 0 at `_ANGLES` angles; it is seen from 0 as a whole."""
    angles = np.arange(_ANGLES) * (2 * np.pi / _ANGLES)
    rays = np.stack([np.cos(angles), np.sin(angles)], -1)[:, None]
    begin, along = corners, np.roll(corners, -1, axis=0) - corners
    cross = rays[..., 0] * along[:, 1] - rays[..., 1] * along[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = (begin[:, 0] * along[:, 1] - begin[:, 1] * along[:, 0]) / cross
        part = (begin[:, 0] * rays[..., 1] - begin[:, 1] * rays[..., 0]) / cross
    hit = np.isfinite(distance) & (distance > 0) & (part >= -1e-9) & (part <= 1 + 1e-9)
    return np.where(hit, distance, 0).max(1)


def _ngon(count: int, inner: float | None = None) -> np.ndarray:
    """Corners of a regular polygon, or of a star whose inner corners have the radius `inner`."""
    corners = count if inner is None else 2 * count
    angles = np.arange(corners) * (2 * np.pi / corners)
    radii = np.where(np.arange(corners) % 2 == 1, inner or 1.0, 1.0)
    return np.stack([radii * np.sin(angles), -radii * np.cos(angles)], -1)


def _heart() -> np.ndarray:
    t = np.arange(400) * (2 * np.pi / 400)
    x = 16 * np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    return np.stack([x, y + 1.0], -1) / 16


def _shapes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each class: radii by angle, the factor from a difference of radii to a distance, and the hole.

    A hole is a disc: its place on the x axis and its radius, which is negative if there is none.
    """
    arm = 0.36
    cross = [
        (arm, -1), (arm, -arm), (1, -arm), (1, arm), (arm, arm), (arm, 1),
        (-arm, 1), (-arm, arm), (-1, arm), (-1, -arm), (-arm, -arm), (-arm, -1),
    ]  # fmt: skip
    arrow = [(0, -1), (0.85, 0.1), (0.34, 0.1), (0.34, 1), (-0.34, 1), (-0.34, 0.1), (-0.85, 0.1)]
    angles = np.arange(_ANGLES) * (2 * np.pi / _ANGLES)
    round_ = np.ones(_ANGLES)
    radii = {
        "disc": round_,
        "ring": round_,
        "crescent": round_,
        "triangle": _radii(_ngon(3)),
        "square": _radii(_ngon(4)),
        "star": _radii(_ngon(5, 0.42)),
        "cross": _radii(np.array(cross, float)),
        "heart": _radii(_heart()),
        "arrow": _radii(np.array(arrow, float)),
        "flower": 1 + 0.22 * np.cos(6 * angles),
    }
    holes = {"ring": (0.0, 0.55), "crescent": (0.5, 0.8)}
    table = np.stack([radii[name] for name in CLASS_NAMES])
    hole = np.array([holes.get(name, (0.0, -1.0)) for name in CLASS_NAMES])
    # Shapes have about the same area, so that size tells nothing.
    area = (table**2).mean(1)
    table = table / np.sqrt(area)[:, None] * np.where(hole[:, 1] > 0, 1.1, 1.0)[:, None]
    slope = (np.roll(table, -1, 1) - np.roll(table, 1, 1)) * (_ANGLES / (4 * np.pi))
    steep = 1 / np.sqrt(1 + (slope / table) ** 2)
    return table.astype(np.float32), steep.astype(np.float32), hole.astype(np.float32)


_TABLE, _STEEP, _HOLES = _shapes()


class _Draws:
    """Uniform numbers of each picture, taken one column after the other."""

    def __init__(self, numbers: np.ndarray):
        self._numbers = numbers
        self._taken = 0

    def take(self, low: float = 0.0, high: float = 1.0, count: int | None = None) -> np.ndarray:
        """(n, 1, 1) numbers from `low` to `high`; with a `count`, (n, count, 1, 1)."""
        first, self._taken = self._taken, self._taken + (count or 1)
        values = np.float32(low) + np.float32(high - low) * self._numbers[:, first : self._taken]
        return values[:, :, None] if count is None else values[:, :, None, None]


# Numbers of a picture: see what `_chunk` takes.
_NUMBERS = 167


def draw(stop: int, size: int, objects: tuple[int, int], seed: int, first: int = 0) -> Pictures:
    """Draws the pictures `first` to `stop - 1`. A picture is the same whatever these are.

    Args:
        stop: The number of the picture to stop before.
        size: Their height and width.
        objects: The fewest and the most objects of a picture, at most `MOST_OBJECTS`.
        seed: Of all.
        first: The number of the first, a multiple of 100.
    """
    starts = range(first, stop, _CHUNK)
    parts = _in_threads(
        lambda start: _numbered(start, min(start + _CHUNK, stop), size, objects, seed), starts
    )
    if parts:
        return Pictures(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    most = objects[1]
    return Pictures(
        np.zeros((0, size, size, 3), np.uint8),
        np.zeros((0, most), np.int32),
        np.zeros((0, most, 4), np.float32),
        np.zeros((0, size, size), np.uint8),
    )


def _in_threads(function: Callable[[int], Pictures], starts: range) -> list[Pictures]:
    """What a function gives for each start. numpy leaves other threads the interpreter while it computes."""
    workers = min(len(starts), _core.get_num_threads())
    if workers <= 1:
        return [function(start) for start in starts]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, starts))


def _numbered(first: int, stop: int, size: int, objects: tuple[int, int], seed: int) -> Pictures:
    """The pictures of one chunk, whose draws have a generator of their own."""
    rng = np.random.default_rng([seed, first // _CHUNK])
    numbers = rng.random((_CHUNK, _NUMBERS), np.float32)
    # Each ten pictures show each class once as their first object.
    classes = rng.integers(len(CLASS_NAMES), size=(_CHUNK, MOST_OBJECTS))
    classes[:, 0] = rng.random((_CHUNK // 10, 10)).argsort(1).reshape(-1)
    n = stop - first
    return _chunk(_Draws(numbers[:n]), classes[:n], size, objects, rng)


def _chunk(
    draws: _Draws, classes: np.ndarray, size: int, objects: tuple[int, int], rng: np.random.Generator
) -> Pictures:
    n = len(classes)
    line = ((np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1).astype(np.float32)
    x, y = line[None, None, :], line[None, :, None]
    image, base = _background(draws, x, y, size)
    image = _bars(draws, image, x, y, 2 / size, _BARS // 2)
    fewest, most = objects
    present = fewest + np.floor(draws.take()[:, 0, 0] * (most - fewest + 1)).astype(int)
    places = draws.take(count=MOST_OBJECTS)[:, :, 0, 0].argsort(1)
    front = np.full((n, size, size), -1, np.int8)
    for index in range(most):
        shown = (index < present)[:, None, None]
        cover, colour = _object(draws, classes[:, index], x, y, 2 / size, most, places[:, index], base)
        cover = cover * shown
        image += cover[:, None] * (colour - image)
        front[cover > 0.5] = index
    image = _bars(draws, image, x, y, 2 / size, _BARS // 2)
    # Light that falls from one side, and its colour.
    angle = draws.take(0, 2 * np.pi)
    light = 1 + draws.take(0, 0.45) * (np.cos(angle) * x + np.sin(angle) * y)
    image *= light[:, None] * (draws.take(0.65, 1.15)[:, None] * draws.take(0.8, 1.2, count=3))
    noise = rng.standard_normal(image.shape, np.float32)
    image += noise * draws.take(0.01, 0.055)[:, None]
    images = (np.clip(image, 0, 1, out=image) * 255 + 0.5).astype(np.uint8)
    return Pictures(
        np.ascontiguousarray(images.transpose(0, 2, 3, 1)), *_annotations(front, classes[:, :most])
    )


def _background(draws: _Draws, x: np.ndarray, y: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Colours that change from place to place, with a grating. Gives their mean, too."""
    base = draws.take(0.1, 0.9, count=3)
    grid = draws.take(-0.5, 0.5, count=3 * _GRID * _GRID).reshape(-1, 3, _GRID, _GRID)
    image = base + draws.take(0.0, 0.45)[:, None] * _enlarged(grid, size)
    angle, frequency, phase = draws.take(0, np.pi), draws.take(2, 12), draws.take(0, 2 * np.pi)
    wave = np.sin(frequency * (np.cos(angle) * x + np.sin(angle) * y) + phase)
    image += (draws.take(0.0, 0.14) * wave)[:, None] * draws.take(0.3, 1, count=3)
    return image, base


def _enlarged(grid: np.ndarray, size: int) -> np.ndarray:
    """A grid of colours interpolated to the size of the picture."""
    place = np.linspace(0, _GRID - 1, size, dtype=np.float32)
    weights = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(_GRID, dtype=np.float32)))
    return np.matmul(np.matmul(weights, grid), weights.T)


def _bars(
    draws: _Draws, image: np.ndarray, x: np.ndarray, y: np.ndarray, pixel: float, count: int
) -> np.ndarray:
    """Bars in front of what is there: clutter."""
    for _ in range(count):
        shown = draws.take() < 0.7
        angle, dx, dy = draws.take(0, np.pi), x - draws.take(-1, 1), y - draws.take(-1, 1)
        along = np.abs(np.cos(angle) * dx + np.sin(angle) * dy) - draws.take(0.1, 0.5)
        across = np.abs(np.cos(angle) * dy - np.sin(angle) * dx) - draws.take(0.02, 0.06)
        cover = np.clip(0.5 - np.maximum(along, across) * np.float32(1 / pixel), 0, 1) * shown
        image += cover[:, None] * (draws.take(0, 1, count=3) - image)
    return image


def _object(
    draws: _Draws,
    classes: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    pixel: float,
    most: int,
    places: np.ndarray,
    base: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """How far an object covers each pixel, and its colours.

    Args:
        most: How many objects a picture may have: several lie in its quarters.
        places: The quarter of each.
        base: The mean colour of the background.
    """
    scale, cx, cy = draws.take(0.38, 0.66), draws.take(-1, 1), draws.take(-1, 1)
    reach: Any
    middle_x: Any
    middle_y: Any
    if most > 1:
        scale = scale * 0.62
        reach = 0.12
        middle_x, middle_y = (places % 2)[:, None, None] - 0.5, (places // 2)[:, None, None] - 0.5
    else:
        reach, middle_x, middle_y = 0.95 - scale, 0.0, 0.0
    cx, cy = middle_x + cx * reach, middle_y + cy * reach
    angle, stretch = draws.take(-0.6, 0.6), np.exp(draws.take(-0.2, 0.2))
    dx, dy = x - cx, y - cy
    u = (np.cos(angle) * dx + np.sin(angle) * dy) / (scale * stretch)
    v = (-np.sin(angle) * dx + np.cos(angle) * dy) / (scale / stretch)
    index = (np.arctan2(v, u) * np.float32(_ANGLES / (2 * np.pi))).astype(np.int32) % _ANGLES
    index += (classes * _ANGLES).astype(np.int32)[:, None, None]
    radius = np.sqrt(u * u + v * v)
    distance = (radius - _TABLE.reshape(-1)[index]) * _STEEP.reshape(-1)[index]
    hole_x, hole_radius = _HOLES[classes].T[:, :, None, None]
    hole = np.sqrt((u - hole_x) ** 2 + v * v) - hole_radius
    distance = np.where(hole_radius > 0, np.maximum(distance, -hole), distance)
    cover = np.clip(0.5 - distance * (scale / np.float32(pixel)), 0, 1)
    # A colour that differs from the background: by at least a part of the way to black or white.
    colour = draws.take(0, 1, count=3)
    away = np.where(base.mean(1, keepdims=True) > 0.5, 0.0, 1.0)
    colour = colour + draws.take(0.4, 0.8)[:, None] * (away - colour)
    second = colour + draws.take(-0.3, 0.3, count=3)
    kind, frequency, phase = draws.take(), draws.take(6, 14), draws.take(0, 2 * np.pi)
    stripes = np.sin(frequency * u + phase)
    checks = stripes * np.sin(frequency * v + phase)
    pattern = np.where(kind < 0.4, 0.0, np.where(kind < 0.7, stripes, checks))
    mix = np.clip(pattern * 2, 0, 1)[:, None]
    return cover, colour + mix * (second - colour)


def _annotations(front: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, boxes and masks, by which object is in front at each pixel."""
    n, most = classes.shape
    size = front.shape[1]
    labels = np.full((n, most), -1, np.int32)
    boxes = np.full((n, most, 4), -1, np.float32)
    masks = np.zeros(front.shape, np.uint8)
    for index in range(most):
        visible = front == index
        columns, rows = visible.any(1), visible.any(2)
        there = columns.any(1)
        labels[there, index] = classes[there, index]
        edges = [
            columns.argmax(1), rows.argmax(1),
            size - columns[:, ::-1].argmax(1), size - rows[:, ::-1].argmax(1),
        ]  # fmt: skip
        boxes[there, index] = np.stack(edges, -1)[there]
        masks += visible * (classes[:, index] + 1).astype(np.uint8)[:, None, None]
    return labels, boxes, masks
