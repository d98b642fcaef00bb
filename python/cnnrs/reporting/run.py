"""`Run`: what the folder of a run holds, each part read when it is first asked for."""

from __future__ import annotations

import csv
import functools
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cnnrs.analysis.pictures import to_unit
from cnnrs.base.user_warnings import warn_user
from cnnrs.evaluation import Deviation, Evaluation, ImagePreprocessing, Mistake, Regression, run_files
from cnnrs.evaluation.prediction import default_preprocessing
from cnnrs.models import load_model

__all__ = ["Example", "Missing", "Run"]

# Pixels of the longer side of a picture in a report, and how many mistakes are shown.
_SIDE, MISTAKES = 112, 24


class Missing(Exception):
    """A part of the report that cannot be made, and why."""


class Example(NamedTuple):
    """A sample with its picture.

    Attributes:
        mistake: What was predicted, and what it is: of a class or of numbers.
        picture: uint8 (height, width, 3), small.
        sample: (1, height, width, channels) as the model takes it; None where only a picture is left.
    """

    mistake: Any
    picture: np.ndarray
    sample: np.ndarray | None


class Run:
    """The folder of a run.

    Attributes:
        folder: The folder.

    Args:
        folder: The folder.

    Raises:
        FileNotFoundError: There is no such folder.
    """

    def __init__(self, folder: Any):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise FileNotFoundError(f"report: {str(self.folder)!r}: expected the folder of a run, found none")

    def text(self, name: str, what: str) -> str:
        """A file of text.

        Raises:
            Missing: There is none, or it cannot be read.
        """
        try:
            return (self.folder / name).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            raise Missing(f"{name}, {what}, is not there") from None
        except OSError as error:
            raise Missing(f"{name}, {what}, cannot be read: {error.strerror}") from None

    @functools.cached_property
    def history(self) -> dict[str, np.ndarray]:
        """The columns of `history.csv`; what is no number is nan."""
        rows = list(csv.reader(self.text("history.csv", "the figures of each epoch").splitlines()))
        if len(rows) < 2:
            raise Missing("history.csv has no epoch yet")
        columns = {name: np.full(len(rows) - 1, math.nan) for name in rows[0]}
        for i, row in enumerate(rows[1:]):
            for name, cell in zip(rows[0], row, strict=False):
                try:
                    columns[name][i] = float(cell)
                except ValueError:
                    continue
        if "epoch" not in columns:
            columns["epoch"] = np.arange(1.0, len(rows))
        return columns

    @functools.cached_property
    def environment(self) -> dict[str, Any]:
        """What `environment.json` says."""
        try:
            found = json.loads(self.text("environment.json", "command, versions and machine"))
        except ValueError as error:
            raise Missing(f"environment.json is damaged: {error}") from None
        if not isinstance(found, dict):
            raise Missing("environment.json is damaged: it holds no object")
        return found

    @functools.cached_property
    def evaluation(self) -> Evaluation:
        """The evaluation."""
        try:
            return Evaluation.load(self.folder)
        except FileNotFoundError:
            raise Missing("predictions.npz, the predictions for the validation, is not there") from None
        except ValueError as error:
            raise Missing(str(error)) from None

    @functools.cached_property
    def kind(self) -> str:
        """What the run predicts: "classes" or "regression"."""
        return run_files.kind_of(self.folder)

    @functools.cached_property
    def regression(self) -> Regression:
        """The evaluation of a model that predicts numbers."""
        try:
            return Regression.load(self.folder)
        except FileNotFoundError:
            raise Missing("predictions.npz, the predictions for the validation, is not there") from None
        except ValueError as error:
            raise Missing(str(error)) from None

    @functools.cached_property
    def model(self) -> Any:
        """The model of `model.keras`, not compiled."""
        path = self.folder / "model.keras"
        if not path.is_file():
            raise Missing("model.keras, the model, is not there")
        try:
            return load_model(path, compile=False)
        except Exception as error:
            raise Missing(f"model.keras cannot be loaded: {error}") from None

    @functools.cached_property
    def preprocessing(self) -> ImagePreprocessing:
        """What is done to images before the model sees them."""
        known = self.model.get_image_preprocessing()
        if known is not None:
            return known
        try:
            return ImagePreprocessing(**default_preprocessing(self.model, "report"))
        except ValueError as error:
            raise Missing(str(error)) from None

    @functools.cached_property
    def wrong(self) -> list[Example]:
        """The worst mistakes that have pictures."""
        return self._examples(self.evaluation.worst(MISTAKES))

    @functools.cached_property
    def farthest(self) -> list[Example]:
        """The largest errors of numbers that have pictures."""
        return self._examples(self.regression.worst(MISTAKES))

    @functools.cached_property
    def right(self) -> list[Example]:
        """Some samples whose class was predicted."""
        found = self.evaluation
        if found.samples is not None:
            chosen = [i for i in found.samples.indices.tolist() if found.predicted[i] == found.labels[i]]
        else:
            hits = found.predicted == found.labels
            chosen = [
                int(np.flatnonzero(hits & (found.labels == k))[0]) for k in np.unique(found.labels[hits])
            ]
        every = {m.index: m for m in found.worst(len(found.labels), only_wrong=False)}
        return self._examples([every[i] for i in chosen[:8]])

    def _examples(self, mistakes: Sequence[Mistake | Deviation]) -> list[Example]:
        found = []
        for mistake in mistakes:
            example = self._kept(mistake) or self._of_file(mistake)
            if example is not None:
                found.append(example)
        return found

    def _kept(self, mistake: Mistake | Deviation) -> Example | None:
        """The example of a sample that the evaluation kept."""
        samples = (self.regression if self.kind == "regression" else self.evaluation).samples
        if samples is None or mistake.index not in samples.indices:
            return None
        place = np.flatnonzero(samples.indices == mistake.index)
        sample = samples.images[place[:1]].astype(np.float32)
        return Example(mistake, small(self._pixels(sample)), sample)

    def _pixels(self, sample: np.ndarray) -> np.ndarray:
        """The picture of a sample: as it was before the model's preprocessing, where that is known."""
        try:
            known = self.model.get_image_preprocessing()
        except Missing:
            known = None
        if known is not None:
            return known.restored(sample)[0]
        image = sample[0]
        if image.shape[-1] not in (1, 3, 4) and image.shape[0] in (1, 3, 4):
            image = np.moveaxis(image, 0, -1)
        if 1.0 < image.max() <= 255 and image.min() >= 0:
            return np.rint(image).astype(np.uint8)
        unit = image if 0 <= image.min() and image.max() <= 1 else to_unit(image, per_sample=False)
        return np.rint(unit * 255).astype(np.uint8)

    def _of_file(self, mistake: Mistake | Deviation) -> Example | None:
        """The example of a file that is still there."""
        if not mistake.path or not Path(mistake.path).is_file():
            return None
        try:
            pixels = self.preprocessing.pixels(mistake.path)
            return Example(mistake, small(pixels.astype(np.uint8)), self.preprocessing.scaled(pixels[None]))
        except Missing:
            return None
        except (OSError, ValueError, ImportError) as error:
            warn_user(f"report: {mistake.path}: no picture: {error}")
            return None


def small(pixels: np.ndarray, side: int = _SIDE) -> np.ndarray:
    """A picture as uint8 (height, width, 3) of at most `side` pixels, each the mean of those it stands for.

    >>> small(np.zeros((300, 200, 1), np.uint8)).shape
    (100, 67, 3)
    """
    step = max(1, -(-max(pixels.shape[:2]) // side))
    pixels = pixels[..., :3] if pixels.shape[-1] in (3, 4) else np.repeat(pixels[..., :1], 3, axis=-1)
    if step == 1:
        return np.ascontiguousarray(pixels)
    height, width = (-(-extent // step) for extent in pixels.shape[:2])
    padded = np.pad(
        pixels.astype(np.float32),
        ((0, height * step - pixels.shape[0]), (0, width * step - pixels.shape[1]), (0, 0)),
        mode="edge",
    )
    means = padded.reshape(height, step, width, step, 3).mean(axis=(1, 3))
    return np.rint(means).astype(np.uint8)
