"""Indices as vectors, and batches up to a number."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from cnnrs import ops

__all__ = ["encode", "limited"]


def encode(indices: Any, output_mode: str, depth: int, dtype: str, count_weights: Any = None) -> Any:
    """Indices themselves for "int", else vectors of `depth` numbers, as Keras's layers give them.

    Indices outside of 0 to `depth - 1` have no place in vectors. Samples of more than one axis are reduced
    over the first, as Keras does.
    """
    if output_mode == "int":
        return ops.cast(indices, dtype)
    rank = len(indices.shape)
    if rank == 0:
        indices, rank = ops.expand_dims(indices, 0), 1
    if output_mode == "one_hot":
        if rank > 1 and indices.shape[-1] == 1:
            indices = ops.squeeze(indices, -1)
        return ops.cast(ops.one_hot(indices, depth, dtype="float32"), dtype)
    hot = ops.one_hot(indices, depth, dtype="float32")
    if count_weights is not None:
        hot = hot * ops.expand_dims(ops.cast(count_weights, "float32"), -1)
    # Samples may be empty: sums are 0 then.
    counts = ops.sum(hot, axis=1 if rank > 1 else 0)
    return ops.cast(ops.minimum(counts, 1.0) if output_mode == "multi_hot" else counts, dtype)


def limited(batches: Iterable[Any], steps: int | None) -> Iterable[Any]:
    """The first `steps` batches; all of them for None."""
    return batches if steps is None else itertools.islice(batches, steps)
