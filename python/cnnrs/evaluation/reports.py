"""Precision, recall, F1 and support, class by class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnrs.analysis import Confusion
from cnnrs.analysis.tables import figure, table
from cnnrs.base.suggest import did_you_mean
from cnnrs.charts import html
from cnnrs.evaluation.labels import label_pairs

__all__ = ["ClassFigures", "ClassificationReport", "classification_report", "confusion_matrix"]


@dataclass(frozen=True)
class ClassFigures:
    """Figures of a class, or their averages over classes.

    Attributes:
        name: The class.
        precision: The share of the samples taken for it that are of it; nan where none was taken for it.
        recall: The share of its samples that were taken for it; nan where there are none.
        f1: The harmonic mean of both: 2 TP / (2 TP + FP + FN); nan where none is of it or taken for it.
        support: How many samples are of it.
    """

    name: str
    precision: float
    recall: float
    f1: float
    support: int

    def as_dict(self) -> dict[str, float | int | None]:
        """The figures as JSON takes them: None in place of nan."""
        values = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        return {**{k: None if np.isnan(v) else float(v) for k, v in values.items()}, "support": self.support}


class ClassificationReport:
    """Figures of all classes and their averages. Printing it shows a table.

    Averages leave out classes for which a figure is not defined (shown as –), as scikit-learn's
    `zero_division=numpy.nan` does.

    Attributes:
        classes: Figures of each class.
        accuracy: The share of samples whose class was predicted.
        macro: Means over classes, each of which counts the same.
        weighted: Means over classes, each of which counts by its samples.
        balanced_accuracy: The mean recall.
    """

    def __init__(self, confusion: Confusion):
        matrix = confusion.matrix.astype(np.float64)
        right, support, taken = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
        precision, recall = _share(right, taken), _share(right, support)
        f1 = _share(2 * right, support + taken)
        self.classes = [
            ClassFigures(name, float(precision[k]), float(recall[k]), float(f1[k]), int(support[k]))
            for k, name in enumerate(confusion.class_names)
        ]
        self.accuracy = confusion.accuracy
        figures, total = (precision, recall, f1), int(support.sum())
        even = np.ones(len(support))
        self.macro = _average("macro average", figures, even, total)
        self.weighted = _average("weighted average", figures, support, total)
        self.balanced_accuracy = self.macro.recall

    def __getitem__(self, name: str) -> ClassFigures:
        """The figures of a class.

        Raises:
            KeyError: There is none of this name.
        """
        for figures in self.classes:
            if figures.name == name:
                return figures
        known = [figures.name for figures in self.classes]
        raise KeyError(f"classification_report: no class is called {name!r}{did_you_mean(str(name), known)}")

    def __len__(self) -> int:
        return len(self.classes)

    def as_dict(self) -> dict[str, Any]:
        """All figures as JSON takes them: by class, and those of all classes together."""
        return {
            "accuracy": self.accuracy,
            "balanced_accuracy": None if np.isnan(self.balanced_accuracy) else self.balanced_accuracy,
            "classes": {figures.name: figures.as_dict() for figures in self.classes},
            "macro_average": self.macro.as_dict(),
            "weighted_average": self.weighted.as_dict(),
        }

    def rows(self) -> list[list[str]]:
        """Cells of the table: name, precision, recall, F1 and support of each class, then of the averages."""
        return [
            [f.name, *(figure(v, 3) for v in (f.precision, f.recall, f.f1)), f"{f.support:,}"]
            for f in (*self.classes, self.macro, self.weighted)
        ]

    def __repr__(self) -> str:
        titles = ["Class", "Precision", "Recall", "F1", "Support"]
        lines = table(titles, self.rows(), frozenset([1, 2, 3, 4]))
        return f"{lines}\nAccuracy {self.accuracy:.4f} of {self.macro.support:,} samples"

    def _repr_html_(self) -> str:
        """The table, for notebooks."""
        titles = ["Class", "Precision", "Recall", "F1", "Support"]
        caption = f"Accuracy {self.accuracy:.4f} of {self.macro.support:,} samples"
        return html.table(titles, self.rows(), numbers=range(1, 5), caption=caption)


def _share(parts: np.ndarray, totals: np.ndarray) -> np.ndarray:
    return np.divide(parts, totals, out=np.full(len(totals), np.nan), where=totals > 0)


def _mean(values: np.ndarray, weights: np.ndarray) -> float:
    known = ~np.isnan(values)
    return float(np.average(values[known], weights=weights[known])) if weights[known].sum() else float("nan")


def _average(name: str, figures: tuple[np.ndarray, ...], weights: np.ndarray, total: int) -> ClassFigures:
    precision, recall, f1 = (_mean(values, weights) for values in figures)
    return ClassFigures(name, precision, recall, f1, total)


def classification_report(
    y_true: Any, y_pred: Any, class_names: Any = None, *, target_names: Any = None
) -> ClassificationReport:
    """Precision, recall, F1 and support of each class, and their averages.

    Args:
        y_true: The class of each sample: an integer, a row of which one entry is 1, or a name.
        y_pred: The predicted classes as integers or names, or scores of shape (samples, classes).
        class_names: Names of the classes, by default their numbers.
        target_names: The same, as scikit-learn calls them.

    Returns:
        A table that prints itself; `report["cat"].recall`, `report.macro.f1`, `report.as_dict()`.

    Raises:
        ValueError: The arguments do not fit each other.

    Reference: C. J. van Rijsbergen (1979), "Information Retrieval", chapter 7; the F1 of averages is the mean
    of the classes' F1: J. Opitz, S. Burst (2019), "Macro F1 and Macro F1", arXiv:1911.03347.

    >>> from cnnrs import evaluation
    >>> report = evaluation.classification_report([0, 1, 1, 2], [0, 1, 0, 2], ["cat", "dog", "owl"])
    >>> report["dog"].recall, round(report.macro.f1, 4)
    (0.5, 0.7778)
    >>> print(report)
    Class             Precision  Recall     F1  Support
    ────────────────  ─────────  ──────  ─────  ───────
    cat                   0.500   1.000  0.667        1
    dog                   1.000   0.500  0.667        2
    owl                   1.000   1.000  1.000        1
    macro average         0.833   0.833  0.778        4
    weighted average      0.875   0.750  0.750        4
    Accuracy 0.7500 of 4 samples
    """
    if target_names is not None:
        if class_names is not None:
            raise ValueError("classification_report: target_names: expected None besides class_names")
        class_names = target_names
    pairs = label_pairs(y_true, y_pred, class_names, "classification_report")
    return ClassificationReport(Confusion(*pairs, None))


def confusion_matrix(y_true: Any, y_pred: Any, class_names: Any = None, *, normalize: Any = None) -> Any:
    """How often samples of each class were taken for each class.

    Args:
        y_true: The class of each sample: an integer, a row of which one entry is 1, or a name.
        y_pred: The predicted classes as integers or names, or scores of shape (samples, classes).
        class_names: Names of the classes, by default their numbers.
        normalize: "true" gives shares of each row, "pred" of each column, "all" of all samples, as
            scikit-learn does; rows and columns without samples are zeros.

    Returns:
        With `normalize` an array of shares; else what `cnnrs.analysis.confusion` gives for a model:
        `found.matrix`, whose rows are true classes, `found.most_confused()`, `found.plot()`.

    Raises:
        ValueError: The arguments do not fit each other.

    >>> from cnnrs import evaluation
    >>> evaluation.confusion_matrix([0, 1, 1], [0, 1, 0]).matrix.tolist()
    [[1, 0], [1, 1]]
    >>> evaluation.confusion_matrix([0, 1, 1], [0, 1, 0], normalize="true").tolist()
    [[1.0, 0.0], [0.5, 0.5]]
    """
    axes: dict[Any, Any] = {None: None, "true": 1, "pred": 0, "all": (0, 1)}
    if not isinstance(normalize, (str, type(None))) or normalize not in axes:
        raise ValueError(
            f"confusion_matrix: normalize: expected 'true', 'pred', 'all' or None, received {normalize!r}"
        )
    found = Confusion(*label_pairs(y_true, y_pred, class_names, "confusion_matrix"), None)
    if normalize is None:
        return found
    totals = found.matrix.sum(axis=axes[normalize], keepdims=True)
    return found.matrix / np.maximum(totals, 1)
