"""Samples with what they are, batch by batch, of whatever a model is evaluated on."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from typing import Any

from cnnrs import tree
from cnnrs.training.data_adapter import ArrayData
from cnnrs.training.samples import map_samples

__all__ = ["batches_of"]


def batches_of(data: Any, owner: str, expected: str) -> Iterator[tuple[Any, Any]]:
    """Samples and one array of targets, batch by batch.

    Args:
        data: What `make_data` gave.
        owner: What asks, for errors.
        expected: What errors say of the targets.

    Raises:
        ValueError: There are no targets, or several arrays of them.
    """
    for x, y, _ in _slices(data) if isinstance(data, ArrayData) else data.epoch():
        targets = tree.flatten(y) if y is not None else []
        if len(targets) != 1:
            received = "none" if not targets else f"{len(targets)} arrays"
            raise ValueError(f"{owner}: {expected}, received {received}")
        yield x, targets[0]


def _slices(data: ArrayData) -> Iterator[Any]:
    """Batches of arrays."""
    for start in range(0, data.size, data.batch_size):
        rows = slice(start, start + data.batch_size)
        yield map_samples(itemgetter(rows), data.samples)
