"""Threads that prepare elements ahead, without changing their order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import chain, islice
from typing import Any, NamedTuple, Protocol

from cnnrs.base.notes import noted

__all__ = ["GROUP", "Failure", "Grouped", "ahead", "attempted", "group_start", "named_errors", "through"]

# How long a task of a thread should take: much longer than handing it over.
_TASK_SECONDS = 1e-3
_MAX_TASK = 64
# Tasks of each thread that are waiting or done ahead.
_TASKS_AHEAD = 2


class Failure(NamedTuple):
    """What `attempted` gives in the place of an element for which the function raised."""

    error: Exception


class Grouped(Protocol):
    """A function that computes groups of `GROUP` elements at less cost than one by one.

    Whether it does so must not depend on how fast threads are, but on the elements alone, for rounding may
    differ. So groups begin at fixed places.
    """

    @property
    def groups(self) -> bool: ...

    def prepare(self, element: Any) -> None:
        """Finds out whether elements such as this one come in groups."""

    def many(self, elements: list[Any]) -> list[Any]: ...


# Elements of a group, and those of a pass that come one by one before the first group: few elements are not
# worth a plan for groups.
GROUP = 16
_SINGLE = 64


def attempted(function: Callable[[Any], Any], elements: Iterator[Any], workers: int) -> Iterator[Any]:
    """As `through`, with a `Failure` where the function raises an error."""

    def attempt(element: Any) -> Any:
        try:
            return function(element)
        except Exception as error:
            return Failure(error)

    return through(attempt, elements, workers)


def through(
    function: Callable[[Any], Any],
    elements: Iterator[Any],
    workers: int,
    grouped: Grouped | None = None,
    read_ahead: bool = True,
    begin: int = 0,
) -> Iterator[Any]:
    """A function of elements, in their order; several workers compute some elements ahead.

    Args:
        function: The function of an element.
        elements: The elements.
        workers: How many threads call it; 1 for this one.
        grouped: What computes groups of elements.
        read_ahead: Whether this thread may take a group of elements before it gives the first one's result.
        begin: The number of the first element in its pass, one that `group_start` gives.
    """
    if workers > 1:
        return _by_threads(function, elements, workers, grouped, begin)
    if grouped is not None and read_ahead:
        return _by_groups(function, elements, grouped, begin)
    return _one_by_one(function, elements)


def named_errors(results: Iterator[Any], where: str, number: int, first: int = 0) -> Iterator[Any]:
    """Results, whose errors say at which element of which pass they came.

    Args:
        results: The results.
        where: The step.
        number: The number of the pass, from 0.
        first: The number of the first result.
    """
    place = first
    try:
        for result in results:
            yield result
            place += 1
    except Exception as error:
        noted(error, f"{where}: element {place} of pass {number}, both from 0")
        raise


def _one_by_one(function: Callable[[Any], Any], elements: Iterator[Any]) -> Iterator[Any]:
    # A loop, for `map` would end where the function raises StopIteration.
    for element in elements:
        yield function(element)


def group_start(first: int) -> int:
    """The number of the first element of the group of element `first`."""
    return first if first < _SINGLE else first - (first - _SINGLE) % GROUP


def _by_groups(
    function: Callable[[Any], Any], elements: Iterator[Any], grouped: Grouped, begin: int
) -> Iterator[Any]:
    if begin >= _SINGLE:
        elements = _looked_at(elements, grouped)
    yield from _one_by_one(function, islice(elements, max(_SINGLE - begin, 0)))
    if not grouped.groups:
        yield from _one_by_one(function, elements)
        return
    while group := list(islice(elements, GROUP)):
        results, failure, _ = _all(function, group, grouped)
        yield from results
        if failure is not None:
            raise failure


def _looked_at(elements: Iterator[Any], grouped: Grouped) -> Iterator[Any]:
    """The elements, of which the first one has told whether there are groups."""
    head = list(islice(elements, 1))
    if head:
        grouped.prepare(head[0])
    return chain(head, elements)


def _by_threads(
    function: Callable[[Any], Any],
    elements: Iterator[Any],
    workers: int,
    grouped: Grouped | None,
    begin: int,
) -> Iterator[Any]:
    size, taken, in_groups = 1, begin, False
    if grouped is not None and begin >= _SINGLE:
        elements = _looked_at(elements, grouped)
        in_groups = grouped.groups
    with ThreadPoolExecutor(workers, thread_name_prefix="cnnrs-data") as pool:
        waiting: deque[Future[tuple[list[Any], Exception | None, float]]] = deque()
        error: Exception | None = None
        try:
            while True:
                while error is None and len(waiting) < workers * (_TASKS_AHEAD + 1):
                    if grouped is not None and taken == _SINGLE:
                        # The first element tells whether there are groups.
                        if waiting:
                            wait([waiting[0]])
                        in_groups = grouped.groups
                    count = size
                    if grouped is not None and taken < _SINGLE:
                        count = min(size, _SINGLE - taken)
                    elif in_groups:
                        count = -(-size // GROUP) * GROUP
                    task: list[Any] = []
                    # What the source raises comes behind the elements that it gave before.
                    try:
                        task.extend(islice(elements, count))
                    except Exception as raised:
                        error = raised
                    if not task:
                        break
                    taken += len(task)
                    waiting.append(pool.submit(_all, function, task, grouped if in_groups else None))
                if not waiting:
                    break
                results, failure, seconds = waiting.popleft().result()
                yield from results
                if failure is not None:
                    raise failure
                if results:
                    each = max(seconds / len(results), 1e-7)
                    size = min(max(int(_TASK_SECONDS / each), 1), _MAX_TASK)
        finally:
            for future in waiting:
                future.cancel()
        if error is not None:
            raise error


def _all(
    function: Callable[[Any], Any], elements: list[Any], grouped: Grouped | None
) -> tuple[list[Any], Exception | None, float]:
    """Results up to the first error, the error, and the time that they took."""
    begin = time.perf_counter()
    results: list[Any] = []
    try:
        for first in range(0, len(elements), GROUP):
            group = elements[first : first + GROUP]
            if grouped is not None and len(group) == GROUP:
                results += grouped.many(group)
                continue
            for element in group:
                results.append(function(element))
    except StopIteration as error:
        failure = RuntimeError("a function of elements raised StopIteration")
        failure.__cause__ = error
        return results, failure, 0.0
    except Exception as error:
        return results, error, 0.0
    return results, None, time.perf_counter() - begin


def ahead(elements: Iterator[Any], count: int) -> Iterator[Any]:
    """Elements, of which a thread takes the next ones meanwhile."""
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="cnnrs-data") as pool:
        waiting = deque(pool.submit(next, elements, end) for _ in range(count))
        try:
            while (element := waiting.popleft().result()) is not end:
                waiting.append(pool.submit(next, elements, end))
                yield element
        finally:
            for future in waiting:
                future.cancel()
