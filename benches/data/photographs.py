"""Folders of JPEGs that cost a decoder what photographs cost it: made from noise, the same each time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from PIL import Image


class Set(NamedTuple):
    """A kind of photographs.

    Attributes:
        size: Their size, in words.
        long: Pixels of the longer side.
        count: How many there are.
    """

    size: str
    long: int
    count: int


# Those of ImageNet have about 500 x 375 pixels and 110 kB; those of a camera are larger.
SETS = {"web": Set("500 x 375", 500, 256), "camera": Set("2000 x 1500", 2000, 32)}
_QUALITY = 90
_TEXTURES = 4


def texture(random: np.random.Generator, side: int) -> np.ndarray:
    """A square of octaves of noise, whose amplitude falls with the frequency, and a grain."""
    from PIL import Image

    total = np.zeros((side, side, 3), np.float32)
    octave = 1
    while 2**octave < side:
        # Colours change less than brightness does.
        shape = 2**octave, 2**octave
        grey, colours = random.random((*shape, 1), np.float32), random.random((*shape, 3), np.float32)
        layer = Image.fromarray(((0.7 * grey + 0.3 * colours) * 255).astype(np.uint8))
        layer = layer.resize((side, side), Image.Resampling.BICUBIC)
        total += (np.asarray(layer, np.float32) / 255 - 0.5) * 1.5**-octave
        octave += 1
    total += 0.03 * random.standard_normal((side, side, 1), np.float32)
    low, high = np.quantile(total[::7, ::7], (0.01, 0.99))
    return np.asarray((total - low) * (255 / (high - low)), np.float32)


def photograph(
    random: np.random.Generator, textures: list[np.ndarray], height: int, width: int
) -> Image.Image:
    """A window of a texture, with parts of others in front of it."""
    from PIL import Image

    back = textures[random.integers(len(textures))]
    top, left = (random.integers(0, len(back) - n + 1) for n in (height, width))
    pixels = back[top : top + height, left : left + width].copy()
    for _ in range(8):
        front = textures[random.integers(len(textures))]
        rows, columns = random.integers(8, height // 2), random.integers(8, width // 2)
        top, left = random.integers(0, height - rows), random.integers(0, width - columns)
        shade = random.normal(0, 40, 3).astype(np.float32)
        pixels[top : top + rows, left : left + columns] = front[:rows, :columns] + shade
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def write_photographs(folder: Path, name: str) -> None:
    """Writes a set in two classes, if its folder is not there: landscapes and portraits of many shapes."""
    if folder.exists():
        return
    kind, random = SETS[name], np.random.default_rng(0)
    textures = [texture(random, kind.long + 64) for _ in range(_TEXTURES)]
    for label in ("a", "b"):
        (folder / label).mkdir(parents=True)
    for index in range(kind.count):
        short = int(kind.long * random.uniform(0.6, 0.9))
        height, width = (kind.long, short) if random.random() < 0.3 else (short, kind.long)
        path = folder / "ab"[index % 2] / f"{index:04}.jpg"
        photograph(random, textures, height, width).save(path, quality=_QUALITY)
