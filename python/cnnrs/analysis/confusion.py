"""Which classes a model takes for which."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cnnrs.analysis.pictures import grid, to_unit
from cnnrs.analysis.tables import figure, table
from cnnrs.base.arguments import integer, named
from cnnrs.charts import Plotted

__all__ = ["Confusion", "ConfusedPair", "confusion"]


@dataclass(frozen=True, eq=False)
class ConfusedPair:
    """Samples of one class that were taken for another.

    Attributes:
        true: The name of their class.
        predicted: The name of the class that they were taken for.
        count: How many.
        share: Of the samples of their class.
        samples: Their numbers.
    """

    true: str
    predicted: str
    count: int
    share: float
    samples: np.ndarray = field(repr=False)


class Confusion(Plotted):
    """How often samples of each class were taken for each class. Printing it shows a table.

    `plot` draws the matrix, each row as shares of its class.

    Attributes:
        matrix: Counts: rows are true classes, columns are predicted ones.
        class_names: Names of the classes.
        true: The class of each sample.
        predicted: The class that it was taken for.
    """

    def __init__(self, true: np.ndarray, predicted: np.ndarray, class_names: list[str], images: Any):
        self.true, self.predicted, self.class_names = true, predicted, class_names
        self.matrix = np.zeros((len(class_names), len(class_names)), np.int64)
        np.add.at(self.matrix, (true, predicted), 1)
        self._images = images

    @property
    def accuracy(self) -> float:
        """The share of samples whose class was predicted."""
        return float(np.trace(self.matrix) / max(1, self.matrix.sum()))

    @property
    def recall(self) -> np.ndarray:
        """For each class, the share of its samples that were taken for it; nan without samples."""
        return self._share(self.matrix.sum(axis=1))

    @property
    def precision(self) -> np.ndarray:
        """For each class, the share of the samples taken for it that are of it; nan where there are none."""
        return self._share(self.matrix.sum(axis=0))

    def _share(self, totals: np.ndarray) -> np.ndarray:
        empty = np.full(len(totals), np.nan)
        return np.divide(np.diag(self.matrix), totals, out=empty, where=totals > 0)

    def most_confused(self, count: int = 5) -> list[ConfusedPair]:
        """The pairs of classes that are confused most often, the most frequent first.

        Args:
            count: How many at most.
        """
        count = integer(count, "most_confused", "count", least=1)
        wrong = self.matrix - np.diag(np.diag(self.matrix))
        pairs = sorted(zip(*np.nonzero(wrong), strict=True), key=lambda p: (-wrong[p], p))[:count]
        return [
            ConfusedPair(
                self.class_names[t],
                self.class_names[p],
                int(wrong[t, p]),
                float(wrong[t, p] / self.matrix[t].sum()),
                np.flatnonzero((self.true == t) & (self.predicted == p)),
            )
            for t, p in pairs
        ]

    def __repr__(self) -> str:
        rows = [
            [name, str(self.matrix[k].sum()), figure(self.precision[k], 3), figure(self.recall[k], 3)]
            for k, name in enumerate(self.class_names)
        ]
        lines = [
            f"Accuracy {self.accuracy:.4f} of {self.matrix.sum()} samples",
            table(["Class", "Samples", "Precision", "Recall"], rows, frozenset([1, 2, 3])),
            *(f"{p.true} taken for {p.predicted}: {p.count} ({p.share:.1%})" for p in self.most_confused()),
        ]
        return "\n".join(lines)

    def _draw(self, ax: Any) -> None:
        shares = self.matrix / np.maximum(self.matrix.sum(axis=1, keepdims=True), 1)
        ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (t, p), count in np.ndenumerate(self.matrix):
            if count and len(self.class_names) <= 20:
                colour = "white" if shares[t, p] > 0.5 else "black"
                ax.text(p, t, str(count), ha="center", va="center", fontsize=7, color=colour)
        places = range(len(self.class_names))
        ax.set_xticks(places, self.class_names, rotation=90)
        ax.set_yticks(places, self.class_names)
        ax.set(xlabel="predicted", ylabel="true", title=f"accuracy {self.accuracy:.3f}")

    def plot_examples(self, count: int = 8) -> Any:
        """Draws samples of the pairs that are confused most often.

        Args:
            count: How many at most.

        Returns:
            matplotlib's figure.

        Raises:
            ImportError: matplotlib of the extra `cnnrs[plot]` is not installed.
            ValueError: The samples are no images, or none was confused.
        """
        count = integer(count, "plot_examples", "count", least=1)
        images = np.asarray(self._images)
        pairs = self.most_confused(count)
        if images.ndim not in (3, 4) or not pairs:
            raise ValueError(
                f"plot_examples: expected images of which some were confused, received {images.shape} and "
                f"{len(pairs)} confused pairs"
            )
        shown: list[np.ndarray] = []
        titles: list[str] = []
        for turn in range(max(pair.count for pair in pairs)):
            for pair in pairs:
                if turn < pair.count and len(shown) < count:
                    image = to_unit(images[pair.samples[turn]], per_sample=False)
                    shown.append(image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image)
                    titles.append(f"{pair.true}, not {pair.predicted}")
        return grid(shown, titles, "plot_examples", cmap="gray")


@named
def confusion(model: Any, x: Any, y: Any, *, class_names: Any = None, batch_size: int = 32) -> Confusion:
    """Which classes a model takes for which.

    Args:
        model: A model that gives scores of classes, or one number of which more than 0.5 is the second class;
            or the array of what it gave for `x`.
        x: Samples.
        y: Their classes: integers, or scores such as one-hot rows.
        class_names: Names of the classes, by default their numbers.
        batch_size: Samples that are computed at once.

    Returns:
        The matrix, and the pairs that are confused most often.

    Raises:
        ValueError: `y` does not fit the samples or the model's outputs.

    >>> import numpy as np
    >>> import cnnrs
    >>> scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    >>> found = cnnrs.analysis.confusion(scores, None, [0, 1, 1], class_names=["cat", "dog"])
    >>> pair = found.most_confused()[0]
    >>> found.matrix.tolist(), pair.true, pair.predicted, pair.samples.tolist()
    ([[1, 0], [1, 1]], 'dog', 'cat', [2])
    """
    owner = "confusion"
    batch_size = integer(batch_size, owner, "batch_size", least=1)
    scores = (
        model.predict(x, batch_size=batch_size, verbose=0) if hasattr(model, "predict") else np.asarray(model)
    )
    if isinstance(scores, (list, tuple, dict)) or np.ndim(scores) != 2:
        shape = np.shape(scores) if hasattr(scores, "shape") else type(scores).__name__
        raise ValueError(f"{owner}: model: expected scores of shape (samples, classes), received {shape}")
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] > 1:
        labels = labels.argmax(axis=1)
    labels = labels.reshape(len(labels), -1)
    if labels.shape != (len(scores), 1) or np.any(labels != np.floor(labels)):
        raise ValueError(
            f"{owner}: y: expected {len(scores)} classes, one for each sample, received shape {np.shape(y)}"
        )
    true = labels[:, 0].astype(np.int64)
    binary = scores.shape[1] == 1
    count = 2 if binary else scores.shape[1]
    if len(true) and not (0 <= true.min() and true.max() < count):
        raise ValueError(
            f"{owner}: y: expected classes from 0 to {count - 1}, received {true.min()} to {true.max()}"
        )
    names = [str(k) for k in range(count)] if class_names is None else [str(name) for name in class_names]
    if len(names) != count:
        raise ValueError(f"{owner}: class_names: expected {count} names, received {len(names)}")
    predicted = (scores[:, 0] > 0.5).astype(np.int64) if binary else scores.argmax(axis=1)
    return Confusion(true, predicted, names, x)
