"""Images of files as elements, by index: decoded when they are asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from cnnrs.base.user_warnings import warn_user
from cnnrs.data.decoding import Decoding
from cnnrs.data.rows import BATCHES_AHEAD, Rows
from cnnrs.data.workers import ahead as prepared
from cnnrs.data.workers import through

__all__ = ["IMAGE_SUFFIXES", "ImageFiles", "encoded_rows", "leaving_out"]

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def leaving_out(read: Callable[[int], Any], where: str) -> Callable[[int], Any]:
    """A function that gives None, with one warning for each, where `read` finds a file that is no image."""
    broken: set[int] = set()

    def read_or_none(index: int) -> Any:
        if index in broken:
            return None
        try:
            return read(index)
        except (OSError, ValueError) as error:
            broken.add(index)
            warn_user(f"{where}: a file is left out: {error}")
            return None

    return read_or_none


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
        self._at = leaving_out(self._image, where) if skips else self._image
        self.gathers = decoding.size is not None and not skips

    def __len__(self) -> int:
        return len(self.paths)

    def _image(self, index: int) -> Any:
        image = self.decoding.one(self.paths[index], self.where)
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
