"""Batches of images that a generator transforms: of arrays, and of the files of a directory."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator as Generator
from pathlib import Path
from typing import Any

import numpy as np

from cnnrs import config
from cnnrs.base.arguments import file_path, integer
from cnnrs.base.user_warnings import warn_user
from cnnrs.data.images import decode_image, image_info, known_format
from cnnrs.ops.spatial import image_data_format
from cnnrs.training.py_dataset import PyDataset
from cnnrs.utils.images import array_to_img, img_to_array, load_img

__all__ = ["DirectoryIterator", "FileIterator", "Iterator", "NumpyArrayIterator"]

# Seeded as in Keras, so that what a user's function draws from numpy is repeated, too.
_RNG: Any = np.random


class Iterator(PyDataset):
    """Batches of transformed images, again and again: `next(batches)`, `batches[index]`, an endless `for`.

    Subclasses define `_get_batches_of_transformed_samples(indices)`.

    Args:
        n: How many images there are.
        batch_size: How many a batch has.
        shuffle: Whether they come in random order, another one each time.
        seed: Seeds numpy's generator before each batch; None does not.
        **kwargs: Arguments of `PyDataset`.
    """

    white_list_formats = ("png", "jpg", "jpeg", "bmp", "ppm", "tif", "tiff")

    def __init__(self, n: int, batch_size: int, shuffle: bool, seed: int | None, **kwargs: Any):
        super().__init__(**kwargs)
        self.n, self.batch_size = n, integer(batch_size, self, "batch_size", least=1)
        self.shuffle, self.seed = shuffle, seed
        self.batch_index = self.total_batches_seen = 0
        self.lock = threading.Lock()
        self.index_array: np.ndarray | None = None
        self.index_generator = self._flow_index()

    def _set_index_array(self) -> None:
        self.index_array = _RNG.permutation(self.n) if self.shuffle else np.arange(self.n)

    def _seeded(self) -> None:
        if self.seed is not None:
            _RNG.seed(self.seed + self.total_batches_seen)

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < len(self):
            raise ValueError(
                f"{type(self).__name__}: expected a batch of 0 to {len(self) - 1}, received {index}"
            )
        self._seeded()
        self.total_batches_seen += 1
        if self.index_array is None:
            self._set_index_array()
        assert self.index_array is not None
        start = index * self.batch_size
        return self._get_batches_of_transformed_samples(self.index_array[start : start + self.batch_size])

    def on_epoch_end(self) -> None:
        """Draws another order."""
        self._set_index_array()

    def reset(self) -> None:
        """Lets `next` begin with the first batch."""
        self.batch_index = 0

    def _flow_index(self) -> Generator[np.ndarray]:
        self.reset()
        while True:
            self._seeded()
            if self.batch_index == 0:
                self._set_index_array()
            assert self.index_array is not None
            start = self.batch_index * self.batch_size % max(self.n, 1)
            self.batch_index = self.batch_index + 1 if self.n > start + self.batch_size else 0
            self.total_batches_seen += 1
            yield self.index_array[start : start + self.batch_size]

    def __iter__(self) -> Generator[Any]:
        return self

    def __next__(self) -> Any:
        with self.lock:
            indices = next(self.index_generator)
        # Threads may transform at the same time.
        return self._get_batches_of_transformed_samples(indices)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        """A batch of the images at some indices."""
        raise NotImplementedError(f"{type(self).__name__} defines _get_batches_of_transformed_samples")

    def _save(self, batch: np.ndarray, indices: np.ndarray, data_format: str, most: float) -> None:
        """Writes the images of a batch to `save_to_dir`, if that was given."""
        if not self.save_to_dir:
            return
        for image, index in zip(batch, indices, strict=True):
            name = f"{self.save_prefix}_{index}_{_RNG.randint(most)}.{self.save_format}"
            array_to_img(image, data_format, scale=True).save(os.path.join(self.save_to_dir, name))

    save_to_dir: Any = None
    save_prefix: str = ""
    save_format: str = "png"


class NumpyArrayIterator(Iterator):
    """Batches of arrays; what `ImageDataGenerator.flow` gives.

    Args:
        x: Images of shape (n, height, width, channels), or a tuple of them and further arrays.
        y: Labels; None for none.
        image_data_generator: What transforms images.
        batch_size: Images of a batch.
        shuffle: Whether they come in random order.
        sample_weight: Weights of the images; None for none.
        seed: See `Iterator`.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        save_to_dir: Folder to which transformed images are written; None for none.
        save_prefix: What their names begin with.
        save_format: Their format.
        subset: "training" or "validation", by the generator's `validation_split`, the first for validation.
        ignore_class_split: Whether subsets may have different labels.
        dtype: Element type; None takes `config.floatx()`.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        image_data_generator: Any,
        batch_size: int = 32,
        shuffle: bool = False,
        sample_weight: Any = None,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        ignore_class_split: bool = False,
        dtype: Any = None,
    ):
        self.dtype = dtype or config.floatx()
        self.data_format = image_data_format(data_format)
        name = "ImageDataGenerator.flow"
        further: list[Any] = []
        if isinstance(x, (tuple, list)):
            x, rest = x[0], x[1]
            further = [np.asarray(part) for part in (rest if isinstance(rest, list) else [rest])]
        x = np.asarray(x)
        given = {"x": further, "y": [] if y is None else [y]}
        given["sample_weight"] = [] if sample_weight is None else [sample_weight]
        for argument, parts in given.items():
            for part in parts:
                if len(part) != len(x):
                    raise ValueError(
                        f"{name}: {argument}: expected {len(x)} entries, as x has, received {len(part)}"
                    )
        y = None if y is None else np.asarray(y)
        weights = None if sample_weight is None else np.asarray(sample_weight)
        if subset is not None:
            part = subset_of(name, subset, image_data_generator)
            cut = int(len(x) * image_data_generator._validation_split)
            if (
                y is not None
                and not ignore_class_split
                and not np.array_equal(np.unique(y[:cut]), np.unique(y[cut:]))
            ):
                raise ValueError(
                    f"{name}: subset: expected the same labels in the first {cut} entries and in the others; "
                    "shuffle x and y, or pass ignore_class_split=True"
                )
            # Keras keeps all weights, which then belong to other images.
            chosen = slice(None, cut) if part == "validation" else slice(cut, None)
            x, y = x[chosen], None if y is None else y[chosen]
            weights = None if weights is None else weights[chosen]
            further = [array[chosen] for array in further]
        if x.ndim != 4:
            raise ValueError(f"{name}: x: expected 4 axes, received shape {x.shape}")
        channels = x.shape[3 if self.data_format == "channels_last" else 1]
        if channels not in (1, 3, 4):
            warn_user(f"{name}: x: expected 1, 3 or 4 channels with {self.data_format}, received {channels}")
        self.x, self.y, self.x_misc, self.sample_weight = x.astype(self.dtype), y, further, weights
        self.image_data_generator = image_data_generator
        self.save_to_dir, self.save_prefix, self.save_format = save_to_dir, save_prefix, save_format
        super().__init__(len(self.x), batch_size, shuffle, seed)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        batch = np.zeros((len(index_array), *self.x.shape[1:]), self.dtype)
        for place, index in enumerate(index_array):
            batch[place] = self.image_data_generator.transformed(self.x[index])
        self._save(batch, index_array, self.data_format, 1e4)
        images: Any = [batch, *(part[index_array] for part in self.x_misc)] if self.x_misc else batch
        parts = [part[index_array] for part in (self.y, self.sample_weight) if part is not None]
        return (images, *parts) if self.y is not None else images


def subset_of(name: str, subset: Any, generator: Any) -> str:
    """A subset, checked."""
    if subset not in ("training", "validation"):
        raise ValueError(f"{name}: subset: expected 'training' or 'validation', received {subset!r}")
    if not generator._validation_split:
        raise ValueError(f"{name}: subset: expected a generator with a validation_split, received 0")
    return str(subset)


class FileIterator(Iterator):
    """Batches of image files; what is common to those of a directory and of a table.

    Subclasses set `filepaths`, `labels` and `class_mode`, and give the arguments of reading to `_reading`.
    """

    filepaths: list[str]
    labels: Any
    class_mode: str | None
    class_indices: dict[str, int]
    sample_weight: Any = None

    def _reading(
        self, name: str, generator: Any, target_size: Any, color_mode: str, data_format: str | None,
        dtype: Any, save: tuple[Any, str, str], interpolation: str, keep_aspect_ratio: bool,
    ) -> None:  # fmt: skip
        channels = {"rgb": 3, "rgba": 4, "grayscale": 1}
        if color_mode not in channels:
            raise ValueError(
                f"{name}: color_mode: expected 'rgb', 'rgba' or 'grayscale', received {color_mode!r}"
            )
        self.target_size = tuple(integer(n, name, "target_size", least=1) for n in target_size)
        if len(self.target_size) != 2:
            raise ValueError(f"{name}: target_size: expected (height, width), received {target_size!r}")
        self.image_data_generator, self.color_mode = generator, color_mode
        self.data_format, self.dtype = image_data_format(data_format), dtype or config.floatx()
        self.save_to_dir, self.save_prefix, self.save_format = save
        self.interpolation, self.keep_aspect_ratio = interpolation, keep_aspect_ratio
        depth = channels[color_mode]
        last = self.data_format == "channels_last"
        self.image_shape = (*self.target_size, depth) if last else (depth, *self.target_size)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        batch = np.zeros((len(index_array), *self.image_shape), self.dtype)
        for place, index in enumerate(index_array):
            pixels = img_to_array(self._image(self.filepaths[index]), self.data_format)
            generator = self.image_data_generator
            batch[place] = pixels if generator is None else generator.transformed(pixels)
        self._save(batch, index_array, self.data_format, 1e7)
        if self.class_mode is None:
            return batch
        parts = [self._targets(batch, index_array)]
        if self.sample_weight is not None:
            parts.append(self.sample_weight[index_array])
        return (batch, *parts)

    def _image(self, path: str) -> Any:
        """An image of the target size, as `utils.load_img` reads it."""
        with open(path, "rb") as file:
            content = file.read()
        # Grey of 16 bits is kept, and other formats are read, by Pillow.
        if known_format(content) and (self.color_mode != "grayscale" or image_info(content).bits <= 8):
            fit = "crop" if self.keep_aspect_ratio else "stretch"
            return decode_image(
                content, self.color_mode, self.target_size, self.interpolation, fit,
                exif_orientation=False, draft=False,
            )  # fmt: skip
        return load_img(path, self.color_mode, self.target_size, self.interpolation, self.keep_aspect_ratio)

    def _targets(self, batch: np.ndarray, indices: np.ndarray) -> Any:
        if self.class_mode == "input":
            return batch.copy()
        if self.class_mode == "multi_output":
            return [output[indices] for output in self.labels]
        if self.class_mode == "raw":
            return self.labels[indices]
        if self.class_mode in ("binary", "sparse"):
            return np.array([self.labels[index] for index in indices], self.dtype)
        hot = np.zeros((len(batch), len(self.class_indices)), self.dtype)
        for row, index in zip(hot, indices, strict=True):
            row[self.labels[index]] = 1.0
        return hot


class DirectoryIterator(FileIterator):
    """Batches of the image files of a directory; what `ImageDataGenerator.flow_from_directory` gives.

    Attributes:
        class_indices: The labels by the names of the folders.
        classes: The label of each file.
        filenames: The files, from the directory.
        samples: How many there are.

    Args:
        directory: The directory, with one folder a class.
        image_data_generator: What transforms images; None for nothing.
        target_size: The (height, width) of images.
        color_mode: "rgb", "rgba" or "grayscale".
        classes: The folders in the order of their labels; None for the alphabet's.
        class_mode: "categorical" for one-hot rows, "binary" or "sparse" for numbers, "input" for the images
            themselves, None for no labels.
        batch_size: Images of a batch.
        shuffle: Whether they come in random order.
        seed: See `Iterator`.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        save_to_dir: Folder to which transformed images are written; None for none.
        save_prefix: What their names begin with.
        save_format: Their format.
        follow_links: Whether links to folders are followed.
        subset: "training" or "validation", by the generator's `validation_split`, of each class.
        interpolation: As for `utils.load_img`.
        keep_aspect_ratio: Whether images are cropped rather than distorted.
        dtype: Element type; None takes `config.floatx()`.
    """

    allowed_class_modes = {"categorical", "binary", "sparse", "input", None}

    def __init__(
        self,
        directory: Any,
        image_data_generator: Any,
        target_size: Any = (256, 256),
        color_mode: str = "rgb",
        classes: Any = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        dtype: Any = None,
    ):
        name = "ImageDataGenerator.flow_from_directory"
        save = (save_to_dir, save_prefix, save_format)
        self._reading(
            name, image_data_generator, target_size, color_mode, data_format, dtype, save, interpolation,
            keep_aspect_ratio,
        )  # fmt: skip
        if class_mode not in self.allowed_class_modes:
            raise ValueError(
                f"{name}: class_mode: expected 'categorical', 'binary', 'sparse', 'input' or None, "
                f"received {class_mode!r}"
            )
        self.directory, self.class_mode, self.subset = file_path(directory, name), class_mode, subset
        root = Path(self.directory)
        if not root.is_dir():
            raise ValueError(f"{name}: directory: expected a directory, received {self.directory!r}")
        names = list(classes or sorted(entry.name for entry in root.iterdir() if entry.is_dir()))
        self.num_classes = len(names)
        self.class_indices = {folder: label for label, folder in enumerate(names)}
        self.filenames: list[str] = []
        labels: list[int] = []
        for label, folder in enumerate(names):
            found = [
                os.path.relpath(os.path.join(base, file), root)
                for base, _, files in sorted(os.walk(root / folder, followlinks=follow_links))
                for file in sorted(files)
                if file.lower().endswith(self.white_list_formats)
            ]
            if subset is not None:
                part = subset_of(name, subset, image_data_generator)
                cut = int(image_data_generator._validation_split * len(found))
                found = found[:cut] if part == "validation" else found[cut:]
            self.filenames += found
            labels += [label] * len(found)
        self.classes = self.labels = np.array(labels, np.int32)
        self.samples = len(self.filenames)
        self.filepaths = [os.path.join(self.directory, file) for file in self.filenames]
        print(f"Found {self.samples} images belonging to {self.num_classes} classes.")
        super().__init__(self.samples, batch_size, shuffle, seed)
