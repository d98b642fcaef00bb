"""`Pipeline`: what all data sets have in common: passes, elements, length and spec."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cnnrs import _core, ops, tree
from cnnrs.data.elements import for_numpy, for_user, host
from cnnrs.data.rows import Rows
from cnnrs.data.spec import merged, spec_of
from cnnrs.random import draw_seed

__all__ = [
    "AUTOTUNE",
    "INFINITE_CARDINALITY",
    "UNKNOWN_CARDINALITY",
    "DatasetIterator",
    "Passes",
    "Pipeline",
    "worker_count",
]

# As many threads, or elements ahead, as serve: tf.data's constants.
AUTOTUNE = -1
INFINITE_CARDINALITY = -1
UNKNOWN_CARDINALITY = -2

# Keys that are made at once.
_KEYS = 256
# The most threads that one step of a pipeline takes by itself.
_MAX_WORKERS = 16


def worker_count(num_parallel_calls: Any, where: str) -> int:
    """Threads for `num_parallel_calls`: 1 for None, those of the machine for `AUTOTUNE`.

    Raises:
        ValueError: It is neither of them, nor a positive integer.
    """
    if num_parallel_calls is None:
        return 1
    count = host(num_parallel_calls)
    if (
        isinstance(count, bool)
        or not hasattr(count, "__index__")
        or (count := count.__index__()) == 0
        or count < -1
    ):
        raise ValueError(
            f"{where}: num_parallel_calls: expected a positive integer, AUTOTUNE or None, "
            f"received {num_parallel_calls!r}"
        )
    return min(_core.get_num_threads(), _MAX_WORKERS) if count == AUTOTUNE else count


class Passes:
    """The seeds of the passes over a data set: of a seed, another one for each pass.

    Args:
        seed: Integer; None draws one.
        same: Whether all passes have the same seed.
    """

    def __init__(self, seed: Any = None, same: bool = False):
        self.seed = draw_seed() if seed is None else int(host(seed))
        self.same = same
        self._passes = itertools.count()

    def next(self, peek: bool) -> list[int]:
        """The seed of the next pass; one that only looks ahead does not count."""
        return [self.seed & (2**64 - 1), 0 if self.same or peek else next(self._passes)]

    def keyed(self, elements: Iterator[Any], peek: bool) -> Iterator[tuple[Any, np.ndarray]]:
        """The elements of the next pass with their keys, two int32 each."""
        first = np.random.SeedSequence(self.next(peek)).generate_state(1)[0]
        for start in itertools.count(0, _KEYS):
            keys = np.empty((_KEYS, 2), np.uint32)
            keys[:, 0] = first
            keys[:, 1] = (start + np.arange(_KEYS)) & 0xFFFFFFFF
            for key in keys.view(np.int32):
                try:
                    element = next(elements)
                except StopIteration:
                    return
                yield element, key


class DatasetIterator:
    """An iterator over the elements of a data set, as tensors.

    Attributes:
        element_spec: The specs of the elements.

    Example:
        >>> from cnnrs.data import Dataset
        >>> elements = iter(Dataset.range(2))
        >>> int(elements.get_next()), int(next(elements)), next(elements, "no more")
        (0, 1, 'no more')
    """

    def __init__(self, dataset: Pipeline):
        self._dataset = dataset
        self._elements = dataset._open(False)

    @property
    def element_spec(self) -> Any:
        return self._dataset.element_spec

    def __iter__(self) -> DatasetIterator:
        return self

    def __next__(self) -> Any:
        return tree.map_structure(for_user, next(self._elements))

    def get_next(self) -> Any:
        """The next element. Raises StopIteration behind the last."""
        return next(self)

    def __repr__(self) -> str:
        return f"<iterator over {self._dataset!r}>"


class Pipeline:
    """What gives elements, pass after pass. A method of it gives another one, and computes nothing.

    Args:
        open_pass: Begins a pass and gives an iterator over its elements. Its argument says whether the pass
            only looks ahead at the first elements: then it prepares nothing and does not count.
        length: How many elements there are, or a constant: unknown or infinite.
        spec: The specs of the elements, a function that gives them or None, or None if only the elements
            tell.
        rows: The same elements by index, if they have one.
        name: What `repr` calls it.
    """

    def __init__(
        self,
        open_pass: Callable[[bool], Iterator[Any]],
        length: int = UNKNOWN_CARDINALITY,
        spec: Any = None,
        rows: Rows | None = None,
        name: str | None = None,
    ):
        self._open_pass = open_pass
        self._length = length
        self._spec_or_function = spec
        self._rows = rows
        self._name = name
        # The same elements with a `Failure` where the step's function raises, if it has one.
        self._attempts: Callable[[bool], Iterator[Any]] | None = None

    def _open(self, peek: bool) -> Iterator[Any]:
        return self._open_pass(peek)

    @staticmethod
    def _made(*args: Any, **kwargs: Any) -> Any:
        """A new data set; the arguments are those of the constructor."""
        raise NotImplementedError

    def _known_spec(self) -> Any:
        """The specs of the elements, as far as no element has to be computed; None if one has."""
        if callable(self._spec_or_function):
            self._spec_or_function = self._spec_or_function()
        return self._spec_or_function

    @property
    def element_spec(self) -> Any:
        """`TensorSpec`s of the elements, in their structure.

        Where functions that run in Python make the elements, it is read off the first two: extents in which
        these differ are None.

        Raises:
            ValueError: Nothing is known of the elements, and there are none.
        """
        spec = self._known_spec()
        if spec is None:
            specs = [spec_of(element) for element in itertools.islice(self._open(True), 2)]
            if not specs:
                raise ValueError("element_spec: expected at least one element to read it off, found none")
            self._spec_or_function = spec = merged(specs[0], specs[-1])
        return spec

    def __iter__(self) -> DatasetIterator:
        return DatasetIterator(self)

    def as_numpy_iterator(self) -> Iterator[Any]:
        """An iterator over the elements with numbers of numpy and bytes in the place of tensors.

        >>> from cnnrs.data import Dataset
        >>> [element["a"].tolist() for element in Dataset.from_tensors({"a": [1, 2]}).as_numpy_iterator()]
        [[1, 2]]
        """
        for element in self._open(False):
            yield tree.map_structure(for_numpy, element)

    def __len__(self) -> int:
        """The number of elements.

        Raises:
            TypeError: It is unknown or infinite.
        """
        if self._length < 0:
            kind = "infinite" if self._length == INFINITE_CARDINALITY else "unknown"
            raise TypeError(f"the length of this data set is {kind}; cardinality() tells without an error")
        return self._length

    def __bool__(self) -> bool:
        return True

    def cardinality(self) -> Any:
        """The number of elements, as a tensor: `INFINITE_CARDINALITY` and `UNKNOWN_CARDINALITY` are negative.

        >>> from cnnrs.data import INFINITE_CARDINALITY, Dataset
        >>> int(Dataset.range(5).batch(2).cardinality())
        3
        >>> bool(Dataset.range(5).repeat().cardinality() == INFINITE_CARDINALITY)
        True
        """
        return ops.convert_to_tensor(np.int64(self._length))

    def __repr__(self) -> str:
        count = {INFINITE_CARDINALITY: "infinitely many", UNKNOWN_CARDINALITY: "unknown"}.get(
            self._length, str(self._length)
        )
        spec = self._known_spec()
        of = "" if spec is None else f" of {spec}"
        name = "" if self._name is None else f" {self._name!r}"
        return f"<{type(self).__name__}{name}: {count} elements{of}>"

    def _repr_html_(self) -> str:
        """Shapes and types of the elements, for notebooks. No element is computed for it."""
        from cnnrs.charts import html

        constants = {INFINITE_CARDINALITY: "infinitely many", UNKNOWN_CARDINALITY: "an unknown number of"}
        count = constants.get(self._length, f"{self._length:,}")
        caption = f"{type(self).__name__}: {count} elements"
        names = getattr(self, "class_names", None)
        if names:
            more = ", …" if len(names) > 10 else ""
            caption += f"; {len(names)} classes: {', '.join(map(str, names[:10]))}{more}"
        spec = self._known_spec()
        if spec is None:
            return html.tag("p", f"{caption}; their shapes are known when the first one is computed")
        leaves = tree.flatten_with_path(spec)
        rows = [
            [
                ".".join(map(str, path)) or "element",
                str(getattr(leaf, "shape", leaf)),
                str(getattr(leaf, "dtype", "")),
            ]
            for path, leaf in leaves
        ]
        return html.table(["Element", "Shape", "Type"], rows, caption=caption)
