"""Images of files as elements, by index: decoded when they are asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from cnnrs.base.arguments import integer
from cnnrs.base.user_warnings import warn_user
from cnnrs.data.decoding import INTERPOLATIONS, decoded
from cnnrs.data.spec import TensorSpec
from cnnrs.data.workers import through

__all__ = ["IMAGE_SUFFIXES", "Decoding", "ImageFiles"]

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_CHANNELS = {"rgb": 3, "rgba": 4, "grayscale": 1}


class Decoding:
    """How images are decoded: the arguments that all sources of images have.

    Args:
        image_size: (height, width) or one number for both; None leaves each image its size.
        color_mode: "rgb", "rgba" or "grayscale".
        interpolation: "bilinear", "nearest", "bicubic", "area" or "lanczos".
        fit: "stretch", "crop" or "pad".
        where: What errors call the function.
    """

    def __init__(self, image_size: Any, color_mode: str, interpolation: str, fit: str, where: str):
        for name, value, known in (
            ("color_mode", color_mode, tuple(_CHANNELS)),
            ("fit", fit, ("stretch", "crop", "pad")),
            ("interpolation", interpolation, INTERPOLATIONS),
        ):
            if value not in known:
                expected = ", ".join(map(repr, known))
                raise ValueError(f"{where}: {name}: expected one of {expected}, received {value!r}")
        self.size: tuple[int, int] | None = None
        if image_size is not None:
            pair = image_size if isinstance(image_size, (tuple, list)) else (image_size, image_size)
            if len(pair) != 2:
                raise ValueError(f"{where}: image_size: expected one number or two, received {image_size!r}")
            height, width = (integer(n, where, "image_size", least=1) for n in pair)
            self.size = height, width
        self.color_mode = color_mode
        self.arguments = {"color_mode": color_mode, "interpolation": interpolation, "fit": fit}

    def one(self, source: Any, name: str) -> np.ndarray:
        """The image of a file or of bytes, (height, width, channels) of uint8."""
        return decoded(source, name, size=self.size, **self.arguments)

    @property
    def spec(self) -> TensorSpec:
        return TensorSpec((*(self.size or (None, None)), _CHANNELS[self.color_mode]), "uint8")


class ImageFiles:
    """A source of rows: images of files, with labels.

    Attributes:
        gathers: False: images come one by one, and threads decode the next ones.
        labels: The labels, or None.

    Args:
        paths: The files.
        labels: An integer for each, or None.
        decoding: How they are decoded.
        workers: How many threads decode.
        skips: Whether a file that is no image is left out, with a warning.
        where: The function, for errors.
    """

    gathers = False

    def __init__(
        self,
        paths: Sequence[Any],
        labels: np.ndarray | None,
        decoding: Decoding,
        workers: int,
        skips: bool,
        where: str,
    ):
        self.paths = [os.fspath(path) for path in paths]
        self.labels = labels
        self.decoding, self.workers, self.skips, self.where = decoding, workers, skips, where
        self._broken: set[int] = set()

    def __len__(self) -> int:
        return len(self.paths)

    def _at(self, index: int) -> Any:
        if index in self._broken:
            return None
        try:
            image = self.decoding.one(self.paths[index], self.where)
        except (OSError, ValueError) as error:
            if not self.skips:
                raise
            self._broken.add(index)
            warn_user(f"{self.where}: a file is left out: {error}")
            return None
        return image if self.labels is None else (image, self.labels[index])

    def elements(self, indices: np.ndarray, ahead: bool = True) -> Iterator[Any]:
        """Images, one by one."""
        found = through(self._at, iter(indices.tolist()), self.workers if ahead else 1)
        return (element for element in found if element is not None) if self.skips else found

    def batches(self, indices: list[np.ndarray], ahead: bool = True) -> Iterator[Any]:
        """Nothing calls it: images come one by one."""
        raise NotImplementedError
