"""Labels and scores as arrays: one class a sample, one probability a class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnrs.base.suggest import did_you_mean

__all__ = ["class_labels", "label_pairs", "names_of_classes", "one_score", "probabilities"]


def as_array(values: Any) -> np.ndarray:
    """A tensor, list or array as an array, bfloat16 as float32."""
    array = np.asarray(values.numpy() if hasattr(values, "numpy") else values)
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def class_labels(y: Any, owner: str, argument: str = "y_true") -> np.ndarray:
    """The class of each sample, as int64.

    Args:
        y: Integers of shape (samples,) or (samples, 1), or rows of classes of which one is 1, or soft ones,
            whose largest entry counts.
        owner: What asks, for errors.
        argument: What the errors call `y`.

    Raises:
        ValueError: They are none of these.

    >>> class_labels([[0, 1], [1, 0]], "f").tolist(), class_labels([[1.0], [0.0]], "f").tolist()
    ([1, 0], [1, 0])
    """
    labels = as_array(y)
    if labels.ndim == 2 and labels.shape[1] > 1:
        sums = labels.sum(axis=1)
        if labels.dtype.kind not in "biuf" or not np.allclose(sums, 1, atol=1e-3) or labels.min() < 0:
            raise ValueError(
                f"{owner}: {argument}: expected one class for each sample, as an integer or a row whose sum "
                f"is 1, received rows of shape {labels.shape} with other sums"
            )
        return labels.argmax(axis=1).astype(np.int64)
    if labels.ndim == 2:
        labels = labels[:, 0]
    is_number = labels.dtype.kind in "biuf"
    if labels.ndim != 1 or not is_number or not np.all(np.isfinite(labels) & (labels == np.floor(labels))):
        raise ValueError(
            f"{owner}: {argument}: expected one class for each sample, as an integer or a row whose sum is "
            f"1, received an array of {labels.dtype} of shape {labels.shape}"
        )
    if len(labels) and labels.min() < 0:
        raise ValueError(f"{owner}: {argument}: expected classes from 0 on, received {labels.min()}")
    return labels.astype(np.int64)


def probabilities(scores: Any, owner: str, from_logits: bool = False) -> np.ndarray:
    """Scores as probabilities in float64, one column a class.

    Args:
        scores: (samples, classes); or (samples,) or (samples, 1) for the probability of the second class.
        owner: What asks, for errors.
        from_logits: Whether a softmax, or of one column a sigmoid, is still to be taken.

    Raises:
        ValueError: They have another shape, are not finite, or are no probabilities.

    >>> probabilities([[0.25], [1.0]], "f").tolist()
    [[0.75, 0.25], [0.0, 1.0]]
    """
    values = as_array(scores)
    if (
        values.ndim not in (1, 2)
        or values.dtype.kind not in "biuf"
        or values.ndim == 2
        and not values.shape[1]
    ):
        raise ValueError(
            f"{owner}: scores: expected an array (samples, classes), received {values.dtype} of shape "
            f"{values.shape}"
        )
    values = values.astype(np.float64)
    if not np.all(np.isfinite(values)):
        row = int(np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))[0])
        raise ValueError(f"{owner}: scores: expected finite numbers, received {values[row]} for sample {row}")
    if values.ndim == 1:
        values = values[:, None]
    if values.shape[1] == 1:
        if from_logits:
            # Both sides are computed, so that neither is 1 less a number near 1.
            return np.concatenate([_sigmoid(-values), _sigmoid(values)], axis=1)
        _require_probabilities(values, owner)
        return np.concatenate([1 - values, values], axis=1)
    if from_logits:
        powers = np.exp(values - values.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)
    _require_probabilities(values, owner)
    sums = values.sum(axis=1)
    # Those of half precision add up to 1 within a hundredth.
    if len(sums) and np.max(np.abs(sums - 1)) > 0.02:
        row = int(np.argmax(np.abs(sums - 1)))
        raise ValueError(
            f"{owner}: scores: expected rows whose sum is 1, received {sums[row]:.6g} for sample {row}; pass "
            "from_logits=True where the model has no softmax at its end"
        )
    return values


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0, -x))


def _require_probabilities(values: np.ndarray, owner: str) -> None:
    if values.size and (values.min() < -1e-6 or values.max() > 1 + 1e-3):
        raise ValueError(
            f"{owner}: scores: expected probabilities, received {values.min():.6g} to {values.max():.6g}; "
            "pass from_logits=True where the model has no softmax or sigmoid at its end"
        )


def one_score(y_true: Any, scores: Any, owner: str, positive: Any) -> tuple[np.ndarray, np.ndarray]:
    """Whether each sample is of a class, and its score for it.

    Args:
        y_true: The class of each sample.
        scores: One number a sample, or one column a class.
        owner: What asks, for errors.
        positive: The class; None takes the second of two.

    Raises:
        ValueError: There are several classes and none is chosen, or the shapes do not fit.
    """
    labels = class_labels(y_true, owner)
    values = as_array(scores)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.shape[:1] != labels.shape or values.ndim not in (1, 2):
        raise ValueError(
            f"{owner}: scores: expected {len(labels)} samples as in y_true, received shape {values.shape}"
        )
    columns = 2 if values.ndim == 1 else values.shape[1]
    if positive is None:
        if columns != 2 or len(labels) and labels.max() > 1:
            raise ValueError(
                f"{owner}: positive: expected the class that counts as positive, one of 0 to "
                f"{max(columns - 1, labels.max(initial=0))}, received None"
            )
        positive = 1
    if isinstance(positive, bool) or not hasattr(positive, "__index__") or not 0 <= positive < columns:
        raise ValueError(
            f"{owner}: positive: expected a class from 0 to {columns - 1}, received {positive!r}"
        )
    # One number a sample is the score of the second class, so that its opposite is that of the first.
    # Of many classes one column is converted, not all.
    column = (values[:, positive] if values.ndim == 2 else values).astype(np.float64)
    if values.ndim == 1 and positive == 0:
        column = -column
    if not np.all(np.isfinite(column)):
        raise ValueError(f"{owner}: scores: expected finite numbers, received nan or infinity")
    return labels == positive, column


def label_pairs(
    y_true: Any, y_pred: Any, class_names: Any, owner: str
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Classes of samples, those that were predicted, and the names of classes.

    Args:
        y_true: The class of each sample: an integer, a row of which one entry is 1, or a name.
        y_pred: The predicted ones: integers, names, or scores of shape (samples, classes), whose largest
            counts; or of shape (samples, 1) with fractions, of which more than 0.5 is the second class.
        class_names: Their names; None for their numbers.
        owner: What asks, for errors.

    Raises:
        ValueError: They do not fit.
    """
    values = as_array(y_pred)
    given = as_array(y_true)
    if given.dtype.kind in "US":
        class_names = (
            sorted({*given.ravel().tolist(), *values.ravel().tolist()})
            if class_names is None
            else class_names
        )
        given = _numbers(given, class_names, owner, "y_true")
        if values.dtype.kind in "US":
            values = _numbers(values, class_names, owner, "y_pred")
    true = class_labels(given, owner)
    least = 0
    if values.ndim == 2 and values.shape[1] > 1:
        predicted, least = values.argmax(axis=1).astype(np.int64), values.shape[1]
    elif values.dtype.kind == "f" and values.ndim and np.any(values != np.floor(values)):
        predicted, least = (values.reshape(len(values), -1)[:, 0] > 0.5).astype(np.int64), 2
    else:
        predicted = class_labels(values, owner, "y_pred")
    if len(true) != len(predicted):
        raise ValueError(
            f"{owner}: y_pred: expected {len(true)} samples as in y_true, received {len(predicted)}"
        )
    if len(true) == 0:
        raise ValueError(f"{owner}: y_true: expected at least one sample, received none")
    count = max(least, int(true.max()) + 1, int(predicted.max()) + 1)
    return true, predicted, names_of_classes(class_names, count, owner)


def _numbers(names: np.ndarray, class_names: Any, owner: str, argument: str) -> np.ndarray:
    """The numbers of classes that are given by their names.

    Raises:
        ValueError: There is no such class.
    """
    known = {str(name): k for k, name in enumerate(class_names)}
    for name in names.ravel().tolist():
        if str(name) not in known:
            raise ValueError(
                f"{owner}: {argument}: no class is called {name!r}{did_you_mean(str(name), list(known))}"
            )
    return np.array([known[str(name)] for name in names.ravel().tolist()], np.int64)


def names_of_classes(class_names: Sequence[Any] | None, count: int, owner: str) -> list[str]:
    """Names of at least `count` classes, by default their numbers.

    Raises:
        ValueError: There are fewer, or two are the same.
    """
    if class_names is None:
        return [str(k) for k in range(count)]
    if isinstance(class_names, (str, bytes, dict)) or not hasattr(class_names, "__iter__"):
        raise ValueError(f"{owner}: class_names: expected a list of names, received {class_names!r}")
    names = [str(name) for name in class_names]
    if len(names) < count:
        raise ValueError(
            f"{owner}: class_names: expected {count} names, received {len(names)}: {', '.join(names[:8])}"
        )
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{owner}: class_names: expected different names, received {twice!r} twice")
    return names
