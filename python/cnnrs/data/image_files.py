"""Images of files as elements, by index: decoded when they are asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from cnnrs.base.arguments import integer
from cnnrs.base.user_warnings import warn_user
from cnnrs.data.encoded import EncodedImage
from cnnrs.data.images import FILTERS, decode_image, read_images
from cnnrs.data.rows import BATCHES_AHEAD, Rows
from cnnrs.data.spec import TensorSpec
from cnnrs.data.workers import ahead as prepared
from cnnrs.data.workers import through

__all__ = ["IMAGE_SUFFIXES", "Decoding", "ImageFiles", "encoded_rows"]

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_CHANNELS = {"rgb": 3, "rgba": 4, "grayscale": 1}


class Decoding:
    """How images are decoded: the arguments that all sources of images have.

    Args:
        image_size: (height, width) or one number for both; None leaves each image its size.
        color_mode: "rgb", "rgba" or "grayscale".
        interpolation: "bilinear", "nearest", "box", "hamming", "bicubic" or "lanczos".
        fit: "stretch", "crop" or "pad".
        where: What errors call the function.
    """

    def __init__(self, image_size: Any, color_mode: str, interpolation: str, fit: str, where: str):
        for name, value, known in (
            ("color_mode", color_mode, tuple(_CHANNELS)),
            ("fit", fit, ("stretch", "crop", "pad")),
            ("interpolation", interpolation, FILTERS),
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
        self.arguments: dict[str, Any] = {
            "color_mode": color_mode,
            "interpolation": interpolation,
            "fit": fit,
        }

    def one(self, source: Any, name: str) -> np.ndarray:
        """The image of a file or of bytes, (height, width, channels) of uint8."""
        try:
            return decode_image(source, size=self.size, **self.arguments)
        except ValueError as error:
            raise ValueError(f"{name}: {str(error).removeprefix('decode_image: ')}") from None

    def many(self, paths: list[str], threads: int, name: str) -> np.ndarray:
        """The images of files as a batch; `image_size` is given."""
        try:
            return np.asarray(read_images(paths, self.size, threads=threads, **self.arguments))
        except ValueError as error:
            raise ValueError(f"{name}: {str(error).removeprefix('read_images: ')}") from None

    def encoded(self, path: str, name: str) -> EncodedImage:
        """The image of a file, not decoded yet; without an `image_size`."""

        def decode(content: bytes) -> np.ndarray:
            try:
                return decode_image(content, **self.arguments)
            except ValueError as error:
                reason = str(error).removeprefix(f"decode_image: {len(content)} bytes: ")
                raise ValueError(f"{name}: {path!r}: {reason}") from None

        return EncodedImage(path, _CHANNELS[self.color_mode], decode)

    @property
    def spec(self) -> TensorSpec:
        return TensorSpec((*(self.size or (None, None)), _CHANNELS[self.color_mode]), "uint8")


class ImageFiles:
    """A source of rows: images of files, with labels.

    Attributes:
        gathers: Whether a batch is decoded in one call: where images have one size, and none is left out.
        labels: The labels, if they are integers; else None.

    Args:
        paths: The files.
        labels: A number for each, or None.
        decoding: How they are decoded.
        workers: How many threads decode.
        skips: Whether a file that is no image is left out, with a warning.
        where: The function, for errors.
    """

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
        self._targets = labels
        self.labels = None if labels is None or labels.dtype.kind == "f" else labels
        self.decoding, self.workers, self.skips, self.where = decoding, workers, skips, where
        self._broken: set[int] = set()
        self.gathers = decoding.size is not None and not skips

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
        return image if self._targets is None else (image, self._targets[index])

    def encoded(self, index: int) -> Any:
        """An element whose image is not decoded yet."""
        image = self.decoding.encoded(self.paths[index], self.where)
        return image if self._targets is None else (image, self._targets[index])

    def elements(self, indices: np.ndarray, ahead: bool = True) -> Iterator[Any]:
        """Images, one by one."""
        found = through(self._at, iter(indices.tolist()), self.workers if ahead else 1)
        return (element for element in found if element is not None) if self.skips else found

    def batches(self, indices: list[np.ndarray], ahead: bool = True) -> Iterator[Any]:
        """Images, a batch at once: the core's threads decode the next ones meanwhile if that is wanted."""
        threads = self.workers if ahead else 1

        def batch(group: np.ndarray) -> Any:
            images = self.decoding.many([self.paths[i] for i in group], threads, self.where)
            return images if self._targets is None else (images, self._targets[group])

        made = map(batch, indices)
        return prepared(made, BATCHES_AHEAD) if ahead else made


class _EncodedFiles:
    """The rows of image files, not decoded yet."""

    gathers = skips = False

    def __init__(self, files: ImageFiles):
        self._files = files
        self.labels = files.labels

    def __len__(self) -> int:
        return len(self._files)

    def elements(self, indices: np.ndarray, ahead: bool = True) -> Iterator[Any]:
        return map(self._files.encoded, indices.tolist())

    def batches(self, indices: list[np.ndarray], ahead: bool = True) -> Iterator[Any]:
        raise NotImplementedError("elements come one by one: `gathers` says so")


def encoded_rows(rows: Rows, workers: int) -> Rows | None:
    """The same rows with encoded images, for a function that `workers` threads call.

    None for what is no image of a file, has one size, may be left out, or is decoded ahead by more threads.
    """
    files = rows.source
    if not isinstance(files, ImageFiles) or files.decoding.size is not None or files.skips:
        return None
    return Rows(_EncodedFiles(files), rows.order) if workers >= files.workers else None
