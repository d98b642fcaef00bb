"""A model on labelled samples: everything that is to be known of it, from one pass."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnrs import tree
from cnnrs.analysis import Confusion
from cnnrs.analysis.tables import figure, table
from cnnrs.base.arguments import integer, named
from cnnrs.charts import HeatMap
from cnnrs.charts.html import Markup, tag
from cnnrs.evaluation import bootstrapping, curves, reliability
from cnnrs.evaluation.batches import batches_of
from cnnrs.evaluation.evaluated import Evaluated
from cnnrs.evaluation.labels import class_labels, names_of_classes
from cnnrs.evaluation.mistakes import Mistake, worst
from cnnrs.evaluation.outputs import of_model
from cnnrs.evaluation.reliability import Calibration
from cnnrs.evaluation.reports import ClassificationReport
from cnnrs.evaluation.run_files import Samples
from cnnrs.training.data_adapter import make_data

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Evaluation", "evaluate_model"]


class Evaluation(Evaluated):
    """Labels and probabilities, and all figures of them. Printing it shows them.

    Attributes:
        labels: The class of each sample.
        scores: Probabilities of shape (samples, classes).
        class_names: Names of the classes.
        paths: Files of the samples; None where they are not known.
        samples: The worst mistakes and some right samples as the model took them; None where they were not
            kept.

    Args:
        y_true: The class of each sample.
        scores: Probabilities of shape (samples, classes), or one a sample for the second of two classes.
        class_names: Names of the classes, by default their numbers.
        paths: Files of the samples.
        from_logits: Whether a softmax, or of one column a sigmoid, is still to be taken.

    Raises:
        ValueError: The arguments do not fit each other.

    >>> from cnnrs import evaluation
    >>> found = evaluation.Evaluation([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], ["cat", "dog"])
    >>> round(found.accuracy, 3), found.auc, found.report["dog"].recall
    (0.667, 1.0, 0.5)
    """

    _STORED = ("labels", "scores")
    _TEXTS = ("class_names", "paths")

    def __init__(
        self,
        y_true: Any,
        scores: Any,
        class_names: Any = None,
        paths: Any = None,
        from_logits: bool = False,
    ):
        owner = "Evaluation"
        self.labels, self.scores = reliability.fitting(y_true, scores, from_logits, owner)
        count = self.scores.shape[1]
        self.class_names = names_of_classes(class_names, count, owner)
        if len(self.class_names) != count:
            raise ValueError(
                f"{owner}: class_names: expected {count} names, one for each score, received "
                f"{len(self.class_names)}"
            )
        super().__init__(paths, len(self.labels))

    @property
    def predicted(self) -> np.ndarray:
        """The class of the largest probability of each sample."""
        return self.scores.argmax(axis=1)

    @property
    def is_binary(self) -> bool:
        """Whether there are two classes."""
        return len(self.class_names) == 2

    @functools.cached_property
    def confusion(self) -> Confusion:
        """How often samples of each class were taken for each class."""
        return Confusion(self.labels, self.predicted, self.class_names, None)

    @functools.cached_property
    def report(self) -> ClassificationReport:
        """Precision, recall, F1 and support of each class."""
        return ClassificationReport(self.confusion)

    @property
    def accuracy(self) -> float:
        """The share of samples whose class was predicted."""
        return self.confusion.accuracy

    @property
    def loss(self) -> float:
        """The mean cross-entropy, without penalties of weights."""
        return reliability.log_loss(self.labels, self.scores)

    def top_k(self, k: int = 5) -> float:
        """The share of samples whose class is among the k best.

        Args:
            k: How many classes.
        """
        return curves.top_k_accuracy(self.labels, self.scores, k)

    def roc(self, positive: Any = None) -> curves.RocCurve:
        """The receiver operating characteristic of a class against the others.

        Args:
            positive: The class: its name or number. Of two classes, by default the second.
        """
        return curves.roc(self.labels, self.scores, self._class(positive))

    def precision_recall(self, positive: Any = None) -> curves.PrecisionRecallCurve:
        """Precision by recall of a class against the others.

        Args:
            positive: The class: its name or number. Of two classes, by default the second.
        """
        return curves.precision_recall(self.labels, self.scores, self._class(positive))

    def _class(self, positive: Any) -> Any:
        if isinstance(positive, str):
            if positive not in self.class_names:
                raise ValueError(
                    f"Evaluation: positive: expected one of {', '.join(self.class_names[:20])}, received "
                    f"{positive!r}"
                )
            return self.class_names.index(positive)
        return positive

    @functools.cached_property
    def _areas(self) -> tuple[np.ndarray, np.ndarray]:
        return curves.areas_by_class(self.labels, self.scores)

    @property
    def auc_by_class(self) -> np.ndarray:
        """The area under the ROC curve of each class against all others; nan without samples of it."""
        return self._areas[0]

    @property
    def auc(self) -> float:
        """The area under the ROC curve: of two classes, or the mean over classes against all others."""
        return self._mean_area(0)

    @property
    def average_precision(self) -> float:
        """The average precision: of two classes, or the mean over classes against all others."""
        return self._mean_area(1)

    def _mean_area(self, which: int) -> float:
        areas = self._areas[which][1:] if self.is_binary else self._areas[which]
        known = areas[~np.isnan(areas)]
        return float(known.mean()) if len(known) else float("nan")

    @functools.cached_property
    def calibration(self) -> Calibration:
        """Confidence against accuracy, in 15 bins."""
        return reliability.calibration(self.labels, self.scores)

    def interval(self, statistic: Any = "accuracy", **options: Any) -> bootstrapping.Interval:
        """The interval of a figure by the bootstrap.

        Args:
            statistic: As for `evaluation.bootstrap`.
            **options: Further arguments of it: `resamples`, `confidence`, `stratified`, `seed`.
        """
        return bootstrapping.bootstrap(statistic, self.labels, self.scores, **options)

    @functools.cached_property
    def intervals(self) -> dict[str, bootstrapping.Interval]:
        """Of accuracy and macro F1: the intervals of 95%, by 1000 draws."""
        return {name: self.interval(name) for name in ("accuracy", "macro_f1")}

    def worst(self, count: int = 20, only_wrong: bool = True) -> list[Mistake]:
        """The samples of the largest loss.

        Args:
            count: How many at most.
            only_wrong: Whether samples whose class was predicted are left out.
        """
        return worst(
            self.labels,
            self.scores,
            count,
            class_names=self.class_names,
            paths=self.paths,
            only_wrong=only_wrong,
        )

    def _figures(self) -> dict[str, Any]:
        figures: dict[str, Any] = {
            "images": len(self.labels),
            "loss": self.loss,
            "accuracy": self.accuracy,
            "accuracy_by_class": {f.name: f.as_dict()["recall"] for f in self.report.classes},
            **{f"top_{k}_accuracy": self.top_k(k) for k in (3, 5) if k < len(self.class_names)},
            "auc": self.auc,
            "average_precision": self.average_precision,
            "expected_calibration_error": self.calibration.expected_error,
            "largest_calibration_error": self.calibration.largest_error,
            "brier_score": self.calibration.brier,
            "intervals": {
                name: {"value": i.value, "low": i.low, "high": i.high, "confidence": i.confidence}
                for name, i in self.intervals.items()
            },
            "report": self.report.as_dict(),
        }
        if len(self.class_names) <= 100:
            figures["confusion_matrix"] = self.confusion.matrix.tolist()
        return figures

    @classmethod
    def _of(cls, arrays: dict[str, np.ndarray]) -> Self:
        return cls(arrays["labels"], arrays["scores"], arrays.get("class_names"), arrays.get("paths"))

    def _rows(self) -> list[list[str]]:
        low, high = self.intervals["accuracy"][1:3]
        rows = [["Accuracy", f"{self.accuracy:.4f}", f"95%: {low:.4f} to {high:.4f}"]]
        rows += [[f"Top {k}", f"{self.top_k(k):.4f}", ""] for k in (3, 5) if k < len(self.class_names)]
        what = "" if self.is_binary else "mean over classes"
        found = self.calibration
        return rows + [
            ["Loss", f"{self.loss:.4f}", "cross-entropy"],
            ["AUC", figure(self.auc), what],
            ["Average precision", figure(self.average_precision), what],
            ["Calibration error", f"{found.expected_error:.4f}", f"Brier score {found.brier:.4f}"],
        ]

    def __repr__(self) -> str:
        return f"{self.report}\n\n{table(['Figure', 'Value', ''], self._rows(), frozenset([1]))}"

    def _repr_html_(self) -> str:
        """Figures, matrix and table, for notebooks."""
        from cnnrs.charts import html

        figures = html.table(["Figure", "Value", ""], self._rows(), numbers=[1])
        parts = [figures, HeatMap(self.confusion.matrix, self.class_names).svg()]
        parts.append(self.calibration.chart().svg())
        style = "display:flex;flex-wrap:wrap;gap:1.5em;align-items:flex-start"
        drawn = tag("div", *(tag("div", part) for part in parts), style=style)
        rows = self.report._repr_html_() if len(self.class_names) <= 30 else ""
        return tag("div", drawn, Markup(rows))


@named
def evaluate_model(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    class_names: Any = None,
    paths: Any = None,
    batch_size: int | None = None,
    from_logits: bool | None = None,
    samples: int = 24,
    on_batch: Callable[[int], Any] | None = None,
) -> Evaluation:
    """All figures of a model that gives one score a class, from one pass over labelled samples.

    Args:
        model: The model. One output of one column is the probability of the second of two classes.
        x: Samples, or what yields batches `(samples, labels)`, such as a data set. Weights of samples are not
            looked at: each counts the same.
        y: The class of each sample, if x is arrays: integers or one-hot rows.
        class_names: Names of the classes; None takes those of the data set or of the model's preprocessing.
        paths: Files of the samples; None takes those of a data set whose order is that of its files.
        batch_size: Samples that are computed at once, if x is arrays.
        from_logits: Whether the model gives logits; None asks its loss, and looks at what it gives.
        samples: How many of the worst mistakes, and of right samples a third as many, are kept as pictures.
        on_batch: Called after each batch with the number of samples so far: to show progress.

    Returns:
        An `Evaluation`: print it, or ask it: `found.accuracy`, `found.report`, `found.confusion`,
        `found.roc()`, `found.calibration`, `found.worst()`; `found.save(folder)` writes it.

    Raises:
        ValueError: There are no labels, or they do not fit the outputs.

    >>> import numpy as np
    >>> import cnnrs
    >>> from cnnrs import evaluation, layers
    >>> model = cnnrs.Sequential([cnnrs.Input((4,)), layers.Dense(3, activation="softmax")])
    >>> x = np.random.default_rng(0).random((8, 4), np.float32)
    >>> found = evaluation.evaluate_model(model, x, np.arange(8) % 3, class_names=["a", "b", "c"])
    >>> int(found.confusion.matrix.sum()), len(found.report)
    (8, 3)
    """
    owner = "evaluate_model"
    kept = _Kept(integer(samples, owner, "samples", least=0))
    data = make_data(x, y, None, batch_size, None)
    labels: list[np.ndarray] = []
    outputs: list[np.ndarray] = []
    for batch, targets in batches_of(data, owner, "y: expected the class of each sample"):
        scores = model.predict_on_batch(batch)
        if not isinstance(scores, np.ndarray) or scores.ndim not in (1, 2):
            what = f"shape {scores.shape}" if hasattr(scores, "shape") else type(scores).__name__
            raise ValueError(
                f"{owner}: model: expected one output of shape (samples, classes), received {what}"
            )
        labels.append(class_labels(targets, owner, "y"))
        outputs.append(scores)
        kept.look(batch, labels[-1], scores)
        if on_batch is not None:
            on_batch(kept.seen)
    if not outputs:
        raise ValueError(f"{owner}: x: expected at least one batch, received none")
    every = np.concatenate(outputs)
    names = class_names if class_names is not None else _names(model, x)
    if paths is None and getattr(x, "files_in_order", False):
        paths = x.file_paths
    found = Evaluation(np.concatenate(labels), of_model(model, every, owner, from_logits), names, paths)
    found.samples = kept.samples()
    return found


def _names(model: Any, x: Any) -> Any:
    names = getattr(x, "class_names", None)
    preprocessing = getattr(model, "_image_preprocessing", None)
    return names if names is not None or preprocessing is None else preprocessing.class_names


class _Kept:
    """The worst mistakes so far and the first right samples of each class, as the model took them."""

    def __init__(self, most: int):
        self._most, self.seen = most, 0
        self._wrong: list[tuple[float, int, np.ndarray]] = []
        self._right: dict[int, tuple[int, np.ndarray]] = {}

    def look(self, x: Any, labels: np.ndarray, scores: np.ndarray) -> None:
        flat = tree.flatten(x)
        first, self.seen = self.seen, self.seen + len(labels)
        if len(flat) != 1 or np.ndim(flat[0]) != 4 or not self._most:
            return
        images = np.asarray(flat[0])
        values = scores.astype(np.float64).reshape(len(labels), -1)
        if values.shape[1] == 1:
            # The order of losses is that of distances from the label, for probabilities and logits alike.
            logit_like = values[:, 0].min() < 0 or values[:, 0].max() > 1
            predicted = (values[:, 0] > (0.0 if logit_like else 0.5)).astype(int)
            loss = np.where(labels == 1, -values[:, 0], values[:, 0])
        elif labels.max() < values.shape[1]:
            predicted = values.argmax(axis=1)
            own = values[np.arange(len(labels)), labels]
            is_distribution = values.min() >= 0 and np.max(np.abs(values.sum(axis=1) - 1)) < 0.02
            top = values.max(axis=1, keepdims=True)
            loss = -own if is_distribution else np.log(np.exp(values - top).sum(axis=1)) + top[:, 0] - own
        else:
            return
        for i in np.flatnonzero(predicted != labels):
            self._wrong.append((float(loss[i]), first + int(i), images[i].copy()))
        self._wrong.sort(key=lambda entry: (-entry[0], entry[1]))
        del self._wrong[self._most :]
        for i in np.flatnonzero(predicted == labels):
            if len(self._right) < -(-self._most // 3):
                self._right.setdefault(int(labels[i]), (first + int(i), images[i].copy()))

    def samples(self) -> Samples | None:
        chosen = [(i, image) for _, i, image in self._wrong] + list(self._right.values())
        if not chosen or len({image.shape for _, image in chosen}) > 1:
            return None
        return Samples(np.array([i for i, _ in chosen]), np.stack([image for _, image in chosen]))
