"""`Grouping`: elements put together, in batches and windows, and taken apart."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from cnnrs import tree
from cnnrs.base.arguments import flag
from cnnrs.data.elements import host, stacked
from cnnrs.data.ordering import count_of
from cnnrs.data.padding import padded, padding_of
from cnnrs.data.pipeline import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, Pipeline, worker_count
from cnnrs.data.rows import ArrayRows, Rows
from cnnrs.data.spec import DatasetSpec, TensorSpec, batched
from cnnrs.data.strings import StringTensor
from cnnrs.data.workers import through

__all__ = ["Grouping", "batch_of"]


def batch_of(elements: list[Any], where: str) -> Any:
    """Elements along a new first axis."""
    if not tree.is_nested(elements[0]):
        return stacked(elements, where)
    if type(elements[0]) is tuple and not any(map(tree.is_nested, elements[0])):
        return tuple(stacked(leaves, where) for leaves in zip(*elements, strict=True))
    return tree.map_structure(lambda *leaves: stacked(leaves, where), *elements)


def groups_of(elements: Iterator[Any], size: int, drop_remainder: bool) -> Iterator[list[Any]]:
    """Lists of `size` elements; the last one may be shorter."""
    while group := list(itertools.islice(elements, size)):
        if len(group) == size or not drop_remainder:
            yield group


def batch_count(length: int, size: int, drop_remainder: bool) -> int:
    """How many batches there are of `length` elements."""
    if length < 0:
        return length
    return length // size if drop_remainder else -(-length // size)


class Grouping(Pipeline):
    """The methods of data sets that put elements together and take them apart."""

    def batch(
        self,
        batch_size: Any,
        drop_remainder: bool = False,
        num_parallel_calls: Any = None,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Any:
        """Elements put together by `batch_size`, along a new first axis.

        Args:
            batch_size: How many elements make a batch.
            drop_remainder: Whether a last batch with fewer elements is left out.
            num_parallel_calls: As for `map`: threads that put batches together.
            deterministic: True, False or None: batches keep their order in each case.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of batches.

        Raises:
            ValueError: An argument is none of these. While elements come: their shapes differ.

        Example:
            >>> from cnnrs.data import Dataset
            >>> [x.tolist() for x in Dataset.range(5).batch(2)]
            [[0, 1], [2, 3], [4]]
        """
        where = "Dataset.batch"
        size = count_of(batch_size, where, "batch_size", 1)
        drop = flag(drop_remainder, where, "drop_remainder")
        check_order(deterministic, where)
        workers = worker_count(num_parallel_calls, where)
        rows = self._rows

        def batches(peek: bool, first: int = 0) -> Iterator[Any]:
            at_once = None if rows is None else rows.open_batches(peek, size, drop, first)
            if at_once is not None:
                return at_once
            if self._open_for_batches is not None and not peek:
                elements = self._open_for_batches(size, first * size)
            else:
                elements = self._open_at(first * size) if first else self._open(peek)
            groups = groups_of(elements, size, drop)
            return through(lambda group: batch_of(group, where), groups, 1 if peek else workers)

        def spec() -> Any:
            of = self._known_spec()
            return None if of is None else batched(of, size if drop else None)

        return self._step(
            batches,
            batch_count(self._length, size, drop),
            spec,
            name=name,
            open_at=lambda first: batches(False, first),
        )

    def padded_batch(
        self,
        batch_size: Any,
        padded_shapes: Any = None,
        padding_values: Any = None,
        drop_remainder: bool = False,
        name: str | None = None,
    ) -> Any:
        """Elements of different shapes put together, padded at the ends of axes to one shape.

        Args:
            batch_size: How many elements make a batch.
            padded_shapes: The shapes to which elements are padded, in their structure; None and -1 stand for
                the largest extent of the batch. None does so for all axes.
            padding_values: What is put there, in the structure of elements or one for all; None for zeros
                and empty text.
            drop_remainder: Whether a last batch with fewer elements is left out.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of batches.

        Raises:
            ValueError: An argument is none of these. While elements come: one is larger than its shape.

        Example:
            >>> import numpy as np
            >>> from cnnrs.data import Dataset
            >>> data = Dataset.range(1, 4).map(lambda n: np.arange(int(n)))
            >>> [x.tolist() for x in data.padded_batch(3, padding_values=-1)]
            [[[0, -1, -1], [0, 1, -1], [0, 1, 2]]]
        """
        where = "Dataset.padded_batch"
        size = count_of(batch_size, where, "batch_size", 1)
        drop = flag(drop_remainder, where, "drop_remainder")
        padding = padding_of(padded_shapes, padding_values, where)

        def batches(peek: bool) -> Iterator[Any]:
            groups = groups_of(self._open(peek), size, drop)
            return through(lambda group: padded(group, padding, where), groups, 1)

        def spec() -> Any:
            of = self._known_spec()
            return None if of is None else batched(padding.spec(of), size if drop else None)

        return self._step(batches, batch_count(self._length, size, drop), spec, name=name)

    def unbatch(self, name: str | None = None) -> Any:
        """The rows of elements as elements: what undoes `batch`.

        Args:
            name: What `repr` calls it.

        Returns:
            A `Dataset` of the rows.

        Raises:
            ValueError: While elements come: one has no axis, or parts of different lengths.

        Example:
            >>> from cnnrs.data import Dataset
            >>> [int(x) for x in Dataset.range(4).batch(3).unbatch()]
            [0, 1, 2, 3]
        """

        def rows(peek: bool) -> Iterator[Any]:
            for element in self._open(peek):
                yield from _rows_of(element)

        def spec() -> Any:
            of = self._known_spec()
            if of is None:
                return None
            return tree.map_structure(
                lambda s: TensorSpec(s.shape and s.shape[1:], s.dtype) if isinstance(s, TensorSpec) else s, of
            )

        def length() -> int:
            of = self._known_spec() if self._length >= 0 else None
            shapes = [s.shape for s in tree.flatten(of) if isinstance(s, TensorSpec)]
            if self._length >= 0 and shapes and shapes[0] and shapes[0][0] is not None:
                return self._length * shapes[0][0]
            return INFINITE_CARDINALITY if self._length == INFINITE_CARDINALITY else UNKNOWN_CARDINALITY

        return self._step(rows, length(), spec, name=name)

    def rebatch(self, batch_size: Any, drop_remainder: bool = False, name: str | None = None) -> Any:
        """Batches taken apart and put together anew.

        Args:
            batch_size: How many rows make a batch.
            drop_remainder: Whether a last batch with fewer rows is left out.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of batches.

        Raises:
            ValueError: An argument is none of these.

        Example:
            >>> from cnnrs.data import Dataset
            >>> [x.tolist() for x in Dataset.range(5).batch(4).rebatch(3)]
            [[0, 1, 2], [3, 4]]
        """
        return self.unbatch().batch(batch_size, drop_remainder, name=name)

    def window(
        self,
        size: Any,
        shift: Any = None,
        stride: Any = 1,
        drop_remainder: bool = False,
        name: str | None = None,
    ) -> Any:
        """Windows of elements, each a data set of its own.

        Args:
            size: How many elements a window has.
            shift: How far the next window begins behind the last; None for `size`.
            stride: How far the elements of a window lie apart.
            drop_remainder: Whether last windows with fewer elements are left out.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of `Dataset`s; of tuples or dicts of them, if elements are.

        Raises:
            ValueError: An argument is no positive integer.

        Example:
            >>> from cnnrs.data import Dataset
            >>> windows = Dataset.range(6).window(3, shift=2, drop_remainder=True)
            >>> [x.tolist() for x in windows.flat_map(lambda window: window.batch(3))]
            [[0, 1, 2], [2, 3, 4]]
        """
        where = "Dataset.window"
        count = count_of(size, where, "size", 1)
        step = count if shift is None else count_of(shift, where, "shift", 1)
        apart = count_of(stride, where, "stride", 1)
        drop = flag(drop_remainder, where, "drop_remainder")
        span = (count - 1) * apart + 1

        def windows(peek: bool) -> Iterator[Any]:
            for group in _overlapping(self._open(peek), span, step):
                members = group[::apart]
                if len(members) == count or not drop:
                    yield self._window(members)

        def spec() -> Any:
            of = self._known_spec()
            return None if of is None else tree.map_structure(DatasetSpec, of)

        length = self._length
        if length >= 0:
            length = -(-length // step) if not drop else max((length - span) // step + 1, 0)
        return self._step(windows, length, spec, name=name)

    def _window(self, members: list[Any]) -> Any:
        spec = self._known_spec()

        def of_leaves(*leaves: Any) -> Any:
            held = list(leaves)
            return self._made(lambda peek: iter(held), len(held))

        if not tree.is_nested(members[0]):
            return self._made(lambda peek: iter(members), len(members), spec)
        return tree.map_structure(of_leaves, *members)

    @classmethod
    def _from_arrays(cls, structure: Any, length: int, spec: Any, name: str | None = None) -> Any:
        """The rows of arrays."""
        order = np.arange(length)
        rows = Rows(ArrayRows(structure), lambda peek: order)
        return cls._made(rows.open, length, spec, rows, name=name, open_at=rows.open_at)


def check_order(deterministic: Any, where: str) -> None:
    """Checks tf.data's argument `deterministic`: elements keep their order, also for who does not need it."""
    if deterministic is not None:
        flag(deterministic, where, "deterministic")


def _rows_of(element: Any) -> Iterator[Any]:
    arrays = tree.map_structure(host, element)
    lengths = set()
    for leaf in tree.flatten(arrays):
        if leaf is not None:
            if np.ndim(leaf) == 0 and not (isinstance(leaf, StringTensor) and leaf.ndim):
                raise ValueError(
                    "Dataset.unbatch: expected elements with at least one axis, received a scalar"
                )
            lengths.add(len(leaf))
    if len(lengths) != 1:
        raise ValueError(f"Dataset.unbatch: expected parts of one length, received {sorted(lengths)}")
    for index in range(lengths.pop()):
        yield tree.map_structure(lambda leaf: None if leaf is None else leaf[index], arrays)  # noqa: B023


def _overlapping(elements: Iterator[Any], span: int, step: int) -> Iterator[list[Any]]:
    """Lists of `span` elements, the next one beginning `step` elements behind the last."""
    held: list[Any] = list(itertools.islice(elements, span))
    while held:
        yield held
        if step < span:
            held = held[step:]
            held.extend(itertools.islice(elements, span - len(held)))
        else:
            skipped = list(itertools.islice(elements, step - span))
            held = list(itertools.islice(elements, span)) if len(skipped) == step - span else []
