"""Threads that prepare elements ahead, without changing their order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, NamedTuple

__all__ = ["Failure", "ahead", "attempted", "through"]

# How long a task of a thread should take: much longer than handing it over.
_TASK_SECONDS = 1e-3
_MAX_TASK = 64
# Tasks of each thread that are waiting or done ahead.
_TASKS_AHEAD = 2


class Failure(NamedTuple):
    """What `attempted` gives in the place of an element for which the function raised."""

    error: Exception


def attempted(function: Callable[[Any], Any], elements: Iterator[Any], workers: int) -> Iterator[Any]:
    """As `through`, with a `Failure` where the function raises an error."""

    def attempt(element: Any) -> Any:
        try:
            return function(element)
        except Exception as error:
            return Failure(error)

    return through(attempt, elements, workers)


def through(function: Callable[[Any], Any], elements: Iterator[Any], workers: int) -> Iterator[Any]:
    """A function of elements, in their order; several workers compute some elements ahead."""
    if workers == 1:
        # A loop, for `map` would end where the function raises StopIteration.
        for element in elements:
            yield function(element)
        return
    size = 1
    with ThreadPoolExecutor(workers, thread_name_prefix="cnnrs-data") as pool:
        waiting: deque[Future[tuple[list[Any], Exception | None, float]]] = deque()
        error: Exception | None = None
        try:
            while True:
                while error is None and len(waiting) < workers * (_TASKS_AHEAD + 1):
                    task: list[Any] = []
                    # What the source raises comes behind the elements that it gave before.
                    try:
                        task.extend(islice(elements, size))
                    except Exception as raised:
                        error = raised
                    if not task:
                        break
                    waiting.append(pool.submit(_all, function, task))
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


def _all(function: Callable[[Any], Any], elements: list[Any]) -> tuple[list[Any], Exception | None, float]:
    """Results up to the first error, the error, and the time that they took."""
    begin = time.perf_counter()
    results = []
    for element in elements:
        try:
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
