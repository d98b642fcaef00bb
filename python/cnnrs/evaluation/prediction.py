"""Class names and probabilities for images, as `model.predict_image` gives them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnrs.analysis.receptive_fields import spatial_axes
from cnnrs.base.arguments import flag, integer
from cnnrs.evaluation.averaging import test_time_augmentation
from cnnrs.evaluation.images import ImagePreprocessing, as_list
from cnnrs.evaluation.outputs import of_model

__all__ = ["ImagePrediction", "default_preprocessing", "predict_image"]


@dataclass(frozen=True, eq=False)
class ImagePrediction:
    """What a model says of an image. Printing it shows the best classes.

    Attributes:
        scores: The probability of each class.
        class_names: Their names.
    """

    scores: np.ndarray
    class_names: tuple[str, ...]

    @property
    def index(self) -> int:
        """The number of the class of the largest probability."""
        return int(self.scores.argmax())

    @property
    def class_name(self) -> str:
        """Its name."""
        return self.class_names[self.index]

    @property
    def score(self) -> float:
        """Its probability."""
        return float(self.scores[self.index])

    def top(self, count: int = 5) -> list[tuple[str, float]]:
        """Names and probabilities of the best classes, the best first.

        Args:
            count: How many at most.
        """
        count = integer(count, "ImagePrediction.top", "count", least=1)
        order = np.argsort(-self.scores, kind="stable")[:count]
        return [(self.class_names[k], float(self.scores[k])) for k in order]

    def __repr__(self) -> str:
        return ", ".join(f"{name} {score:.1%}" for name, score in self.top(3))


def default_preprocessing(model: Any, owner: str) -> dict[str, Any]:
    """Size, channels and their place, as the shape of a model's input has them.

    Raises:
        ValueError: The model takes no images, or does not know its input's shape.
    """
    try:
        shape = model.input_shape
    except AttributeError:
        return {}
    if not isinstance(shape, tuple) or len(shape) != 4:
        raise ValueError(
            f"{owner}: {model.name}: expected a model that takes images (height, width, channels), received "
            f"one whose input has shape {shape}"
        )
    modes = {3: "rgb", 4: "rgba", 1: "grayscale"}
    first = spatial_axes(model, 4)[0] == 2
    place = {"data_format": "channels_first" if first else "channels_last"}
    height, width, channels = (shape[2], shape[3], shape[1]) if first else shape[1:]
    if channels is not None and channels not in modes:
        raise ValueError(f"{owner}: {model.name}: expected 1, 3 or 4 channels, received {channels}")
    size = {"image_size": (height, width)} if height and width else {}
    return {**place, **size, **({"color_mode": modes[channels]} if channels else {})}


def preprocessing_of(model: Any, **given: Any) -> ImagePreprocessing:
    """What `set_image_preprocessing` keeps: what is given, else what the model's input says.

    Raises:
        ValueError: An argument is none of those it takes, or there are not as many names as classes.
    """
    owner = "set_image_preprocessing"
    known = {**default_preprocessing(model, owner), **{k: v for k, v in given.items() if v is not None}}
    made = ImagePreprocessing(**known)
    shape = getattr(model, "output_shape", None) if model.built else None
    if made.class_names is not None and isinstance(shape, tuple) and len(shape) == 2 and shape[1]:
        classes = max(2, shape[1])
        if len(made.class_names) != classes:
            raise ValueError(
                f"{owner}: class_names: expected {classes} names as {model.name} has classes, received "
                f"{len(made.class_names)}: {', '.join(made.class_names[:8])}"
            )
    return made


def predict_image(
    model: Any, images: Any, batch_size: int = 32, augmented: bool = False, from_logits: bool | None = None
) -> Any:
    """What `model.predict_image` does; the arguments are the same."""
    owner = "predict_image"
    batch_size = integer(batch_size, owner, "batch_size", least=1)
    preprocessing = model.get_image_preprocessing()
    if preprocessing is None:
        preprocessing = ImagePreprocessing(**default_preprocessing(model, owner))
    given, single = as_list(images)
    outputs = []
    for start in range(0, len(given), batch_size):
        pixels = [_named(preprocessing, image) for image in given[start : start + batch_size]]
        shapes = {p.shape for p in pixels}
        # Without a size that the model asks for, images of other sizes are computed one by one.
        groups = [np.stack(pixels)] if len(shapes) == 1 else [p[None] for p in pixels]
        for group in groups:
            outputs.append(_scores(model, preprocessing.scaled(group), augmented, from_logits))
    if not outputs:
        return []
    scores = np.concatenate(outputs)
    names = preprocessing.class_names or tuple(map(str, range(scores.shape[1])))
    if len(names) != scores.shape[1]:
        raise ValueError(
            f"{owner}: {model.name}: class_names: expected {scores.shape[1]} names as the model has classes, "
            f"received {len(names)}; call model.set_image_preprocessing(class_names=...)"
        )
    predictions = [ImagePrediction(row, names) for row in scores]
    return predictions[0] if single else predictions


def _named(preprocessing: ImagePreprocessing, image: Any) -> np.ndarray:
    """The pixels of an image; errors about a file name it."""
    try:
        return preprocessing.pixels(image)
    except ValueError as error:
        if isinstance(image, (bytes, np.ndarray)) or str(image) in str(error):
            raise
        raise ValueError(f"{image}: {error}") from error


def _scores(model: Any, x: np.ndarray, augmented: bool, from_logits: bool | None) -> np.ndarray:
    if flag(augmented, "predict_image", "augmented"):
        return test_time_augmentation(model, x, from_logits=from_logits)
    outputs = np.asarray(model.predict_on_batch(x), np.float32)
    return of_model(model, outputs, "predict_image", from_logits)
