"""A folder of small pictures in three classes, which a small network tells apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cnnrs import utils

CLASSES = ("кошка", "птица", "собака")


def write(root: Path, count: int = 8, size: int = 12) -> Path:
    """Writes the folder; each class has a channel that is brighter in the middle."""
    rng = np.random.default_rng(0)
    for channel, name in enumerate(CLASSES):
        (root / name).mkdir(parents=True)
        for index in range(count):
            pixels = rng.integers(0, 100, (size, size, 3))
            pixels[size // 4 : 3 * size // 4, size // 4 : 3 * size // 4, channel] += 150
            utils.save_img(root / name / f"{index}.png", pixels.astype("uint8"), scale=False)
    return root
