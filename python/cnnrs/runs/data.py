"""What a run is trained on: images of a folder or of a named data set, split, and batched by index."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from cnnrs import datasets
from cnnrs.base.user_warnings import warn_user
from cnnrs.data.folders import files_of_classes
from cnnrs.data.image_files import IMAGE_SUFFIXES
from cnnrs.evaluation import ImagePreprocessing
from cnnrs.runs.settings import SettingsError
from cnnrs.training.py_dataset import PyDataset

__all__ = ["Arrays", "Folder", "ImageBatches", "Images", "NAMED", "split_indices"]

# Data sets whose images come as arrays; what is not shipped is fetched once.
NAMED = ("mnist", "fashion_mnist", "cifar10", "cifar100")
# A folder of more bytes is identified by the ends of its files: that takes seconds, not hours.
_WHOLE = 1 << 30
_END = 1 << 16


class Images:
    """Labelled images by index.

    Attributes:
        class_names: Names of the classes, in the order of their labels.
        labels: The label of each image, shape (n,), int32.
        paths: Their files; None where there are none.
    """

    class_names: list[str]
    labels: np.ndarray
    paths: list[str] | None = None

    def read(self, indices: np.ndarray) -> np.ndarray:
        """The images at some indices, from 0 to 255: shape (len(indices), height, width, channels)."""
        raise NotImplementedError

    def digests(self) -> list[bytes]:
        """A hash of the content of each image."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.labels)


class Folder(Images):
    """The images of a folder that has a sub-folder for each class.

    Args:
        directory: The folder.
        size: Height and width to which images are resized.
        color_mode: "rgb", "grayscale" or "rgba".
        fit: "stretch", "crop" or "pad".
        class_names: The sub-folders in the order of their labels; None for the order of their names.
        workers: Threads that decode.
        skips_broken: Whether all files are decoded once, and those that are no images left out.
        may_lack: Whether a class without a folder is a warning, and not an error.

    Attributes:
        broken: The files that are left out.

    Raises:
        SettingsError: There is no such folder, no sub-folder, or no image.
    """

    def __init__(
        self,
        directory: str,
        size: list[int],
        color_mode: str = "rgb",
        fit: str = "stretch",
        class_names: list[str] | None = None,
        workers: int = 1,
        skips_broken: bool = False,
        may_lack: bool = False,
    ):
        self.directory, self.workers = directory, workers
        self.preprocessing = ImagePreprocessing(image_size=(size[0], size[1]), color_mode=color_mode, fit=fit)
        root = Path(directory)
        if not root.is_dir():
            what = "a file" if root.exists() else "nothing there"
            raise SettingsError(
                f"data: expected a folder with a sub-folder for each class, found {what}: {directory!r}"
            )
        found = sorted(e.name for e in root.iterdir() if e.is_dir() and not e.name.startswith("."))
        above = {root.resolve(), *root.resolve().parents}
        loops = [name for name in found if (root / name).is_symlink() and (root / name).resolve() in above]
        if loops:
            raise SettingsError(
                f"data: {directory!r}: {loops[0]!r} is a link to a folder that it is in; remove it"
            )
        if not found:
            raise SettingsError(
                f"data: expected a sub-folder of images for each class in {directory!r}, found none; "
                "put the images of each class into a folder of its name"
            )
        missing = [name for name in class_names or () if name not in found]
        if missing and may_lack and len(missing) < len(class_names or ()):
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            warn_user(f"{directory!r} has no folder of these classes: {', '.join(missing[:5])}{more}")
        elif missing:
            raise SettingsError(f"class_names: {directory!r} has no folder {missing[0]!r}; it has {found}")
        left_out = [name for name in found if class_names and name not in class_names]
        if left_out:
            more = f" and {len(left_out) - 5} more" if len(left_out) > 5 else ""
            warn_user(
                f"{directory!r}: folders of no class are left out: {', '.join(left_out[:5])}{more}; "
                f"the classes are {', '.join(class_names or [])}"
            )
        present = None if class_names is None else [name for name in class_names if name in found]
        paths, labels, names = files_of_classes(root, present, False, IMAGE_SUFFIXES, "data")
        if not paths:
            raise SettingsError(
                f"data: expected images ({', '.join(IMAGE_SUFFIXES)}) in {directory!r}, found none"
            )
        self.class_names = names if class_names is None else list(class_names)
        self.paths = [str(path) for path in paths]
        places = [self.class_names.index(name) for name in names]
        self.labels = np.array([places[label] for label in labels], np.int32)
        self.broken: list[str] = []
        if skips_broken:
            self._leave_out_broken()

    def _leave_out_broken(self) -> None:
        assert self.paths is not None

        def is_image(path: str) -> bool:
            try:
                self.read_file(path)
            except ValueError:
                return False
            return True

        with ThreadPoolExecutor(self.workers) as pool:
            fine = np.array(list(pool.map(is_image, self.paths)), bool)
        self.broken = [path for path, ok in zip(self.paths, fine, strict=True) if not ok]
        if not self.broken:
            return
        self.paths = [path for path, ok in zip(self.paths, fine, strict=True) if ok]
        self.labels = self.labels[fine]
        if not self.paths:
            raise SettingsError(f"data: none of the {len(fine)} files in {self.directory!r} is an image")
        more = f" and {len(self.broken) - 5} more" if len(self.broken) > 5 else ""
        warn_user(f"left out, for they are no images: {', '.join(self.broken[:5])}{more}")

    def read(self, indices: np.ndarray) -> np.ndarray:
        assert self.paths is not None
        return np.stack([self.read_file(self.paths[i]) for i in indices])

    def read_file(self, path: str) -> np.ndarray:
        """An image file, as `model.predict_image` reads it.

        Raises:
            ValueError: It is no image, or damaged; the message names it.
        """
        try:
            return self.preprocessing.pixels(path)
        except (OSError, SyntaxError, ValueError) as error:
            raise ValueError(f"{path}: not an image, or damaged: {error}") from error

    def digests(self) -> list[bytes]:
        assert self.paths is not None
        whole = sum(os.path.getsize(path) for path in self.paths) <= _WHOLE
        with ThreadPoolExecutor(self.workers) as pool:
            return list(pool.map(lambda path: _digest(path, whole), self.paths))


def _digest(path: str, whole: bool) -> bytes:
    made = hashlib.sha256()
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if whole or size <= 2 * _END:
            while part := file.read(1 << 20):
                made.update(part)
        else:
            made.update(size.to_bytes(8, "little") + file.read(_END))
            file.seek(-_END, os.SEEK_END)
            made.update(file.read(_END))
    return made.digest()


class Arrays(Images):
    """Images of a named data set, its training part or its test part.

    Args:
        name: One of `NAMED`.
        part: 0 for the training part, 1 for the test part.
    """

    def __init__(self, name: str, part: int = 0):
        x, y = getattr(datasets, name).load_data()[part]
        self.images = x if x.ndim == 4 else x[..., None]
        self.labels = y.reshape(-1).astype(np.int32)
        self.class_names = [str(label) for label in range(int(self.labels.max()) + 1)]

    def read(self, indices: np.ndarray) -> np.ndarray:
        return self.images[indices]

    def digests(self) -> list[bytes]:
        return [hashlib.sha256(image.tobytes()).digest() for image in self.images]


def split_indices(labels: np.ndarray, part: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices to train and to validate on: of each class the same part, drawn by a seed.

    A class of at least two images has one in both.

    Args:
        labels: The label of each image.
        part: The part to validate on.
        seed: Of the draw.

    >>> train, validation = split_indices(np.array([0] * 8 + [1] * 4), 0.25, seed=1)
    >>> len(train), len(validation)
    (9, 3)
    """
    rng = np.random.default_rng([seed, 1])
    kept: list[np.ndarray] = []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        count = round(part * len(members))
        if part and len(members) > 1:
            count = min(max(count, 1), len(members) - 1)
        kept.append(members[:count])
    validation = np.sort(np.concatenate(kept)) if kept else np.zeros(0, np.int64)
    return np.setdiff1d(np.arange(len(labels)), validation), validation


class ImageBatches(PyDataset):
    """Batches of images, whose content depends on the seed, the epoch and the index of the batch alone.

    Any number of threads gives the same bits, and so does a run that is resumed in the middle of an epoch.

    Args:
        images: The images.
        indices: Those that take part.
        batch_size: Images of a batch.
        seed: Of the order; None keeps that of the indices.
        workers: Threads that read.
    """

    def __init__(
        self,
        images: Images,
        indices: np.ndarray,
        batch_size: int,
        seed: int | None = None,
        workers: int = 1,
    ):
        super().__init__(workers=workers, max_queue_size=2 * workers + 2)
        self.images, self.indices, self.batch_size, self.seed = images, indices, batch_size, seed
        self.epoch = 0
        self._order = indices

    @property
    def class_names(self) -> list[str]:
        """Names of the classes."""
        return self.images.class_names

    @property
    def file_paths(self) -> list[str] | None:
        """The files in the order of `indices`; None where there are none."""
        return None if self.images.paths is None else [self.images.paths[i] for i in self.indices]

    @property
    def files_in_order(self) -> bool:
        """Whether batches come in the order of the files."""
        return self.seed is None and self.images.paths is not None

    def __len__(self) -> int:
        return -(-len(self.indices) // self.batch_size)

    def begin(self, epoch: int) -> None:
        """Sets the epoch whose order the next pass has."""
        self.epoch, self._order = epoch, self.indices
        if self.seed is not None:
            self._order = np.random.default_rng([self.seed, 2, epoch]).permutation(self.indices)

    def __getitem__(self, index: int) -> Any:
        chosen = self._order[index * self.batch_size : (index + 1) * self.batch_size]
        return self.images.read(chosen), self.images.labels[chosen]

    @property
    def labels(self) -> np.ndarray:
        """The labels in the order of `indices`."""
        return self.images.labels[self.indices]

    def __iter__(self) -> Iterator[Any]:
        for index in range(len(self)):
            yield self[index]
