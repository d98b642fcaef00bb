"""Arrays of pixels as PNG files. The format: W3C, "Portable Network Graphics (PNG) Specification"."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

__all__ = ["data_url", "png", "tiles"]


def png(pixels: np.ndarray) -> bytes:
    """The bytes of a PNG file.

    Args:
        pixels: uint8 of shape (height, width), or with 1, 3 or 4 channels behind: grey, RGB or RGBA.

    Raises:
        ValueError: The array has another type or shape.

    >>> png(np.zeros((2, 3, 3), np.uint8))[:4]
    b'\\x89PNG'
    """
    array = np.ascontiguousarray(pixels)
    if array.ndim == 2:
        array = array[:, :, None]
    kind = {1: 0, 3: 2, 4: 6}.get(array.shape[-1] if array.ndim == 3 else 0)
    if array.dtype != np.uint8 or kind is None or not array.size:
        raise ValueError(
            f"png: pixels: expected uint8 of shape (height, width, 1, 3 or 4), received {pixels.dtype} of "
            f"shape {pixels.shape}"
        )
    height, width = array.shape[:2]
    # Filter 2, "up": a row is written as its difference from the one above, which packs photographs better.
    rows = array.reshape(height, -1)
    differences = rows - np.concatenate([np.zeros_like(rows[:1]), rows[:-1]])
    lines = np.concatenate([np.full((height, 1), 2, np.uint8), differences], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )


def data_url(pixels: np.ndarray) -> str:
    """The picture as the address of an `img` element.

    >>> data_url(np.zeros((1, 1), np.uint8))[:27]
    'data:image/png;base64,iVBOR'
    """
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode()


def tiles(pictures: list[np.ndarray], columns: int = 8, scale: int = 1, gap: int = 1) -> np.ndarray:
    """Pictures of one size side by side, in rows, as one transparent picture.

    Args:
        pictures: uint8 of shape (height, width, 3).
        columns: Pictures in a row.
        scale: Pixels for each pixel, in both directions.
        gap: Pixels between pictures.

    Returns:
        uint8 of shape (height, width, 4).

    >>> tiles([np.zeros((4, 4, 3), np.uint8)] * 3, columns=2).shape
    (9, 9, 4)
    """
    columns = max(1, min(columns, len(pictures)))
    large = [np.repeat(np.repeat(p, scale, axis=0), scale, axis=1) for p in pictures]
    height, width = large[0].shape[:2]
    rows = -(-len(large) // columns)
    whole = np.zeros((rows * (height + gap) - gap, columns * (width + gap) - gap, 4), np.uint8)
    for i, picture in enumerate(large):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        whole[top : top + height, left : left + width, :3] = picture
        whole[top : top + height, left : left + width, 3] = 255
    return whole
