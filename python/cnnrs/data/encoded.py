"""`EncodedImage`: an image of a file, decoded when a mapped function knows what it needs of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cnnrs import _core, tree

__all__ = ["EncodedImage", "decoded"]

_JPEG = b"\xff\xd8\xff"


class EncodedImage:
    """A leaf in the place of an array: an image of bytes, channels last.

    A JPEG tells its size before it is decoded. Images of other formats are decoded at once.

    Args:
        path: The file.
        channels: How many channels the image is to have.
        decode: Makes the array, with errors that name the file.
        turned: Whether `decode` turns it as the camera noted.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, path: str, channels: int, decode: Callable[[bytes], np.ndarray], turned: bool = True):
        self._path, self._channels, self._decode, self._turned = path, channels, decode, turned
        self._content: bytes | None = None
        self._shape: tuple[int, ...] | None = None
        self._array: np.ndarray | None = None

    @property
    def content(self) -> bytes:
        """The bytes of the file."""
        if self._content is None:
            self._content = Path(self._path).read_bytes()
        return self._content

    @property
    def shape(self) -> tuple[int, ...]:
        if self._shape is None:
            self._shape = self._stored_shape() or self.array().shape
        return self._shape

    def _stored_shape(self) -> tuple[int, ...] | None:
        """The shape by the header of a JPEG; None for other formats, and where the decoder is to complain."""
        if not self.content.startswith(_JPEG):
            return None
        try:
            _, height, width, _, _, orientation = _core.image_info(self.content)
        except ValueError:
            return None
        sides = (width, height) if self._turned and orientation >= 5 else (height, width)
        return (*sides, self._channels)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def array(self) -> np.ndarray:
        """The whole image, (height, width, channels) of uint8."""
        if self._array is None:
            self._array = self._decode(self.content)
        return self._array


def decoded(element: Any) -> Any:
    """An element with arrays in the place of encoded images."""
    return tree.map_structure(lambda leaf: leaf.array() if isinstance(leaf, EncodedImage) else leaf, element)
