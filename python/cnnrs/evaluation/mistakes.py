"""Samples that were taken for another class, the worst first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnrs.base.arguments import flag, integer
from cnnrs.evaluation.labels import names_of_classes
from cnnrs.evaluation.reliability import fitting, sample_losses

__all__ = ["Mistake", "worst"]


@dataclass(frozen=True)
class Mistake:
    """What was predicted for a sample, and what it is.

    Attributes:
        index: The sample's number.
        true: The name of its class.
        predicted: The name of the class of the largest probability.
        loss: The cross-entropy: -log of the probability of its class.
        score: The probability of the predicted class.
        true_score: The probability of its own class.
        path: Its file; "" where that is not known.
    """

    index: int
    true: str
    predicted: str
    loss: float
    score: float
    true_score: float
    path: str = ""


def worst(
    y_true: Any,
    scores: Any,
    count: int = 20,
    *,
    class_names: Any = None,
    paths: Any = None,
    only_wrong: bool = True,
    from_logits: bool = False,
) -> list[Mistake]:
    """The samples of the largest loss: wrong labels, doubtful pictures, and what the model cannot do.

    Args:
        y_true: The class of each sample.
        scores: Probabilities of shape (samples, classes), or one a sample for the second of two classes.
        count: How many at most.
        class_names: Names of the classes, by default their numbers.
        paths: Files of the samples.
        only_wrong: Whether samples whose class was predicted are left out.
        from_logits: Whether a softmax, or of one column a sigmoid, is still to be taken.

    Returns:
        One `Mistake` a sample, those of the largest loss first.

    Raises:
        ValueError: The arguments do not fit each other.

    >>> from cnnrs import evaluation
    >>> found = evaluation.worst([0, 1, 1], [[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]], class_names=["cat", "dog"])
    >>> [(m.index, m.true, m.predicted, round(m.loss, 2)) for m in found]
    [(1, 'dog', 'cat', 1.61), (2, 'dog', 'cat', 0.92)]
    """
    owner = "worst"
    count = integer(count, owner, "count", least=0)
    labels, values = fitting(y_true, scores, from_logits, owner)
    names = names_of_classes(class_names, values.shape[1], owner)
    files = None if paths is None else [str(path) for path in paths]
    if files is not None and len(files) != len(labels):
        raise ValueError(f"{owner}: paths: expected {len(labels)} as in y_true, received {len(files)}")
    losses, predicted = sample_losses(labels, values), values.argmax(axis=1)
    order = np.argsort(-losses, kind="stable")
    if flag(only_wrong, owner, "only_wrong"):
        order = order[predicted[order] != labels[order]]
    return [
        Mistake(
            int(i),
            names[labels[i]],
            names[predicted[i]],
            float(losses[i]),
            float(values[i, predicted[i]]),
            float(values[i, labels[i]]),
            "" if files is None else files[i],
        )
        for i in order[:count]
    ]
