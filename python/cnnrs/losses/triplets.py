"""Triplet losses: an embedding shall be nearer to those of its class than to those of others."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.base.arguments import choice, number
from cnnrs.losses.classes import LossFunctionWrapper
from cnnrs.losses.pairs import DISTANCES, relations
from cnnrs.ops import raw
from cnnrs.ops.annotated import annotate
from cnnrs.ops.dispatch import in_float32, op

__all__ = ["TripletHard", "TripletSemiHard", "triplet_hard", "triplet_semi_hard"]


@op
@in_float32
def triplet_semi_hard(y_true: Any, y_pred: Any, margin: float = 0.2, distance: str = "euclidean") -> Any:
    """`max(d(a, p) - d(a, n) + margin, 0)` with the nearest n that is further than p (Schroff et al. 2015).

    For each embedding a, the anchor, it is the mean over all p of its class. Where no n is further than p,
    the furthest n is taken.

    Args:
        y_true: Integer labels, (n,) or (n, 1).
        y_pred: Embeddings, (n, width).
        margin: By how much further those of other classes shall be.
        distance: "euclidean", "squared" for its square, or "cosine" for one minus the cosine.

    Returns:
        A float tensor (n,), 0 for anchors that are alone in their class or without other classes. Means of
        `Loss` leave these out.

    Raises:
        ValueError: Shapes do not fit, or the distance is unknown.

    >>> from cnnrs import losses
    >>> losses.triplet_semi_hard([0, 0, 1], [[0.0], [1.0], [1.5]], margin=1.0).numpy().round(4)
    array([0.5, 1.5, 0. ], dtype=float32)
    """
    distances, same, other = relations(y_true, y_pred, distance, "triplet_semi_hard")
    if not distances.shape[0]:
        return raw.sum(distances, axes=[1])
    fixed = raw.stop_gradient(distances)
    # How many of other classes are as near as each p: a rank among them, by sorting alone, without a table of
    # all triplets. Of equal distances, those of other classes come first.
    order = ops.argsort(raw.where(other, fixed, fixed * (1.0 + 2.0**-23)), axis=1)
    seen = ops.cumsum(ops.take_along_axis(other.astype("int32"), order, axis=1), axis=1)
    nearer = ops.take_along_axis(seen, ops.argsort(order, axis=1), axis=1)
    by_distance = ops.argsort(raw.where(other, fixed, float("inf")), axis=1)
    others = raw.sum(other.astype("int32"), axes=[1], keepdims=True)
    rank = raw.maximum(raw.minimum(nearer, others - 1), 0)
    chosen = ops.take_along_axis(distances, ops.take_along_axis(by_distance, rank, axis=1), axis=1)
    values = raw.where(same, raw.relu(distances - chosen + float(margin)), 0.0)
    positives = raw.sum(same.astype(distances.dtype), axes=[1])
    counts = (positives > 0.0) & raw.any(other, axes=[1])
    mean = raw.sum(values, axes=[1]) / raw.maximum(positives, 1.0)
    return annotate(raw.where(counts, mean, 0.0), mask=counts)


@op
@in_float32
def triplet_hard(y_true: Any, y_pred: Any, margin: Any = 0.2, distance: str = "euclidean") -> Any:
    """`max(max d(a, p) - min d(a, n) + margin, 0)` of each embedding a (Hermans et al. 2017, equation 5).

    p is the furthest of its class, n the nearest of the others.

    Args:
        y_true: Integer labels, (n,) or (n, 1).
        y_pred: Embeddings, (n, width).
        margin: By how much further those of other classes shall be; "soft" for `softplus(d(a, p) - d(a, n))`,
            which never ends to push.
        distance: "euclidean", "squared" for its square, or "cosine" for one minus the cosine.

    Returns:
        A float tensor (n,), 0 for anchors that are alone in their class or without other classes. Means of
        `Loss` leave these out.

    Raises:
        ValueError: Shapes do not fit, or the distance is unknown.

    >>> from cnnrs import losses
    >>> losses.triplet_hard([0, 0, 1], [[0.0], [1.0], [1.5]], margin=1.0).numpy().round(4)
    array([0.5, 1.5, 0. ], dtype=float32)
    """
    distances, same, other = relations(y_true, y_pred, distance, "triplet_hard")
    if not distances.shape[0]:
        return raw.sum(distances, axes=[1])
    furthest = raw.max(raw.where(same, distances, -float("inf")), axes=[1])
    nearest = ops.min(raw.where(other, distances, float("inf")), axis=1)
    counts = raw.any(same, axes=[1]) & raw.any(other, axes=[1])
    gap = raw.where(counts, furthest, 0.0) - raw.where(counts, nearest, 0.0)
    value = raw.softplus(gap) if margin == "soft" else raw.relu(gap + float(margin))
    return annotate(raw.where(counts, value, 0.0), mask=counts)


class TripletSemiHard(LossFunctionWrapper):
    """The triplet loss with semi-hard negatives, for embeddings with integer labels.

    `max(d(a, p) - d(a, n) + margin, 0)`, for each anchor a the mean over all p of its class in the batch. n
    is the nearest of another class that is further than p, or the furthest where none is. Batches should hold
    several samples of each class.

    Args:
        margin: By how much further those of other classes shall be, at least 0. The default is that of the
            paper, for embeddings of length 1: end the network with `layers.UnitNormalization`.
        distance: "euclidean", "squared" for its square, which the paper has, or "cosine" for one minus the
            cosine.
        reduction: As in `Loss`. Means are over anchors with others of their class and of another one.
        name: Name.
        dtype: As in `Loss`.

    Raises:
        ValueError: An argument is none of these.

    Reference:
        Schroff, Kalenichenko and Philbin 2015, "FaceNet: A Unified Embedding for Face Recognition and
        Clustering", arXiv:1503.03832, section 3.2.

    >>> from cnnrs import losses
    >>> float(losses.TripletSemiHard(margin=1.0)([0, 0, 1], [[0.0], [1.0], [1.5]]))
    1.0
    """

    def __init__(
        self,
        margin: float = 0.2,
        distance: str = "euclidean",
        reduction: str = "sum_over_batch_size",
        name: str = "triplet_semi_hard",
        dtype: Any = None,
    ):
        number(margin, self, "margin", least=0)
        choice(distance, self, "distance", DISTANCES)
        super().__init__(triplet_semi_hard, reduction, name, dtype, margin=margin, distance=distance)


class TripletHard(LossFunctionWrapper):
    """The triplet loss with the hardest positive and negative of each anchor ("batch hard").

    `max(max d(a, p) - min d(a, n) + margin, 0)`. Batches should hold several samples of each class.

    Args:
        margin: By how much further those of other classes shall be, at least 0; "soft" for the soft margin
            `softplus(max d(a, p) - min d(a, n))`.
        distance: "euclidean", "squared" for its square, or "cosine" for one minus the cosine.
        reduction: As in `Loss`. Means are over anchors with others of their class and of another one.
        name: Name.
        dtype: As in `Loss`.

    Raises:
        ValueError: An argument is none of these.

    Reference:
        Hermans, Beyer and Leibe 2017, "In Defense of the Triplet Loss for Person Re-Identification",
        arXiv:1703.07737.

    >>> from cnnrs import losses
    >>> float(losses.TripletHard(margin=1.0)([0, 0, 1], [[0.0], [1.0], [1.5]]))
    1.0
    """

    def __init__(
        self,
        margin: Any = 0.2,
        distance: str = "euclidean",
        reduction: str = "sum_over_batch_size",
        name: str = "triplet_hard",
        dtype: Any = None,
    ):
        if isinstance(margin, str):
            choice(margin, self, "margin", ("soft",))
        else:
            number(margin, self, "margin", least=0)
        choice(distance, self, "distance", DISTANCES)
        super().__init__(triplet_hard, reduction, name, dtype, margin=margin, distance=distance)
