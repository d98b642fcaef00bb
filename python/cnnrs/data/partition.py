"""Elements divided into parts by fractions, class by class, with groups that stay together."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["partition"]


def partition(fractions: np.ndarray, classes: np.ndarray, groups: Any, seed: int) -> np.ndarray:
    """The part of each element.

    Without groups, each class is shuffled and cut by the fractions; what remains of the cuts of all classes
    is given where most is lacking. With groups, the largest come first, each to the part that lacks most of
    its classes, as `StratifiedGroupKFold` of scikit-learn does it.

    Args:
        fractions: The sizes of the parts.
        classes: The class of each element.
        groups: What each belongs to, or None.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    values, classes = np.unique(classes, return_inverse=True)
    if groups is None:
        return _by_classes(fractions, classes, len(values), rng)
    names, members = np.unique(np.asarray(groups), return_inverse=True)
    table = np.zeros((len(names), len(values)))
    np.add.at(table, (members.reshape(-1), classes), 1)
    return _by_groups(fractions, table, rng)[members.reshape(-1)]


def _by_classes(
    fractions: np.ndarray, classes: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    chosen = np.empty(len(classes), np.int64)
    given = np.zeros(len(fractions))
    seen = 0
    # In the order of classes, and rows of a class behind each other.
    rows = np.argsort(classes, kind="stable")
    ends = np.cumsum(np.bincount(classes, minlength=count))
    for label in range(count):
        members = rng.permutation(rows[ends[label - 1] if label else 0 : ends[label]])
        wanted = fractions * len(members)
        sizes = np.floor(wanted + 1e-9).astype(int)
        seen += len(members)
        for _ in range(len(members) - sizes.sum()):
            # Each part gets at most one more of a class, where it lacks most of all classes so far.
            lacking = fractions * seen - given - sizes
            lacking[sizes >= wanted] = -np.inf
            sizes[int(lacking.argmax())] += 1
        given += sizes
        chosen[members] = np.repeat(np.arange(len(fractions)), sizes)
    return chosen


def _by_groups(fractions: np.ndarray, table: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    totals = np.maximum(table.sum(0), 1)
    order = rng.permutation(len(table))
    order = order[np.argsort(-table[order].sum(1), kind="stable")]
    held = np.zeros((len(fractions), table.shape[1]))
    chosen = np.empty(len(table), np.int64)
    for group in order:
        # The shares of the classes that each part would lack or have too many of, with this group.
        lacking = (fractions[:, None] - held / totals) / fractions[:, None]
        gain = (lacking * table[group]).sum(1)
        part = int(gain.argmax())
        chosen[group] = part
        held[part] += table[group]
    return chosen
