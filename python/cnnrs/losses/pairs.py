"""Distances between the embeddings of a batch, and the contrastive loss of pairs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cnnrs import _core, ops
from cnnrs.base.arguments import choice, number
from cnnrs.losses.classes import LossFunctionWrapper
from cnnrs.losses.loss import as_tensor
from cnnrs.ops import raw
from cnnrs.ops.dispatch import as_float, as_index, in_float32, op
from cnnrs.ops.roots import root

__all__ = ["Contrastive", "contrastive"]

DISTANCES = ("euclidean", "squared", "cosine")
_PAIRS = ("given", "batch")


class Relations(NamedTuple):
    """What the embeddings of a batch are to each other.

    Attributes:
        distances: (n, n). Where two are equal, no gradient flows.
        same: Whether two others are of one class, (n, n); False on the diagonal.
        other: Whether two are of different classes, (n, n).
    """

    distances: Any
    same: Any
    other: Any


def relations(y_true: Any, y_pred: Any, distance: str, loss: str) -> Relations:
    """The relations between embeddings (n, width) with integer labels (n,) or (n, 1).

    Raises:
        ValueError: Shapes do not fit, or the distance is unknown.
    """
    choice(distance, loss, "distance", DISTANCES)
    y_pred = as_float(as_tensor(y_pred))
    if y_pred.ndim != 2:
        raise ValueError(f"{loss}: y_pred: expected embeddings of shape (n, width), received {y_pred.shape}")
    labels, n = as_index(as_tensor(y_true)), y_pred.shape[0]
    if tuple(labels.shape) not in ((n,), (n, 1)):
        raise ValueError(
            f"{loss}: y_true: expected integer labels of shape ({n},) or ({n}, 1), "
            f"received {tuple(labels.shape)}"
        )
    labels = raw.reshape(labels, shape=[-1])
    alike = raw.expand_dims(labels, axis=1) == raw.expand_dims(labels, axis=0)
    return Relations(_all_distances(y_pred, distance), alike & _core.tensor(~np.eye(n, dtype=bool)), ~alike)


def _all_distances(x: Any, distance: str) -> Any:
    """The distance of each row of (n, width) from each, (n, n)."""
    if distance == "cosine":
        x = ops.normalize(x, axis=1)
        return 1.0 - ops.matmul(x, ops.transpose(x))
    # Distances stay as they are when all move together, and near the origin the squares cancel least.
    x = x - raw.stop_gradient(raw.mean(x, axes=[0], keepdims=True))
    norms = raw.sum(raw.square(x), axes=[1], keepdims=True)
    squares = raw.relu(norms + ops.transpose(norms) - 2.0 * ops.matmul(x, ops.transpose(x)))
    return squares if distance == "squared" else root(squares)


def _of_pairs(x: Any, distance: str) -> Any:
    """The distances of pairs (n, 2, width), (n,)."""
    first, second = x[:, 0], x[:, 1]
    if distance == "cosine":
        return 1.0 - raw.sum(ops.normalize(first) * ops.normalize(second), axes=[1])
    squares = raw.sum(raw.square(first - second), axes=[1])
    return squares if distance == "squared" else root(squares)


@op
@in_float32
def contrastive(
    y_true: Any, y_pred: Any, margin: float = 1.0, pairs: str = "given", distance: str = "euclidean"
) -> Any:
    """`½ d²` of pairs that belong together, `½ max(margin - d, 0)²` of others (Hadsell et al. 2006, eq. 4).

    Args:
        y_true: With pairs "given", 1 for pairs that belong together and 0 for others, (n,) or (n, 1); with
            "batch", integer labels.
        y_pred: With pairs "given", their distances, (n,) or (n, 1), or their embeddings, (n, 2, width); with
            "batch", embeddings (n, width), of which each is paired with each other.
        margin: Where pairs that do not belong together are far enough.
        pairs: "given" or "batch".
        distance: "euclidean", "squared" for its square, or "cosine" for one minus the cosine. Distances that
            are given are taken as they are.

    Returns:
        A float tensor (n,): of each pair, or the mean of all pairs that an embedding is in. Where a distance
        is 0, the gradient is 0.

    Raises:
        ValueError: Shapes do not fit, or `pairs` or `distance` is unknown.

    >>> from cnnrs import losses
    >>> losses.contrastive([1, 0], [0.5, 0.5]).tolist()
    [0.125, 0.125]
    >>> losses.contrastive([3, 3, 7], [[0.0], [0.5], [3.0]], pairs="batch").tolist()
    [0.0625, 0.0625, 0.0]
    """
    if choice(pairs, "contrastive", "pairs", _PAIRS) == "batch":
        found = relations(y_true, y_pred, distance, "contrastive")
        values = raw.where(
            found.same, raw.square(found.distances), raw.square(raw.relu(float(margin) - found.distances))
        )
        counts = found.same | found.other
        several = max(1, found.distances.shape[0] - 1)
        return raw.sum(raw.where(counts, values, 0.0), axes=[1]) * (0.5 / several)
    choice(distance, "contrastive", "distance", DISTANCES)
    y_pred = as_float(as_tensor(y_pred))
    shape, n = tuple(y_pred.shape), y_pred.shape[0] if y_pred.ndim else 0
    if y_pred.ndim == 3 and shape[1] == 2:
        distances = _of_pairs(y_pred, distance)
    elif shape in ((n,), (n, 1)):
        distances = raw.reshape(y_pred, shape=[-1])
    else:
        raise ValueError(
            "contrastive: y_pred: expected the distances of pairs, (n,) or (n, 1), or their embeddings, "
            f"(n, 2, width), received {shape}; give pairs='batch' to pair the embeddings of a batch"
        )
    together = as_tensor(y_true)
    if tuple(together.shape) not in ((n,), (n, 1)):
        raise ValueError(
            f"contrastive: y_true: expected 1 or 0 for each of {n} pairs, received {tuple(together.shape)}"
        )
    together = raw.reshape(together.astype(distances.dtype), shape=[-1])
    apart = raw.square(raw.relu(float(margin) - distances))
    return 0.5 * (together * raw.square(distances) + (1.0 - together) * apart)


class Contrastive(LossFunctionWrapper):
    """Draws pairs that belong together towards each other, and pushes others out of a margin.

    `½ d²` of pairs that belong together, `½ max(margin - d, 0)²` of others. A network with two inputs gives
    distances, and its targets are 1 or 0; or a network gives embeddings, its targets are labels, and
    `pairs="batch"` pairs all samples of a batch.

    Args:
        margin: Where pairs that do not belong together are far enough, above 0.
        pairs: "given" for distances (n,) or (n, 1) or pairs of embeddings (n, 2, width) with targets 1 and 0;
            "batch" for embeddings (n, width) with integer labels.
        distance: "euclidean", "squared" for its square, or "cosine" for one minus the cosine. Distances that
            are given are taken as they are.
        reduction: As in `Loss`.
        name: Name.
        dtype: As in `Loss`.

    Raises:
        ValueError: An argument is none of these.

    Reference:
        Hadsell, Chopra and LeCun 2006, "Dimensionality Reduction by Learning an Invariant Mapping", CVPR. Its
        Y is 0 for pairs that belong together; here that is 1.

    >>> from cnnrs import losses
    >>> float(losses.Contrastive(margin=2.0)([1, 0], [[1.0], [1.0]]))
    0.5
    """

    def __init__(
        self,
        margin: float = 1.0,
        pairs: str = "given",
        distance: str = "euclidean",
        reduction: str = "sum_over_batch_size",
        name: str = "contrastive",
        dtype: Any = None,
    ):
        number(margin, self, "margin", above=0)
        choice(pairs, self, "pairs", _PAIRS)
        choice(distance, self, "distance", DISTANCES)
        arguments = {"margin": margin, "pairs": pairs, "distance": distance}
        super().__init__(contrastive, reduction, name, dtype, **arguments)
