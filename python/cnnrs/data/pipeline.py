"""`Pipeline`: what all data sets have in common: passes, elements, length and spec."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cnnrs import _core, ops, tree
from cnnrs.data.elements import for_numpy, for_user, host
from cnnrs.data.passes import Kept
from cnnrs.data.rows import Rows
from cnnrs.data.spec import merged, spec_of

__all__ = [
    "AUTOTUNE",
    "INFINITE_CARDINALITY",
    "UNKNOWN_CARDINALITY",
    "DatasetIterator",
    "Pipeline",
    "worker_count",
]

# As many threads, or elements ahead, as serve: tf.data's constants.
AUTOTUNE = -1
INFINITE_CARDINALITY = -1
UNKNOWN_CARDINALITY = -2

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


class NumpyIterator:
    """An iterator over the elements of a data set, as arrays and numbers of numpy.

    Args:
        elements: They.

    Example:
        >>> from cnnrs.data import Dataset
        >>> elements = Dataset.range(2).as_numpy_iterator()
        >>> int(elements.next()), int(next(elements)), next(elements, "no more")
        (0, 1, 'no more')
    """

    def __init__(self, elements: Iterator[Any]):
        self._elements = elements

    def __iter__(self) -> NumpyIterator:
        return self

    def __next__(self) -> Any:
        return next(self._elements)

    def next(self) -> Any:
        """The next element. Raises StopIteration behind the last."""
        return self.__next__()


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

    def __init__(self, dataset: Pipeline, first: int = 0):
        self._dataset = dataset
        self._taken = first
        # The pass begins when the first element is asked for. This is the state of the data set before.
        self._before: list[Any] | None = None
        self._elements: Iterator[Any] = iter(())

    @property
    def element_spec(self) -> Any:
        return self._dataset.element_spec

    def __iter__(self) -> DatasetIterator:
        return self

    def __next__(self) -> Any:
        if self._before is None:
            self._before = self._dataset._state_of_passes()
            self._elements = self._dataset._open_at(self._taken)
        element = next(self._elements)
        self._taken += 1
        return tree.map_structure(for_user, element)

    def get_next(self) -> Any:
        """The next element. Raises StopIteration behind the last."""
        return next(self)

    def next(self) -> Any:
        """The next element, as `get_next` and `next(iterator)` give it."""
        return self.__next__()

    def state(self) -> dict[str, Any]:
        """Where this iterator stands, as plain data for JSON: `Dataset.restore` goes on from there.

        Returns:
            A dict: "passes", the seeds and numbers of the passes as this one began, and "taken", how many
            elements it has given.

        >>> from cnnrs.data import Dataset
        >>> data = Dataset.range(5).shuffle(5, seed=3)
        >>> elements = iter(data)
        >>> first, state = int(next(elements)), elements.state()
        >>> [int(x) for x in data.restore(state)] == [int(x) for x in elements]
        True
        """
        before = self._dataset._state_of_passes() if self._before is None else self._before
        return {"passes": before, "taken": self._taken}

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
        sources: The data sets that it opens.
        kept: What passes over it depend on beside these: the numbers of its own passes, or kept elements.
        open_at: Begins a pass at an element, without computing those before it; None if that takes computing
            them.
    """

    def __init__(
        self,
        open_pass: Callable[[bool], Iterator[Any]],
        length: int = UNKNOWN_CARDINALITY,
        spec: Any = None,
        rows: Rows | None = None,
        name: str | None = None,
        sources: tuple[Pipeline, ...] = (),
        kept: tuple[Kept, ...] = (),
        open_at: Callable[[int], Iterator[Any]] | None = None,
    ):
        self._open_pass = open_pass
        self._sources = sources
        self._kept = kept
        self._open_pass_at = open_at
        self._length = length
        self._spec_or_function = spec
        self._rows = rows
        self._name = name
        self.class_names: list[str] | None = None
        # How many passes over its sources make one over it, if it is finite.
        self._passes_of_sources = 1
        # Begins a pass at an element, for batches of a size: arrays may lie in the memory of their batch.
        self._open_for_batches: Callable[[int, int], Iterator[Any]] | None = None
        # The same elements with a `Failure` where the step's function raises, if it has one.
        self._attempts: Callable[[bool], Iterator[Any]] | None = None
        # What it is made of, as the first `cache` on disk found it.
        self._fingerprint: Any = None

    def _open(self, peek: bool) -> Iterator[Any]:
        return self._open_pass(peek)

    def _open_at(self, first: int) -> Iterator[Any]:
        """Begins a pass at an element, which has the bits that it has in a whole pass."""
        if not first:
            return self._open_pass(False)
        if self._open_pass_at is not None:
            return self._open_pass_at(first)
        return itertools.islice(self._open_pass(False), first, None)

    @staticmethod
    def _made(*args: Any, **kwargs: Any) -> Any:
        """A new data set; the arguments are those of the constructor."""
        raise NotImplementedError

    def _step(self, *args: Any, sources: tuple[Pipeline, ...] = (), **kwargs: Any) -> Any:
        """A data set that opens this one, and `sources` too."""
        made = self._made(*args, sources=(self, *sources), **kwargs)
        made.class_names = self.class_names
        return made

    def _parts(self) -> list[Kept]:
        """What passes depend on, of this data set and of all that it opens, each once."""
        found: dict[int, Kept] = {}
        seen: set[int] = set()

        def visit(dataset: Pipeline) -> None:
            if id(dataset) not in seen:
                seen.add(id(dataset))
                for source in dataset._sources:
                    visit(source)
                found.update((id(part), part) for part in dataset._kept)

        visit(self)
        return list(found.values())

    def _state_of_passes(self) -> list[Any]:
        return [part.state() for part in self._parts()]

    def _restore_passes(self, state: list[Any]) -> None:
        parts = self._parts()
        if len(parts) != len(state):
            raise ValueError(
                f"{type(self).__name__}.restore: expected the state of this data set, with {len(parts)} "
                f"steps that have one, received {len(state)}; make the data set by the same steps"
            )
        for part, value in zip(parts, state, strict=True):
            part.restore(value)

    def _advance(self, passes: int) -> None:
        """Makes the next pass the one that comes `passes` later."""
        for part in self._kept:
            part.advance(passes)
        for source in self._sources:
            source._advance(passes * self._passes_of_sources)

    def state(self) -> dict[str, Any]:
        """What the next pass depends on, as plain data for JSON: the seeds and numbers of passes.

        An iterator has `state`, too: that of its pass, with its place.

        >>> import json
        >>> from cnnrs.data import Dataset
        >>> data = Dataset.range(5).shuffle(5)
        >>> state = json.loads(json.dumps(data.state()))
        >>> [int(x) for x in data] == [int(x) for x in data.restore(state)]
        True
        """
        return {"passes": self._state_of_passes(), "taken": 0}

    def restore(self, state: dict[str, Any]) -> DatasetIterator:
        """Goes on where a state says, also that of an equal data set in another process.

        Elements before that place are not computed anew where each has an index: behind `shuffle` of arrays
        or files, `map`, `batch`, `prefetch` and `repeat`. Other steps compute them again.

        Args:
            state: What `state` of a data set or an iterator gave.

        Returns:
            An iterator over the rest of the pass. The passes after it are those that came after it, too.

        Raises:
            ValueError: It is no state of a data set of these steps.

        >>> from cnnrs import random
        >>> from cnnrs.data import Dataset
        >>> def made():
        ...     return Dataset.range(6).shuffle(6).map(lambda x: (x, random.uniform(()))).batch(2)
        >>> data = made()
        >>> elements = iter(data)
        >>> _, state = next(elements), elements.state()
        >>> [x.tolist() for x, _ in elements] == [x.tolist() for x, _ in made().restore(state)]
        True
        """
        where = f"{type(self).__name__}.restore"
        try:
            passes, taken = list(state["passes"]), state["taken"].__index__()
        except (TypeError, KeyError, AttributeError):
            raise ValueError(f"{where}: expected what state() gave, received {state!r}") from None
        self._restore_passes(passes)
        return DatasetIterator(self, taken)

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

    def as_numpy_iterator(self) -> NumpyIterator:
        """An iterator over the elements with numbers of numpy and bytes in the place of tensors.

        Arrays are read-only: they may lie in the memory of the source. `np.array(x)` makes a copy to change.

        >>> from cnnrs.data import Dataset
        >>> [element["a"].tolist() for element in Dataset.from_tensors({"a": [1, 2]}).as_numpy_iterator()]
        [[1, 2]]
        """
        return NumpyIterator(self._numpy_at(0))

    def _numpy_at(self, first: int) -> Iterator[Any]:
        for element in self._open_at(first):
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
