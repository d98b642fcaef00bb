"""The picture of docs/data/images.md: fits, orientations and filters, as `decode_image` makes them."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cnnrs import data
from cnnrs.base.extras import pyplot

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from augmentation import scene  # noqa: E402 it lies beside this file

_ALL, _BACK = slice(None), slice(None, None, -1)
_MIRRORS = ((_ALL, _ALL), (_ALL, _BACK), (_BACK, _ALL), (_BACK, _BACK))
FILTERS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")


def file(pixels: np.ndarray, orientation: int = 1) -> bytes:
    """A PNG with the orientation that a camera noted."""
    tags, made = Image.Exif(), io.BytesIO()
    tags[0x0112] = orientation
    Image.fromarray(pixels).save(made, "PNG", exif=tags.tobytes())
    return made.getvalue()


def letter() -> np.ndarray:
    """An F, which looks different in each of the 8 orientations."""
    pixels = np.full((20, 14, 3), (225, 232, 242), np.uint8)
    pixels[3:17, 3:6] = pixels[3:6, 3:11] = pixels[9:12, 3:9] = (40, 70, 130)
    return pixels


def stored(upright: np.ndarray, orientation: int) -> np.ndarray:
    """The pixels that a file with this orientation holds (EXIF 2.3, tag 274)."""
    turned = upright.transpose(1, 0, 2)
    kinds = [of[rows, columns] for of in (upright, turned) for rows, columns in _MIRRORS]
    place = (0, 1, 3, 2, 4, 6, 7, 5)[orientation - 1]
    return np.ascontiguousarray(kinds[place])


def wide() -> np.ndarray:
    """A scene of 40 x 64 pixels."""
    return scene()[14:54]


def main() -> None:
    plt = pyplot("pictures/images.py")
    figure = plt.figure(figsize=(8.2, 6.6))
    grid = figure.add_gridspec(4, 24, height_ratios=(1.15, 0.8, 0.8, 1.15), hspace=0.45, wspace=0.5)

    def show(row: int, columns: slice, image: np.ndarray, title: str) -> None:
        axes: Any = figure.add_subplot(grid[row, columns])
        axes.imshow(image, interpolation="nearest")
        axes.set_title(title, fontsize=8, pad=3)
        axes.set_xticks([])
        axes.set_yticks([])

    content = file(wide())
    show(0, slice(0, 9), data.decode_image(content), "the file, 40 × 64")
    for i, fit in enumerate(("stretch", "crop", "pad")):
        image = data.decode_image(content, size=48, fit=fit)
        show(0, slice(9 + 5 * i, 14 + 5 * i), image, f'size=48, fit="{fit}"')
    for i in range(8):
        content = file(stored(letter(), i + 1), i + 1)
        columns = slice(3 * i, 3 * i + 3)
        show(1, columns, data.decode_image(content, exif_orientation=False), f"{i + 1}: stored")
        show(2, columns, data.decode_image(content), f"{i + 1}: decoded")
    # The window of the house: few pixels, made larger.
    content = file(scene()[33:47, 31:45])
    for i, name in enumerate(FILTERS):
        image = data.decode_image(content, size=56, interpolation=name)
        show(3, slice(4 * i, 4 * i + 4), image, name)
    figure.savefig(HERE / "images_decoded.svg", bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    pyplot("pictures/images.py").rcParams.update({"svg.hashsalt": "cnnrs", "svg.fonttype": "none"})
    main()
