"""The number that an attribution explains, and what comes out of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnrs import _core, ops, tree
from cnnrs.analysis.pictures import overlay, save_image, to_unit
from cnnrs.analysis.receptive_fields import spatial_axes
from cnnrs.analysis.watching import Run, recorded, run
from cnnrs.base.extras import pyplot
from cnnrs.charts import data_url
from cnnrs.charts.html import tag
from cnnrs.ops.annotated import AnnotatedTensor

__all__ = ["Attribution", "Scorer", "gradient", "image_of"]


def image_of(model: Any, x: Any, owner: str) -> np.ndarray:
    """Samples as an array of floats with the axes of an image.

    Raises:
        ValueError: They have none, or the model has several inputs.
    """
    try:
        inputs = tree.flatten(model.input)
    except (AttributeError, ValueError):  # unknown before the first call, or at all
        inputs = []
    if len(inputs) > 1:
        raise ValueError(f"{owner}: model: expected a model of one input, {model.name} has {len(inputs)}")
    flat = tree.flatten(x) if isinstance(x, dict) else [x]
    if len(flat) != 1:
        raise ValueError(f"{owner}: x: expected samples of one input, received {len(flat)}")
    array = np.asarray(flat[0], np.float32)
    # One image, whose first axis is no batch, has a rank less than the model's input.
    rank = len(inputs[0].shape) if inputs else array.ndim
    if array.ndim != rank or not spatial_axes(model, array.ndim):
        raise ValueError(
            f"{owner}: x: expected (samples, height, width, channels), received shape {array.shape}"
        )
    if not len(array):
        raise ValueError(f"{owner}: x: expected at least one sample, received shape {array.shape}")
    return array


@dataclass(frozen=True)
class Attribution:
    """How much each place of each image counts for a score.

    Attributes:
        method: What computed it.
        values: (samples, height, width): as the method defines them, not brought to any range.
        classes: The class whose score is explained, for each sample.
        scores: That score, for each sample.
        images: The samples.
        raw: What `values` were made of, in the method's own shape: of pixels and channels, or of a layer's
            map.
        layer: The layer whose map was weighted; "" for other methods.
        completeness_error: Of integrated gradients, for each sample: the sum of `raw` less the difference of
            the scores of the sample and of the baseline, which it should be.
    """

    method: str
    values: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    images: np.ndarray
    raw: np.ndarray
    layer: str = ""
    completeness_error: np.ndarray | None = None

    @property
    def normalized(self) -> np.ndarray:
        """`values` brought to 0 to 1, each sample for itself."""
        return to_unit(self.values)

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        of = f" of {self.layer}" if self.layer else ""
        classes = ", ".join(map(str, self.classes[:8])) + (", …" if len(self.classes) > 8 else "")
        return f"<Attribution by {self.method}{of}: {self.values.shape}, classes {classes}>"

    def overlay(self, alpha: float = 0.5) -> np.ndarray:
        """The heat over the images: uint8 of shape (samples, height, width, 3).

        Args:
            alpha: How much the heat covers, from 0 to 1.
        """
        images = self.images
        if images.shape[1:3] != self.values.shape[1:]:
            images = np.moveaxis(images, 1, -1)
        if images.shape[-1] not in (1, 3):
            images = images.mean(axis=-1, keepdims=True)
        return overlay(images, self.values, alpha)

    def save(self, path: Any, sample: int = 0, alpha: float = 0.5) -> None:
        """Writes the heat over an image to a file, in the format that its ending names.

        Args:
            path: The file.
            sample: Number of the image.
            alpha: How much the heat covers.

        Raises:
            ImportError: Pillow of the extra `cnnrs[image]` is not installed.
        """
        save_image(path, self.overlay(alpha)[sample])

    def _repr_html_(self) -> str:
        """The images and the heat over them, for notebooks."""
        parts = []
        pairs = zip(self.overlay(0.0), self.overlay(0.5), self.classes, self.scores, strict=True)
        for plain, heated, label, score in list(pairs)[:8]:
            pixels = np.concatenate([plain, heated], axis=1)
            scale = max(1, 112 // max(plain.shape[:2]))
            text = f"class {label}: {score:.2f}"
            style = f"image-rendering:pixelated;width:{pixels.shape[1] * scale}px"
            drawn = tag("img", src=data_url(pixels), alt=text, style=style)
            parts.append(tag("figure", drawn, tag("figcaption", text), style="margin:0"))
        of = f" of {self.layer}" if self.layer else ""
        style = "display:flex;flex-wrap:wrap;gap:1em"
        return tag("div", tag("p", f"{self.method}{of}"), tag("div", *parts, style=style))

    def plot(self, alpha: float = 0.5) -> Any:
        """Draws the images and the heat over them.

        Args:
            alpha: How much the heat covers.

        Returns:
            matplotlib's figure.

        Raises:
            ImportError: matplotlib of the extra `cnnrs[plot]` is not installed.
        """
        count = min(len(self), 8)
        plt = pyplot("Attribution.plot")
        figure, axes = plt.subplots(2, count, figsize=(1.6 * count, 3.4), squeeze=False, layout="constrained")
        for row, pictures in zip(axes, (self.overlay(0.0), self.overlay(alpha)), strict=True):
            for ax, picture in zip(row, pictures, strict=False):
                ax.imshow(picture)
                ax.axis("off")
        for ax, label, score in zip(axes[0], self.classes, self.scores, strict=False):
            ax.set_title(f"class {label}: {score:.2f}", fontsize=8)
        figure.suptitle(self.method, fontsize=9)
        return figure


class Scorer:
    """Scores of one class per sample, taken before a softmax or sigmoid.

    Attributes:
        classes: The class of each sample.
        scores: Its score.

    Args:
        model: The model.
        x: The samples.
        class_index: A class for all samples, or one for each; None for those that are predicted.
        output: Which of several outputs: its number, or the name of the layer that makes it.
        owner: What asks, for errors.
    """

    def __init__(self, model: Any, x: np.ndarray, class_index: Any, output: Any, owner: str):
        self.model, self.output, self.owner = model, output, owner
        (every,) = run(model, x, [], lambda found: [self._scores(found)])
        # Of maps of scores, such as a segmentation's, the mean.
        flat = every.reshape(len(every), -1, every.shape[-1]).mean(axis=1)
        self.rank, self.count = every.ndim, every.shape[-1]
        if class_index is None:
            chosen = flat.argmax(axis=1)
        else:
            chosen = np.asarray(class_index)
            if chosen.dtype.kind not in "iu" or chosen.ndim > 1 or (chosen.ndim and len(chosen) != len(x)):
                raise ValueError(
                    f"{owner}: class_index: expected an integer, or one for each of {len(x)} samples, "
                    f"received {class_index!r}"
                )
            chosen = np.broadcast_to(chosen, (len(x),)).astype(np.int64)
            if chosen.min() < 0 or chosen.max() >= self.count:
                raise ValueError(
                    f"{owner}: class_index: expected 0 to {self.count - 1}, received {class_index!r}"
                )
        self.classes = np.asarray(chosen, np.int64)
        self.scores = np.take_along_axis(flat, self.classes[:, None], axis=1)[:, 0]

    def mask(self, classes: np.ndarray | None = None) -> np.ndarray:
        """1 where the score stands among the outputs, for each sample."""
        classes = self.classes if classes is None else classes
        chosen = np.zeros((len(classes), *(1,) * (self.rank - 2), self.count), np.float32)
        chosen.reshape(len(classes), -1)[np.arange(len(classes)), classes] = 1
        return chosen

    def recorded(
        self, x: np.ndarray, layers: list[Any], compute: Callable[[Run, Any], list[Any]]
    ) -> Callable[..., list[np.ndarray]]:
        """A function of samples and masks that gives what `compute` makes of a run and the sum of the scores.

        Sums over samples serve gradients: no sample's score depends on another sample.
        """
        mask = self.mask(np.resize(self.classes, len(x)))

        def scored(found: Run, chosen: Any) -> list[Any]:
            scores = self._scores(found)
            places = float(math.prod(scores.shape[1:-1]))
            return compute(found, (scores * chosen).reshape(scores.shape[0], -1).sum(axis=1) / places)

        return recorded(self.model, x, layers, scored, [mask])

    def _scores(self, found: Run) -> Any:
        outputs = found.output(self.output, self.model, self.owner)
        if len(outputs.shape) < 2:
            raise ValueError(
                f"{self.owner}: output: expected scores of classes, received shape {tuple(outputs.shape)}"
            )
        info = outputs.info if type(outputs) is AnnotatedTensor else None
        if info is not None and info.logits is not None:
            outputs = info.logits.tensor
        return ops.cast(outputs, "float32")


def gradient(total: Any, of: Any, owner: str, what: str) -> Any:
    """The gradient of a score by a tensor.

    Raises:
        ValueError: The score does not depend on it.
    """
    (found,) = _core.gradients(total, [of])
    if found is None:
        raise ValueError(f"{owner}: the score does not depend on {what} differentiably")
    return found
