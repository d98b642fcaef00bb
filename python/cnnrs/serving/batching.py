"""`Batcher`: images of many requests computed together."""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple

import numpy as np

from cnnrs.base.arguments import integer, number

__all__ = ["Batcher", "QueueFull"]


class QueueFull(Exception):
    """As many images wait as may."""


class _Item(NamedTuple):
    image: np.ndarray
    future: Future[np.ndarray]
    since: float


def padded_size(count: int, most: int) -> int:
    """The size of the batch that so many images are computed in: few sizes need few plans.

    >>> [padded_size(n, 24) for n in (1, 2, 3, 5, 17, 24)]
    [1, 2, 4, 8, 24, 24]
    """
    return min(1 << (count - 1).bit_length(), most)


class Batcher:
    """Computes images as they come, as many at once as wait, in one thread.

    A batch begins when `max_batch` images wait, or when the oldest one has waited for `wait_seconds`; while
    the network computes, those that come are the next batch. Batches are filled up to powers of two with
    images that nobody asked for, so that a network has few plans.

    Args:
        compute: From images of shape (n, …) to their scores, (n, …).
        max_batch: Images of a batch.
        wait_seconds: How long an image waits for others.
        queue: How many images wait at most.
        observe: Called after each batch with its images, and with its seconds.

    >>> with Batcher(lambda images: images.sum(1), max_batch=4) as batcher:
    ...     futures = [batcher.submit(np.full(3, value)) for value in range(5)]
    ...     [int(future.result()) for future in futures]
    [0, 3, 6, 9, 12]
    """

    def __init__(
        self,
        compute: Callable[[np.ndarray], np.ndarray],
        max_batch: int = 32,
        wait_seconds: float = 0.002,
        queue: int = 256,
        observe: Callable[[int, float], None] | None = None,
    ):
        self._compute, self._observe = compute, observe
        self.max_batch = integer(max_batch, self, "max_batch", least=1)
        self._wait = number(wait_seconds, self, "wait_seconds", least=0)
        self._limit = integer(queue, self, "queue", least=1)
        self._items: collections.deque[_Item] = collections.deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> Batcher:
        """Starts the thread."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="cnnrs-batcher", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Computes what waits, and ends the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Batcher:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def waiting(self) -> int:
        """Images that wait."""
        return len(self._items)

    def submit(self, image: np.ndarray) -> Future[np.ndarray]:
        """Asks for the scores of an image.

        Args:
            image: Without the axis of samples.

        Raises:
            QueueFull: As many wait as may.
        """
        return self.submit_all([image])[0]

    def submit_all(self, images: list[np.ndarray]) -> list[Future[np.ndarray]]:
        """Asks for the scores of some images: of all, or, where they do not fit into the queue, of none.

        Args:
            images: Each without the axis of samples.

        Raises:
            QueueFull: More would wait than may.
        """
        now = time.monotonic()
        items = [_Item(image, Future(), now) for image in images]
        with self._changed:
            if len(self._items) + len(items) > self._limit:
                # Those of requests that have been given up need no place.
                self._items = collections.deque(i for i in self._items if not i.future.cancelled())
            if self._stopping or len(self._items) + len(items) > self._limit:
                raise QueueFull(f"{len(self._items)} images wait, at most {self._limit} may")
            self._items.extend(items)
            self._changed.notify()
        return [item.future for item in items]

    def _next(self) -> list[_Item] | None:
        """The images of the next batch; None at the end."""
        with self._changed:
            while not self._items and not self._stopping:
                self._changed.wait()
            if not self._items:
                return None
            end = self._items[0].since + self._wait
            while len(self._items) < self.max_batch and not self._stopping:
                left = end - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            count = min(len(self._items), self.max_batch)
            return [self._items.popleft() for _ in range(count)]

    def _run(self) -> None:
        while (items := self._next()) is not None:
            # Whoever has gone away in the meantime gets nothing computed.
            wanted = [item for item in items if item.future.set_running_or_notify_cancel()]
            if wanted:
                self._batch(wanted)

    def _batch(self, items: list[_Item]) -> None:
        start = time.perf_counter()
        try:
            images = [item.image for item in items]
            images += [images[0]] * (padded_size(len(items), self.max_batch) - len(items))
            scores: Any = self._compute(np.stack(images))
        except BaseException as error:
            for item in items:
                item.future.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        finally:
            if self._observe is not None:
                self._observe(len(items), time.perf_counter() - start)
        for item, row in zip(items, scores, strict=False):
            item.future.set_result(row)
