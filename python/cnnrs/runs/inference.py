"""`Classifier`: a trained model with the names of its classes, and the size and channels of its images."""

from __future__ import annotations

import dataclasses
import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cnnrs.evaluation.outputs import of_model
from cnnrs.runs.data import Folder, ImageBatches
from cnnrs.runs.folder import RunFolder
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

    Attributes:
        model: The model.
        class_names: Names of its classes.
        preprocessing: What is done to images before the model sees them.

    Raises:
        FileNotFoundError: There is no such run, or no such file.
        ValueError: The model does not classify images.
    """

    def __init__(self, path: Any):
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
        self.class_names = list(self.preprocessing.class_names or map(str, range(count)))

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

        Args:
            paths: The files.
            top: Classes of each.
            batch_size: Images that are computed at once.
        """
        waiting: list[str] = []
        for path in paths:
            waiting.append(path)
            if len(waiting) == batch_size:
                yield from self._batch(waiting, top)
                waiting = []
        if waiting:
            yield from self._batch(waiting, top)

    def _batch(self, paths: list[str], top: int) -> Iterator[Prediction]:
        read: dict[int, np.ndarray] = {}
        errors: dict[int, str] = {}
        for place, path in enumerate(paths):
            try:
                read[place] = self.read(path)
            except (OSError, ValueError) as error:
                errors[place] = str(error)
        scores = dict(zip(read, self.scores(np.stack(list(read.values()))), strict=True)) if read else {}
        for place, path in enumerate(paths):
            if place in errors:
                yield Prediction(path, [], errors[place])
            else:
                yield Prediction(path, self.best(scores[place], top))

    def batches(self, directory: str, batch_size: int = 32) -> ImageBatches:
        """The images of a folder with a sub-folder for each class of the model, as `fit` read them."""
        kept = self.preprocessing
        images = Folder(directory, list(kept.image_size), kept.color_mode, kept.fit, self.class_names)
        return ImageBatches(images, np.arange(len(images)), batch_size)
