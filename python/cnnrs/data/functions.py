"""`Functions`: the methods of data sets that call a function for each element."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cnnrs import tree
from cnnrs.data.elements import as_element, for_numpy, for_user
from cnnrs.data.grouping import check_order
from cnnrs.data.image_files import encoded_rows
from cnnrs.data.mapping import ElementFunction, arguments_of, as_bool
from cnnrs.data.ordering import count_of
from cnnrs.data.passes import Passes, keyed
from cnnrs.data.pipeline import UNKNOWN_CARDINALITY, Pipeline, worker_count
from cnnrs.data.rows import ArrayRows
from cnnrs.data.slots import slots
from cnnrs.data.spec import spec_of
from cnnrs.data.workers import attempted, group_start, named_errors, through

__all__ = ["Functions"]


class Functions(Pipeline):
    """The methods of data sets that call a function for each element.

    A function gets tensors; the parts of a tuple are its arguments. It is recorded once for each signature
    (shapes and types) and replayed without Python, several elements at once. A function that reads values,
    files or text runs in Python for each element, and the log `cnnrs.data` says so.
    """

    def map(
        self,
        map_func: Callable[..., Any],
        num_parallel_calls: Any = None,
        deterministic: bool | None = None,
        synchronous: bool | None = None,
        use_unbounded_threadpool: bool | None = None,
        name: str | None = None,
    ) -> Any:
        """Each element replaced by what a function makes of it.

        What the function draws by `cnnrs.random`, or by layers, is another for each element and each pass,
        and the same in each run with the same seed, however many threads there are.

        Args:
            map_func: The function. It returns tensors, arrays, numbers, text, or tuples and dicts of them.
            num_parallel_calls: How many threads call it; `AUTOTUNE` for as many as the machine has; None for
                none but the one that asks for elements.
            deterministic: True, False or None: elements keep their order in each case.
            synchronous: True for `num_parallel_calls=None`; None and False leave it.
            use_unbounded_threadpool: None or False: threads are bounded by `num_parallel_calls`.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of the results.

        Raises:
            TypeError: `map_func` is no function. While elements come: it returns what no data set holds.
            ValueError: Another argument is none of these.

        Example:
            >>> from cnnrs import ops
            >>> from cnnrs.data import AUTOTUNE, Dataset
            >>> data = Dataset.from_tensor_slices(([1.0, 2.0], [0, 1]))
            >>> scaled = data.map(lambda x, y: (x / 2, ops.one_hot(y, 2)), num_parallel_calls=AUTOTUNE)
            >>> [(float(x), y.tolist()) for x, y in scaled]
            [(0.5, [1.0, 0.0]), (1.0, [0.0, 1.0])]
        """
        where = "Dataset.map"
        check_order(deterministic, where)
        if use_unbounded_threadpool:
            raise ValueError(f"{where}: use_unbounded_threadpool: expected None or False, received True")
        if synchronous and num_parallel_calls is not None:
            raise ValueError(f"{where}: num_parallel_calls: expected None with synchronous=True")
        workers = worker_count(num_parallel_calls, where)
        function, passes = ElementFunction(map_func, where, known=self._known_spec), Passes()
        # Images of files are decoded where the function is called: it may need a part of them alone.
        rows = None if self._rows is None else encoded_rows(self._rows, workers)

        # Rows in memory may be taken before they are asked for; other sources may do something meanwhile.
        in_memory = self._rows is not None and isinstance(self._rows.source, ArrayRows)

        def mapped(peek: bool) -> Iterator[Any]:
            if not peek:
                return mapped_at(0)
            pairs = keyed(self._open(True) if rows is None else rows.open(True), passes.next(True))
            return through(function.of_pair, pairs, 1)

        def mapped_at(first: int, batch: int = 0) -> Iterator[Any]:
            begin, seed = group_start(first), passes.next(False)
            elements = self._open_at(begin) if rows is None else rows.open_at(begin)
            pairs: Iterator[tuple[Any, ...]] = keyed(elements, seed, begin)
            if batch:
                pairs = (
                    (*pair, slot) for pair, slot in zip(pairs, slots(batch, first - begin), strict=False)
                )
            results = through(function.of_pair, pairs, workers, function, in_memory, begin)
            return itertools.islice(named_errors(results, where, seed[1], begin), first - begin, None)

        def spec() -> Any:
            of = self._known_spec()
            return None if of is None else function.spec(arguments_of(of))

        made = self._step(mapped, self._length, spec, name=name, kept=(passes,), open_at=mapped_at)
        made._open_for_batches = lambda size, first: mapped_at(first, size)
        made._attempts = lambda peek: attempted(
            function.of_pair, passes.keyed(self._open(peek), peek), 1 if peek else workers
        )
        return made

    def filter(self, predicate: Callable[..., Any], name: str | None = None) -> Any:
        """The elements for which a function returns True.

        Args:
            predicate: The function; it returns a single bool.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of unknown length.

        Raises:
            TypeError: `predicate` is no function.
            ValueError: While elements come: it returns something else.

        Example:
            >>> from cnnrs.data import Dataset
            >>> [int(x) for x in Dataset.range(6).filter(lambda x: x % 2 == 1)]
            [1, 3, 5]
        """
        where = "Dataset.filter"
        function, passes = ElementFunction(predicate, where), Passes()

        def chosen(peek: bool) -> Iterator[Any]:
            for element, key in passes.keyed(self._open(peek), peek):
                if as_bool(function(arguments_of(element), key), where):
                    yield element

        return self._step(chosen, UNKNOWN_CARDINALITY, self._known_spec, name=name, kept=(passes,))

    def take_while(self, predicate: Callable[..., Any], name: str | None = None) -> Any:
        """The elements before the first one for which a function returns False.

        Args:
            predicate: The function; it returns a single bool.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of unknown length.

        Raises:
            TypeError: `predicate` is no function.
            ValueError: While elements come: it returns something else.

        Example:
            >>> from cnnrs.data import Dataset
            >>> [int(x) for x in Dataset.range(9).take_while(lambda x: x < 3)]
            [0, 1, 2]
        """
        where = "Dataset.take_while"
        function, passes = ElementFunction(predicate, where), Passes()

        def taken(peek: bool) -> Iterator[Any]:
            for element, key in passes.keyed(self._open(peek), peek):
                if not as_bool(function(arguments_of(element), key), where):
                    return
                yield element

        return self._step(
            taken, UNKNOWN_CARDINALITY if self._length else 0, self._known_spec, name=name, kept=(passes,)
        )

    def flat_map(self, map_func: Callable[..., Any], name: str | None = None) -> Any:
        """The elements of the data sets that a function makes of elements, one data set behind the other.

        Args:
            map_func: The function; it returns a `Dataset`.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of unknown length.

        Raises:
            TypeError: `map_func` is no function. While elements come: it returns no data set.

        Example:
            >>> from cnnrs.data import Dataset
            >>> data = Dataset.from_tensor_slices([[1, 2], [3, 4]])
            >>> [int(x) for x in data.flat_map(Dataset.from_tensor_slices)]
            [1, 2, 3, 4]
        """
        datasets, passes = self._datasets(map_func, "Dataset.flat_map")

        def flat(peek: bool) -> Iterator[Any]:
            for dataset in datasets(peek):
                yield from dataset._open(peek)

        return self._step(flat, UNKNOWN_CARDINALITY, name=name, kept=(passes,))

    def interleave(
        self,
        map_func: Callable[..., Any],
        cycle_length: Any = None,
        block_length: Any = 1,
        num_parallel_calls: Any = None,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Any:
        """The elements of the data sets that a function makes of elements, some data sets in turns.

        Args:
            map_func: The function; it returns a `Dataset`.
            cycle_length: How many data sets take turns; None and `AUTOTUNE` for as many as
                `num_parallel_calls` has threads.
            block_length: How many elements each gives in its turn.
            num_parallel_calls: As for `map`: threads that prepare the elements of different data sets.
            deterministic: True, False or None: elements keep their order in each case.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of unknown length.

        Raises:
            TypeError: `map_func` is no function. While elements come: it returns no data set.
            ValueError: Another argument is none of these.

        Example:
            >>> from cnnrs.data import Dataset
            >>> data = Dataset.range(1, 4).interleave(
            ...     lambda x: Dataset.from_tensors(x).repeat(3), cycle_length=2, block_length=2
            ... )
            >>> [int(x) for x in data]
            [1, 1, 2, 2, 1, 2, 3, 3, 3]
        """
        where = "Dataset.interleave"
        check_order(deterministic, where)
        workers = worker_count(num_parallel_calls, where)
        cycle = -1 if cycle_length is None else count_of(cycle_length, where, "cycle_length", -1)
        if cycle == 0:
            raise ValueError(f"{where}: cycle_length: expected a positive integer, received 0")
        cycle = workers if cycle < 0 else cycle
        block = count_of(block_length, where, "block_length", 1)
        datasets, passes = self._datasets(map_func, where)

        def opened(dataset: Any, peek: bool) -> Iterator[Any]:
            parallel = not peek and workers > 1
            return dataset.prefetch(block)._open(peek) if parallel else dataset._open(peek)

        def interleaved(peek: bool) -> Iterator[Any]:
            sources = datasets(peek)
            turns: list[Iterator[Any] | None] = [None] * cycle
            ended, place = False, 0
            while True:
                if turns[place] is None and not ended:
                    dataset = next(sources, None)
                    ended = dataset is None
                    turns[place] = None if dataset is None else opened(dataset, peek)
                current = turns[place]
                if current is not None:
                    for _ in range(block):
                        try:
                            element = next(current)
                        except StopIteration:
                            turns[place] = None
                            break
                        yield element
                elif ended and not any(turn is not None for turn in turns):
                    return
                place = (place + 1) % cycle

        return self._step(interleaved, UNKNOWN_CARDINALITY, name=name, kept=(passes,))

    def _datasets(
        self, map_func: Callable[..., Any], where: str
    ) -> tuple[Callable[[bool], Iterator[Any]], Passes]:
        function, passes = ElementFunction(map_func, where, returns_datasets=True), Passes()

        def datasets(peek: bool) -> Iterator[Any]:
            for element, key in passes.keyed(self._open(peek), peek):
                dataset = function(arguments_of(element), key)
                if not isinstance(dataset, Pipeline):
                    raise TypeError(
                        f"{where}: expected a function that returns a Dataset, received {dataset!r}"
                    )
                yield dataset

        return datasets, passes

    def reduce(self, initial_state: Any, reduce_func: Callable[..., Any], name: str | None = None) -> Any:
        """One value of all elements: a function of it and the next element gives the next value.

        Args:
            initial_state: The first value: a tensor, an array, a number or a structure of them.
            reduce_func: The function `(state, element) -> state`.
            name: A name for the errors of the function.

        Returns:
            The last value, as tensors.

        Raises:
            TypeError: `reduce_func` is no function.
            ValueError: It returns another structure than `initial_state`.

        Example:
            >>> from cnnrs.data import Dataset
            >>> int(Dataset.range(5).reduce(0, lambda total, x: total + x))
            10
        """
        where = name or "Dataset.reduce"
        state = as_element(initial_state, where)
        function, passes = ElementFunction(reduce_func, where), Passes()
        for element, key in passes.keyed(self._open(False), False):
            following = function((state, element), key)
            _check_state(state, following, where)
            state = following
        return tree.map_structure(for_user, state)

    def scan(self, initial_state: Any, scan_func: Callable[..., Any], name: str | None = None) -> Any:
        """What a function gives for a state and each element, which also gives the next state.

        Args:
            initial_state: The first state: a tensor, an array, a number or a structure of them.
            scan_func: The function `(state, element) -> (state, output)`.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of the outputs.

        Raises:
            TypeError: `scan_func` is no function.
            ValueError: While elements come: it returns something else.

        Example:
            >>> from cnnrs.data import Dataset
            >>> [int(x) for x in Dataset.range(4).scan(0, lambda total, x: (total + x, total + x))]
            [0, 1, 3, 6]
        """
        where = "Dataset.scan"
        first = as_element(initial_state, where)
        function, passes = ElementFunction(scan_func, where), Passes()

        def scanned(peek: bool) -> Iterator[Any]:
            state = first
            for element, key in passes.keyed(self._open(peek), peek):
                pair = function((state, element), key)
                if not isinstance(pair, tuple) or len(pair) != 2:
                    raise ValueError(
                        f"{where}: expected a function that returns (state, output), received {pair!r}"
                    )
                _check_state(state, pair[0], where)
                state = pair[0]
                yield pair[1]

        return self._step(scanned, self._length, name=name, kept=(passes,))

    def unique(self, name: str | None = None) -> Any:
        """The elements without those that came before.

        Args:
            name: What `repr` calls it.

        Returns:
            A `Dataset` of unknown length.

        Example:
            >>> from cnnrs.data import Dataset
            >>> [int(x) for x in Dataset.from_tensor_slices([3, 1, 3, 2, 1]).unique()]
            [3, 1, 2]
        """

        def distinct(peek: bool) -> Iterator[Any]:
            seen = set()
            for element in self._open(peek):
                value = repr(spec_of(element)), *(_hashable(leaf) for leaf in tree.flatten(element))
                if value not in seen:
                    seen.add(value)
                    yield element

        return self._step(distinct, UNKNOWN_CARDINALITY, self._known_spec, name=name)

    def apply(self, transformation_func: Callable[[Any], Any]) -> Any:
        """What a function makes of this data set.

        Args:
            transformation_func: The function; it returns a `Dataset`.

        Returns:
            That `Dataset`.

        Raises:
            TypeError: It returns something else.

        Example:
            >>> from cnnrs.data import Dataset
            >>> [int(x) for x in Dataset.range(5).apply(lambda data: data.take(2))]
            [0, 1]
        """
        result = transformation_func(self)
        if not isinstance(result, Pipeline):
            raise TypeError(
                f"Dataset.apply: expected a function that returns a Dataset, received {type(result).__name__}"
            )
        return result

    def get_single_element(self, name: str | None = None) -> Any:
        """The only element.

        Args:
            name: What errors call the data set.

        Returns:
            The element, as tensors.

        Raises:
            ValueError: There is none, or more than one.

        Example:
            >>> from cnnrs.data import Dataset
            >>> int(Dataset.range(3).skip(2).get_single_element())
            2
        """
        elements = iter(self)
        found = list(itertools.islice(elements, 2))
        if len(found) != 1:
            count = "none" if not found else "more than one"
            raise ValueError(f"{name or 'Dataset'}.get_single_element: expected one element, found {count}")
        return found[0]


def _hashable(leaf: Any) -> Any:
    value = for_numpy(leaf)
    if isinstance(value, np.ndarray):
        return tuple(value.ravel().tolist()) if value.dtype == object else value.tobytes()
    return value


def _check_state(before: Any, after: Any, where: str) -> None:
    """Raises a ValueError unless a state has the structure of the one before."""
    if repr(tree.map_structure(lambda _: 0, before)) != repr(tree.map_structure(lambda _: 0, after)):
        raise ValueError(f"{where}: expected a state of the structure of {before!r}, received {after!r}")
