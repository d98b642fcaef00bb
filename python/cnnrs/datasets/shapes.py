"""Shapes: 12,000 small colour pictures of ten shapes, which are drawn and not fetched.

A disc, ring, crescent, triangle, square, star, cross, heart, arrow or flower lies in front of a background of
changing colours and a grating. Place, size, angle, aspect, colours and texture vary; bars lie behind and
before it; light falls from one side and has a colour; and there is noise. Colours and sizes tell nothing
about classes: the outline alone does. docs/data/datasets.md has the figures of two networks.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from cnnrs.base.arguments import file_path, flag, integer, named
from cnnrs.base.extras import library
from cnnrs.datasets.drawing import CLASS_NAMES, MOST_OBJECTS, Pictures, draw

__all__ = ["Pictures", "class_names", "draw_pictures", "load_data", "write_folder"]

_TRAIN, _TEST = 10_000, 2_000
# Seeds of the pictures of `load_data`.
_SEEDS = {"train": 0, "test": 1}
_Split = tuple[np.ndarray, np.ndarray]

class_names = list(CLASS_NAMES)


@named
def load_data(size: int = 32) -> tuple[_Split, _Split]:
    """Draws the pictures; the same ones in each call, up to the rounding of the processor's sines.

    Args:
        size: Their height and width in pixels: the same scenes are drawn smaller or larger.

    Returns:
        `((x_train, y_train), (x_test, y_test))`: uint8 pictures of shape `(10000, size, size, 3)` and
        `(2000, size, size, 3)` with values 0 to 255, uint8 labels of shape `(10000,)` and `(2000,)` with
        values 0 to 9. Each ten pictures show each class once.

    Raises:
        ValueError: `size` is no integer of 8 to 1024.

    Example:
        >>> from cnnrs.datasets import shapes
        >>> (x_train, y_train), (x_test, y_test) = shapes.load_data(size=16)
        >>> x_train.shape, x_train.dtype, [shapes.class_names[label] for label in y_train[:3]]
        ((10000, 16, 16, 3), dtype('uint8'), ['disc', 'triangle', 'crescent'])
    """
    side = integer(size, "load_data", "size", least=8, most=1024)
    train, test = _drawn(side)
    # The arrays are the caller's, who may write into them.
    return (train[0].copy(), train[1].copy()), (test[0].copy(), test[1].copy())


@functools.lru_cache(1)
def _drawn(size: int) -> tuple[_Split, _Split]:
    parts = [
        draw(count, size, (1, 1), seed) for count, seed in zip((_TRAIN, _TEST), _SEEDS.values(), strict=True)
    ]
    train, test = ((part.images, part.labels[:, 0].astype(np.uint8)) for part in parts)
    return train, test


@named
def draw_pictures(count: int, size: int = 32, objects: Any = 1, seed: int = 0) -> Pictures:
    """Draws pictures with boxes and masks of what is in them, for detection and segmentation.

    With one object a picture and the seed 0 they are the training pictures of `load_data`; with the seed 1,
    those for testing.

    Args:
        count: How many pictures. The first ones are the same whatever it is.
        size: Their height and width in pixels.
        objects: How many objects a picture has, 1 to 4, or the fewest and the most: `(1, 3)`.
        seed: Another one gives other pictures.

    Returns:
        `Pictures`: a tuple of `images` (n, size, size, 3) of uint8; `labels` (n, objects) of int32, -1 where
        there is no object; `boxes` (n, objects, 4) of float32: left, top, right and bottom in pixels, "xyxy",
        -1 where there is none; and `masks` (n, size, size) of uint8: 0 for background, else 1 + the class.

    Raises:
        ValueError: An argument is none of these.

    Example:
        >>> from cnnrs.datasets import shapes
        >>> pictures = shapes.draw_pictures(3, size=64, objects=(1, 2))
        >>> pictures.images.shape, pictures.boxes.shape, pictures.masks.shape
        ((3, 64, 64, 3), (3, 2, 4), (3, 64, 64))
        >>> [[shapes.class_names[i] for i in labels if i >= 0] for labels in pictures.labels]
        [['disc', 'flower'], ['triangle', 'flower'], ['crescent', 'ring']]
    """
    where = "draw_pictures"
    number = integer(count, where, "count", least=0)
    side = integer(size, where, "size", least=8, most=1024)
    bounds = objects if isinstance(objects, (tuple, list)) else (objects, objects)
    if len(bounds) != 2:
        raise ValueError(f"{where}: objects: expected one number or two, received {objects!r}")
    fewest, most = (integer(n, where, "objects", least=1, most=MOST_OBJECTS) for n in bounds)
    if fewest > most:
        raise ValueError(f"{where}: objects: expected the fewest and the most, received {objects!r}")
    return draw(number, side, (fewest, most), integer(seed, where, "seed", least=0))


@named
def write_folder(
    path: Any, size: int = 96, n: int = 1000, quality: int = 90, test_n: int = 0, labels_csv: bool = False
) -> Path:
    """Writes pictures as JPEG files in one folder a class: what `image_dataset_from_directory` reads.

    Args:
        path: The folder; it is made.
        size: Height and width of the pictures in pixels.
        n: How many pictures.
        quality: Of JPEG, 1 to 95.
        test_n: How many pictures for testing. With some, there are the folders `train` and `test`.
        labels_csv: Whether `labels.csv` is written too: a table with the columns path, label and split.

    Returns:
        The folder.

    Raises:
        ImportError: Pillow, of the extra `image`, is not there.
        FileExistsError: The folder has something in it.
        ValueError: An argument is none of these.

    Example:
        >>> import os, tempfile
        >>> from cnnrs.datasets import shapes
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     made = shapes.write_folder(folder, size=32, n=20)
        ...     sorted(os.listdir(made))[:3], os.listdir(made / "arrow")
        (['arrow', 'crescent', 'cross'], ['00009.jpg', '00011.jpg'])
    """
    where = "write_folder"
    image = library("PIL.Image", "image", where)
    root = Path(file_path(path, where))
    counts = {"train": integer(n, where, "n", least=1), "test": integer(test_n, where, "test_n", least=0)}
    level = integer(quality, where, "quality", least=1, most=95)
    listed = flag(labels_csv, where, "labels_csv")
    side = integer(size, where, "size", least=8, most=1024)
    root.mkdir(parents=True, exist_ok=True)
    if any(root.iterdir()):
        raise FileExistsError(f"{where}: path: expected an empty folder or a new one, received {str(root)!r}")
    lines = ["path,label,split"]
    for split, count in counts.items():
        folder = root / split if counts["test"] else root
        for first in range(0, count, 100):
            # Pictures of a hundred at a time: large ones need much memory.
            part = draw(min(first + 100, count), side, (1, 1), _SEEDS[split], first)
            for number, (picture, label) in enumerate(
                zip(part.images, part.labels[:, 0], strict=True), first
            ):
                name = class_names[label]
                file = folder / name / f"{number:05}.jpg"
                file.parent.mkdir(parents=True, exist_ok=True)
                image.fromarray(picture).save(file, quality=level)
                lines.append(f"{file.relative_to(root).as_posix()},{name},{split}")
    if listed:
        (root / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root
