"""`Ordering`: which elements come, in what order, and what is kept of them."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np

from cnnrs.base.arguments import flag, integer
from cnnrs.data.elements import host
from cnnrs.data.kept import InMemory
from cnnrs.data.passes import Passes
from cnnrs.data.pipeline import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, Pipeline
from cnnrs.data.rows import Rows
from cnnrs.data.spec import TensorSpec, merged
from cnnrs.data.stored import cached_in_file
from cnnrs.data.workers import Failure, ahead

__all__ = ["Ordering"]

_LOG = logging.getLogger("cnnrs.data")
# Draws made at once.
_DRAWS = 1024


def drawn(elements: Iterator[Any], size: int, rng: np.random.Generator) -> Iterator[Any]:
    """Elements, each drawn from `size` that are held."""
    held: list[Any] = list(itertools.islice(elements, size))
    if len(held) == size:
        places: Iterator[int] = iter(())
        for element in elements:
            place = next(places, None)
            if place is None:
                places = iter(rng.integers(size, size=_DRAWS).tolist())
                place = next(places)
            yield held[place]
            held[place] = element
    for place in rng.permutation(len(held)).tolist():
        yield held[place]


def count_of(value: Any, where: str, argument: str, least: int) -> int:
    """An integer argument, which may be a tensor."""
    return integer(host(value) if hasattr(value, "numpy") else value, where, argument, least=least)


class Ordering(Pipeline):
    """The methods of data sets that choose, order, repeat and keep elements."""

    def shuffle(
        self,
        buffer_size: Any,
        seed: Any = None,
        reshuffle_each_iteration: bool | None = None,
        name: str | None = None,
    ) -> Any:
        """Elements in random order, each drawn from the next `buffer_size`.

        Args:
            buffer_size: How many elements are held to draw from. As many as there are give every order the
                same chance.
            seed: Of the order, an integer; None draws one. The same seed gives the same order in each run.
            reshuffle_each_iteration: Whether each pass has another order; None means that it has.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of the same elements.

        Raises:
            ValueError: `buffer_size` is no positive integer, or `seed` no integer.

        Example:
            >>> from cnnrs.data import Dataset
            >>> data = Dataset.range(5).shuffle(5, seed=1)
            >>> sorted(int(x) for x in data)
            [0, 1, 2, 3, 4]
            >>> [int(x) for x in data] == [int(x) for x in data]
            False
        """
        size = count_of(buffer_size, "Dataset.shuffle", "buffer_size", 1)
        same = reshuffle_each_iteration is not None and not flag(
            reshuffle_each_iteration, "Dataset.shuffle", "reshuffle_each_iteration"
        )
        passes = Passes(seed, same, orders=True, where="Dataset.shuffle")

        def shuffled(peek: bool) -> Iterator[Any]:
            rng = np.random.default_rng(passes.next(peek))
            return drawn(self._open(peek), 1 if peek else size, rng)

        rows = self._rows
        if rows is not None:

            def order(peek: bool) -> np.ndarray:
                before, rng = rows.order(peek), np.random.default_rng(passes.next(peek))
                if size >= len(before):
                    return before[rng.permutation(len(before))]
                return np.fromiter(drawn(iter(before.tolist()), size, rng), np.int64, len(before))

            chosen = Rows(rows.source, order)
            return self._step(
                chosen.open,
                self._length,
                self._known_spec,
                chosen,
                name,
                kept=(passes,),
                open_at=chosen.open_at,
            )
        return self._step(shuffled, self._length, self._known_spec, name=name, kept=(passes,))

    def repeat(self, count: Any = None, name: str | None = None) -> Any:
        """The elements, `count` times over.

        Args:
            count: How many times; None and -1 for ever.
            name: What `repr` calls it.

        Returns:
            A `Dataset`; without a count its cardinality is `INFINITE_CARDINALITY`.

        Raises:
            ValueError: `count` is no integer.

        Example:
            >>> from cnnrs.data import Dataset
            >>> [int(x) for x in Dataset.range(3).repeat(2)]
            [0, 1, 2, 0, 1, 2]
        """
        times = -1 if count is None else count_of(count, "Dataset.repeat", "count", -1)

        def repeated(peek: bool, begin: int = 0, first: int = 0) -> Iterator[Any]:
            for _ in itertools.count() if times < 0 else range(times - begin):
                empty = not first
                for element in self._open_at(first) if first else self._open(peek):
                    empty = False
                    yield element
                if empty:
                    return
                first = 0

        def repeated_at(first: int) -> Iterator[Any]:
            if self._length <= 0:
                return itertools.islice(repeated(False), first, None)
            done, rest = divmod(first, self._length)
            self._advance(done)
            return repeated(False, done, rest)

        if times == 0 or self._length == 0:
            length = 0
        elif times < 0 or self._length == INFINITE_CARDINALITY:
            length = INFINITE_CARDINALITY
        else:
            length = self._length * times if self._length >= 0 else self._length
        made = self._step(repeated, length, self._known_spec, name=name, open_at=repeated_at)
        made._passes_of_sources = max(times, 0)
        return made

    def take(self, count: Any, name: str | None = None) -> Any:
        """The first elements.

        Args:
            count: How many; -1 for all.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of at most `count` elements.

        Raises:
            ValueError: `count` is no integer.

        Example:
            >>> from cnnrs.data import Dataset
            >>> [int(x) for x in Dataset.range(10).take(3)]
            [0, 1, 2]
        """
        number = count_of(count, "Dataset.take", "count", -1)
        stop = None if number < 0 else number
        length = self._length
        if stop is not None:
            length = stop if length == INFINITE_CARDINALITY else min(length, stop)
        return self._part(name, 0, stop, length)

    def skip(self, count: Any, name: str | None = None) -> Any:
        """What comes behind the first elements.

        Args:
            count: How many are left out; -1 for all.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of the rest.

        Raises:
            ValueError: `count` is no integer.

        Example:
            >>> from cnnrs.data import Dataset
            >>> [int(x) for x in Dataset.range(5).skip(3)]
            [3, 4]
        """
        number = count_of(count, "Dataset.skip", "count", -1)
        if number < 0:
            return self._part(name, 0, 0, 0)
        length = max(self._length - number, 0) if self._length >= 0 else self._length
        return self._part(name, number, None, length)

    def _part(self, name: str | None, start: int, stop: int | None, length: int, step: int = 1) -> Any:
        """Elements `start`, `start + step` and so on, before `stop`."""
        rows = self._rows
        if rows is not None and not rows.source.skips:
            chosen = Rows(rows.source, lambda peek: rows.order(peek)[start:stop:step])
            return self._step(chosen.open, length, self._known_spec, chosen, name, open_at=chosen.open_at)

        def part_at(first: int) -> Iterator[Any]:
            begin = start + first * step
            end = None if stop is None else max(stop - begin, 0)
            return itertools.islice(self._open_at(begin), 0, end, step)

        return self._step(
            lambda peek: itertools.islice(self._open(peek), start, stop, step),
            length,
            self._known_spec,
            name=name,
            open_at=part_at,
        )

    def shard(self, num_shards: Any, index: Any, name: str | None = None) -> Any:
        """Every `num_shards`-th element, from element `index` on.

        Args:
            num_shards: Among how many parts the elements are divided.
            index: Which part, from 0.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of this part.

        Raises:
            ValueError: There is no such part.

        Example:
            >>> from cnnrs.data import Dataset
            >>> [int(x) for x in Dataset.range(7).shard(3, 1)]
            [1, 4]
        """
        parts = count_of(num_shards, "Dataset.shard", "num_shards", 1)
        first = count_of(index, "Dataset.shard", "index", 0)
        if first >= parts:
            raise ValueError(
                f"Dataset.shard: index: expected an integer < num_shards={parts}, received {first}"
            )
        length = len(range(first, self._length, parts)) if self._length >= 0 else self._length
        return self._part(name, first, None, length, parts)

    def concatenate(self, dataset: Any, name: str | None = None) -> Any:
        """The elements, and behind them those of another data set.

        Args:
            dataset: A `Dataset` of the same structure and types.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of both.

        Raises:
            TypeError: `dataset` is none, or its elements have another structure or type.

        Example:
            >>> from cnnrs.data import Dataset
            >>> [int(x) for x in Dataset.range(2).concatenate(Dataset.range(8, 10))]
            [0, 1, 8, 9]
        """
        if not isinstance(dataset, Pipeline):
            raise TypeError(
                f"Dataset.concatenate: dataset: expected a Dataset, received {type(dataset).__name__}"
            )
        first, second = self._known_spec(), dataset._known_spec()
        if first is not None and second is not None:
            try:
                merged(first, second)
            except ValueError as error:
                raise TypeError(f"Dataset.concatenate: {error}") from None
        lengths = self._length, dataset._length
        length = min(lengths) if min(lengths) < 0 else sum(lengths)
        if INFINITE_CARDINALITY in lengths:
            length = INFINITE_CARDINALITY

        def spec() -> Any:
            specs = self._known_spec(), dataset._known_spec()
            return None if None in specs else merged(*specs)

        return self._step(
            lambda peek: itertools.chain(self._open(peek), _later(dataset, peek)),
            length,
            spec,
            name=name,
            sources=(dataset,),
        )

    def enumerate(self, start: Any = 0, name: str | None = None) -> Any:
        """Pairs of the elements' numbers and the elements.

        Args:
            start: The number of the first.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of pairs `(int64, element)`.

        Raises:
            ValueError: `start` is no integer.

        Example:
            >>> from cnnrs.data import Dataset
            >>> [(int(i), int(x)) for i, x in Dataset.range(5, 7).enumerate(start=1)]
            [(1, 5), (2, 6)]
        """
        first = count_of(start, "Dataset.enumerate", "start", -(2**63))

        def numbered(peek: bool) -> Iterator[Any]:
            return zip(map(np.int64, itertools.count(first)), self._open(peek), strict=False)

        def numbered_at(begin: int) -> Iterator[Any]:
            return zip(map(np.int64, itertools.count(first + begin)), self._open_at(begin), strict=False)

        def spec() -> Any:
            of = self._known_spec()
            return None if of is None else (TensorSpec((), "int64"), of)

        return self._step(numbered, self._length, spec, name=name, open_at=numbered_at)

    def prefetch(self, buffer_size: Any, name: str | None = None) -> Any:
        """The same elements, of which a thread prepares the next ones.

        Args:
            buffer_size: How many; `AUTOTUNE` for 2, 0 for none.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of the same elements in the same order.

        Raises:
            ValueError: `buffer_size` is no integer.

        Example:
            >>> from cnnrs.data import AUTOTUNE, Dataset
            >>> [int(x) for x in Dataset.range(3).prefetch(AUTOTUNE)]
            [0, 1, 2]
        """
        count = count_of(buffer_size, "Dataset.prefetch", "buffer_size", -1)
        waiting = 2 if count < 0 else count

        def prefetched(peek: bool) -> Iterator[Any]:
            return self._open(peek) if peek or not waiting else ahead(self._open(peek), waiting)

        def prefetched_at(first: int) -> Iterator[Any]:
            return ahead(self._open_at(first), waiting) if waiting else self._open_at(first)

        return self._step(prefetched, self._length, self._known_spec, name=name, open_at=prefetched_at)

    def cache(self, filename: Any = "", name: str | None = None) -> Any:
        """The elements, kept from the first whole pass on.

        Args:
            filename: A path, under which they are kept on disk, also for later runs; "" keeps them in memory.
                Each data set needs its own: what lies there remembers which files, arrays, functions and
                arguments it was made of.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of the same elements, in the order of the first pass.

        Raises:
            TypeError: `filename` is no path.
            OSError: The disk is full, or may not be written: raised while elements come.
            ValueError: What lies there is no such cache, is damaged, or was made of another data set or of an
                earlier state of this one: raised when a pass begins.

        Example:
            >>> from cnnrs.data import Dataset
            >>> data = Dataset.range(3).shuffle(3).cache()
            >>> [int(x) for x in data] == [int(x) for x in data]
            True
        """
        filename = host(filename)
        if filename != "":
            open_pass = cached_in_file(self, filename)
            return self._step(open_pass, self._length, self._known_spec, name=name)
        memory = InMemory(self)
        return self._step(
            memory.open, self._length, self._known_spec, name=name, kept=(memory,), open_at=memory.open_at
        )

    def ignore_errors(self, log_warning: bool = False, name: str | None = None) -> Any:
        """The elements that come without an error.

        Args:
            log_warning: Whether the log says what was left out.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of unknown length.

        Raises:
            ValueError: `log_warning` is no bool, or the step before is not `map`.

        Example:
            >>> import numpy as np
            >>> from cnnrs.data import Dataset
            >>> def invert(x):
            ...     return np.float32(1 / float(x))
            >>> [float(x) for x in Dataset.range(3).map(invert).ignore_errors()]
            [1.0, 0.5]
        """
        logs = flag(log_warning, "Dataset.ignore_errors", "log_warning")
        attempts = self._attempts
        if attempts is None:
            raise ValueError(
                "Dataset.ignore_errors: expected it right behind map, whose function may fail for one; "
                "behind other steps, an error ends the pass"
            )

        def successes(peek: bool) -> Iterator[Any]:
            for element in attempts(peek):
                if not isinstance(element, Failure):
                    yield element
                elif logs and not peek:
                    _LOG.warning("Dataset.ignore_errors: an element is left out: %r", element.error)

        return self._step(successes, UNKNOWN_CARDINALITY, self._known_spec, name=name)


def _later(dataset: Any, peek: bool) -> Iterator[Any]:
    yield from dataset._open(peek)
