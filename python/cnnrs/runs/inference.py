"""`Classifier`: a trained model with the names of its classes, and the size and channels of its images."""

from __future__ import annotations

import dataclasses
import glob
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cnnrs.base.user_warnings import warn_user
from cnnrs.evaluation.outputs import of_model
from cnnrs.runs.data import Folder, ImageBatches
from cnnrs.runs.folder import RunFolder
from cnnrs.runs.settings import SettingsError
from cnnrs.saving import load_model

__all__ = ["Classifier", "Prediction", "image_paths"]

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


class Prediction(NamedTuple):
    """What a model says about an image.

    Attributes:
        path: The image.
        classes: Names and scores of the best classes, the best one first; empty where there is an error.
        error: Why the image was not read; None where it was.
    """

    path: str
    classes: list[tuple[str, float]]
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        if self.error is not None:
            return {"path": self.path, "error": self.error}
        return {"path": self.path, "classes": [{"name": n, "score": round(s, 6)} for n, s in self.classes]}


def image_paths(given: Iterable[str]) -> Iterator[str]:
    """The image files that paths name: files, those in folders, and those that patterns match.

    What names none is given as it is: whoever reads it says what is wrong, and the others go on.

    Args:
        given: Paths and patterns.
    """
    for text in given:
        if os.path.isdir(text):
            found = [
                os.path.join(root, name)
                for root, _, names in sorted(os.walk(text))
                for name in sorted(names)
                if name.lower().endswith(SUFFIXES)
            ]
            yield from found or [text]
        elif os.path.exists(text):
            yield text
        else:
            yield from sorted(glob.glob(text, recursive=True)) or [text]


class Classifier:
    """A trained model that reads image files.

    Args:
        path: The folder of a run, or the file of a model.
        class_names: Names of its classes, in place of those that its file has.

    Attributes:
        model: The model.
        class_names: Names of its classes.
        preprocessing: What is done to images before the model sees them.

    Raises:
        FileNotFoundError: There is no such run, or no such file.
        SettingsError: There are not as many names as classes.
        ValueError: The model does not classify images.
    """

    def __init__(self, path: Any, class_names: list[str] | None = None):
        path = Path(path)
        folder = RunFolder(path if path.is_dir() else path.parent)
        if path.is_dir():
            path = folder.require_model().best
        if not path.exists():
            raise FileNotFoundError(f"{str(path)!r}: no such model")
        self.path = path
        self.model = load_model(path, compile=False)
        shape, outputs = self.model.input_shape, self.model.output_shape
        if not (isinstance(shape, tuple) and len(shape) == 4):
            raise ValueError(f"{str(path)!r}: expected a model of images, received one of inputs {shape}")
        if not (isinstance(outputs, tuple) and len(outputs) == 2):
            raise ValueError(f"{str(path)!r}: expected a model of classes, received one that gives {outputs}")
        if self.model.get_image_preprocessing() is None:
            self.model.set_image_preprocessing()
        self.preprocessing = self.model.get_image_preprocessing()
        if self.preprocessing.image_size is None:
            self.preprocessing = dataclasses.replace(self.preprocessing, image_size=(224, 224))
        count = max(2, int(outputs[-1]))
        if class_names is not None and len(class_names) != count:
            raise SettingsError(
                f"class_names: expected {count} names, one for each class of {str(path)!r}, received "
                f"{len(class_names)}"
            )
        known = class_names or self.preprocessing.class_names
        # Whether the classes have names, and not numbers alone.
        self.is_named = known is not None
        self.class_names = list(known or map(str, range(count)))

    def scores(self, images: np.ndarray) -> np.ndarray:
        """Probabilities of classes of images from 0 to 255 of shape (n, height, width, channels)."""
        outputs = np.asarray(self.model.predict_on_batch(self.preprocessing.scaled(images)), np.float32)
        return of_model(self.model, outputs, "predict", None)

    def best(self, scores: np.ndarray, top: int) -> list[tuple[str, float]]:
        """Names and scores of the `top` best classes."""
        order = np.argsort(-scores, kind="stable")[:top]
        return [(self.class_names[i], float(scores[i])) for i in order]

    def read(self, image: Any) -> np.ndarray:
        """An image from 0 to 255 in the size of the model: of a file, or of its bytes.

        Raises:
            ValueError: It is no image.
        """
        if isinstance(image, str) and os.path.isdir(image):
            raise ValueError(f"{image}: no images ({', '.join(SUFFIXES)}) in this folder")
        if isinstance(image, str) and not os.path.exists(image):
            raise ValueError(f"{image}: no such file, and nothing that matches")
        try:
            return self.preprocessing.pixels(image)
        except (OSError, SyntaxError, ValueError, TypeError) as error:
            name = "" if isinstance(image, (bytes, bytearray)) else f"{image}: "
            raise ValueError(f"{name}not an image, or damaged: {error}") from error

    def predict(self, paths: Iterable[str], top: int = 1, batch_size: int = 32) -> Iterator[Prediction]:
        """What the model says about image files. One that cannot be read has an error; the others go on.

        Files are read in threads; those of the next batch while the network computes.

        Args:
            paths: The files.
            top: Classes of each.
            batch_size: Images that are computed at once.
        """
        left = iter(paths)
        with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="cnnrs-read") as pool:

            def begun() -> list[tuple[str, Any]]:
                return [(path, pool.submit(self.read, path)) for path in islice(left, batch_size)]

            batch = begun()
            while batch:
                following = begun()
                yield from self._batch(batch, top)
                batch = following

    def _batch(self, batch: list[tuple[str, Any]], top: int) -> Iterator[Prediction]:
        read: dict[int, np.ndarray] = {}
        errors: dict[int, str] = {}
        for place, (_, future) in enumerate(batch):
            try:
                read[place] = future.result()
            except (OSError, ValueError) as error:
                errors[place] = str(error)
        scores = dict(zip(read, self.scores(np.stack(list(read.values()))), strict=True)) if read else {}
        for place, (path, _) in enumerate(batch):
            if place in errors:
                yield Prediction(path, [], errors[place])
            else:
                yield Prediction(path, self.best(scores[place], top))

    def batches(self, directory: str, batch_size: int = 32, skips_broken: bool = False) -> ImageBatches:
        """The images of a folder with a sub-folder for each class of the model, as `fit` read them.

        A class without a sub-folder is a warning. Where the model's file has no names of its classes, and
        there are as many sub-folders as classes, these are the classes, in the order of their names.

        Args:
            directory: The folder.
            batch_size: Images of a batch.
            skips_broken: Whether files that are no images are left out with a warning.

        Raises:
            SettingsError: There are no such sub-folders.
        """
        kept, names = self.preprocessing, self.class_names
        if not self.is_named:
            names = self._named_by(directory)
        workers = os.cpu_count() or 1
        images = Folder(
            directory, list(kept.image_size), kept.color_mode, kept.fit, names, workers, skips_broken,
            may_lack=True,
        )  # fmt: skip
        return ImageBatches(images, np.arange(len(images)), batch_size, workers=workers)

    def _named_by(self, directory: str) -> list[str]:
        """Names for classes that have numbers alone: the sub-folders, as Keras's data sets order them."""
        if not os.path.isdir(directory):
            return self.class_names
        found = sorted(e.name for e in os.scandir(directory) if e.is_dir() and not e.name.startswith("."))
        if set(found) & set(self.class_names):
            # Folders that are called by the numbers of the classes.
            return self.class_names
        if len(found) != len(self.class_names):
            raise SettingsError(
                f"class_names: {str(self.path)!r} has {len(self.class_names)} classes without names, and "
                f"{directory!r} {len(found)} folders: expected the folders in the order of the classes"
            )
        warn_user(f"{str(self.path)!r} has no names of its classes: taking {', '.join(found)}, in this order")
        return found
