"""`Dataset`: what yields samples or batches, again and again. Its methods have the names of `tf.data`."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from cnnrs import ops, tree
from cnnrs.base.arguments import integer
from cnnrs.random import draw_seed

__all__ = ["Dataset", "check_format", "split_dataset"]

_WORKERS = 4


def check_format(function: str, format: str) -> None:
    """Raises a ValueError unless `format` is one of Keras's."""
    if format not in ("tf", "grain"):
        raise ValueError(f"{function}: format: expected 'tf' or 'grain', received {format!r}")


class Dataset:
    """Samples or batches that can be gone through many times; `fit`, `evaluate` and `predict` take them.

    Functions such as `utils.image_dataset_from_directory` make it. Each of its methods gives another one.

    Attributes:
        class_names: Of images of a directory: the names of their classes; else None.
        file_paths: Of these: their files; else None.

    Args:
        iterate: Gives an iterator over the elements; called once for each pass.
        length: How many elements there are.

    Example:
        >>> import numpy as np
        >>> from cnnrs import utils
        >>> left, right = utils.split_dataset(np.arange(10), left_size=6)
        >>> [batch.tolist() for batch in left.map(lambda x: x * 2).batch(4)]
        [[0, 2, 4, 6], [8, 10]]
    """

    def __init__(self, iterate: Callable[[], Iterator[Any]], length: int):
        self._iterate = iterate
        self._length = length
        self.class_names: list[str] | None = None
        self.file_paths: list[str] | None = None
        # A random order of this data set, where it has one: its entries by index.
        self._at: Callable[[int], Any] | None = None

    @classmethod
    def of_function(cls, at: Callable[[int], Any], length: int, workers: int = 1) -> Dataset:
        """The samples that a function gives for the indices from 0; threads may prepare them."""
        made = cls(lambda: _in_order(at, range(length), workers), length)
        made._at, made._workers = at, workers
        return made

    _workers = 1

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Any]:
        for element in self._iterate():
            yield tree.map_structure(_as_tensor, element)

    def __repr__(self) -> str:
        return f"<Dataset of {self._length} elements>"

    def cardinality(self) -> Any:
        """The number of elements, as a tensor."""
        return ops.convert_to_tensor(self._length)

    def as_numpy_iterator(self) -> Iterator[Any]:
        """An iterator over the elements as arrays."""
        for element in self._iterate():
            yield tree.map_structure(_as_array, element)

    def map(self, map_func: Callable[..., Any], num_parallel_calls: Any = None) -> Dataset:
        """Each element replaced by what a function makes of it; the parts of a tuple are its arguments.

        Args:
            map_func: The function. It gets tensors, and strings as arrays of numpy.
            num_parallel_calls: More than 1 for as many threads; None and -1 for one.
        """
        workers = num_parallel_calls if isinstance(num_parallel_calls, int) else 1

        def apply(element: Any) -> Any:
            element = tree.map_structure(_as_tensor, element)
            return map_func(*element) if isinstance(element, tuple) else map_func(element)

        return Dataset(lambda: _through(apply, self._iterate(), max(workers, 1)), self._length)

    def batch(self, batch_size: int, drop_remainder: bool = False) -> Dataset:
        """Elements put together by `batch_size`."""
        size = integer(batch_size, "Dataset.batch", "batch_size", least=1)

        def batches() -> Iterator[Any]:
            elements = self._iterate()
            while group := list(itertools.islice(elements, size)):
                if len(group) == size or not drop_remainder:
                    yield tree.map_structure(lambda *parts: np.stack(list(map(_as_array, parts))), *group)

        rounded = self._length // size if drop_remainder else -(-self._length // size)
        return Dataset(batches, rounded)

    def shuffle(
        self, buffer_size: int, seed: int | None = None, reshuffle_each_iteration: bool | None = None
    ) -> Dataset:
        """Elements in random order, another one for each pass.

        Args:
            buffer_size: How many elements are held to draw from, where they come one after another.
            seed: Of the order; None draws one.
            reshuffle_each_iteration: Whether the order changes; None means that it does.
        """
        seed = draw_seed() if seed is None else seed
        passes = itertools.count()
        size = integer(buffer_size, "Dataset.shuffle", "buffer_size", least=0)

        def shuffled() -> Iterator[Any]:
            turn = 0 if reshuffle_each_iteration is False else next(passes)
            rng = np.random.default_rng([seed, turn])
            if self._at is not None:
                return _in_order(self._at, rng.permutation(self._length), self._workers)
            return _drawn(self._iterate(), max(size, 1), rng)

        return Dataset(shuffled, self._length)

    def take(self, count: int) -> Dataset:
        """The first elements."""
        length = self._length if count < 0 else min(count, self._length)
        return Dataset(lambda: itertools.islice(self._iterate(), length), length)

    def skip(self, count: int) -> Dataset:
        """What comes behind the first elements."""
        start = min(max(count, 0), self._length)
        return Dataset(lambda: itertools.islice(self._iterate(), start, None), self._length - start)

    def cache(self) -> Dataset:
        """The elements, kept in memory from the first whole pass on."""
        kept: list[Any] = []

        def cached() -> Iterator[Any]:
            if kept:
                yield from kept
                return
            seen = []
            for element in self._iterate():
                seen.append(element)
                yield element
            kept[:] = seen

        return Dataset(cached, self._length)

    def prefetch(self, buffer_size: int) -> Dataset:
        """The same elements, of which a thread prepares the next ones: `buffer_size`, or 2 for -1."""
        ahead = 2 if buffer_size < 0 else buffer_size
        if not ahead:
            return self
        return Dataset(lambda: _ahead(self._iterate(), ahead), self._length)


def _as_tensor(value: Any) -> Any:
    """Numbers as a tensor; strings, which tensors do not hold, as they are."""
    is_array = isinstance(value, (np.ndarray, np.generic))
    return ops.convert_to_tensor(value) if is_array and value.dtype.kind not in "OSTU" else value


def _as_array(value: Any) -> Any:
    return value.numpy() if hasattr(value, "numpy") else np.asarray(value)


def _in_order(at: Callable[[int], Any], order: Any, workers: int) -> Iterator[Any]:
    return _through(lambda index: at(int(index)), iter(order), workers)


def _through(function: Callable[[Any], Any], elements: Iterator[Any], workers: int) -> Iterator[Any]:
    """A function of elements, computed some elements ahead if there are several workers."""
    if workers == 1:
        # A loop, for `map` would end where the function raises StopIteration.
        for element in elements:
            yield function(element)
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Any]] = deque()
        try:
            for element in elements:
                waiting.append(pool.submit(function, element))
                if len(waiting) > 4 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _ahead(elements: Iterator[Any], count: int) -> Iterator[Any]:
    """Elements, of which a thread takes the next ones meanwhile."""
    end = object()
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(next, elements, end) for _ in range(count))
        try:
            while (element := waiting.popleft().result()) is not end:
                waiting.append(pool.submit(next, elements, end))
                yield element
        finally:
            for future in waiting:
                future.cancel()


def _drawn(elements: Iterator[Any], size: int, rng: np.random.Generator) -> Iterator[Any]:
    """Elements, drawn from some that are held."""
    held: list[Any] = []
    for element in elements:
        if len(held) < size:
            held.append(element)
            continue
        place = int(rng.integers(size))
        yield held[place]
        held[place] = element
    rng.shuffle(held)
    yield from held


def _samples(dataset: Any) -> list[Any]:
    """The samples of arrays or of a data set."""
    if isinstance(dataset, Dataset):
        return list(dataset.as_numpy_iterator())
    if isinstance(dataset, np.ndarray) or hasattr(dataset, "numpy"):
        return list(_as_array(dataset))
    if isinstance(dataset, (list, tuple)) and dataset:
        arrays = [_as_array(part) for part in dataset]
        if any(array.ndim == 0 for array in arrays):
            raise TypeError(f"split_dataset: dataset: expected arrays in a sequence, received {dataset!r}")
        if len({len(array) for array in arrays}) > 1:
            raise ValueError(
                "split_dataset: dataset: expected arrays of one length, "
                f"received {[len(array) for array in arrays]}"
            )
        return list(zip(*arrays, strict=True))
    if hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__") and not isinstance(dataset, dict):
        return [dataset[i] for i in range(len(dataset))]
    raise TypeError(
        f"split_dataset: dataset: expected arrays or a data set, received {type(dataset).__name__}"
    )


def split_dataset(
    dataset: Any,
    left_size: float | None = None,
    right_size: float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[Dataset, Dataset]:
    """Splits samples into two data sets.

    Args:
        dataset: An array, a list or tuple of arrays whose entries belong together, or a data set: a
            `Dataset`, or what has an index and a length.
        left_size: How many samples the first one gets, or which part of them; None for the rest.
        right_size: The same of the second one.
        shuffle: Whether the samples are brought to a random order first.
        seed: Of this order; None draws one.
        preferred_backend: None; there is one kind of data set.

    Returns:
        Two `Dataset`s of single samples.

    Raises:
        TypeError: `dataset` is none of these, or a size is no number.
        ValueError: The sizes do not fit the number of samples.

    Example:
        >>> import numpy as np
        >>> from cnnrs import utils
        >>> left, right = utils.split_dataset(np.arange(10), right_size=0.3)
        >>> len(left), [int(x) for x in right]
        (7, [7, 8, 9])
    """
    if preferred_backend is not None:
        raise ValueError(f"split_dataset: preferred_backend: expected None, received {preferred_backend!r}")
    samples = _samples(dataset)
    total = len(samples)
    sizes = [
        _size(total, name, size) for name, size in (("left_size", left_size), ("right_size", right_size))
    ]
    if sizes == [None, None]:
        raise ValueError("split_dataset: left_size, right_size: expected at least one of them")
    left = total - (sizes[1] or 0) if sizes[0] is None else sizes[0]
    right = total - left if sizes[1] is None else sizes[1]
    if left + right > total or left <= 0 or right <= 0:
        raise ValueError(
            f"split_dataset: left_size, right_size: expected two parts of {total} samples, "
            f"received {left_size} and {right_size}"
        )
    if shuffle:
        order = np.random.default_rng(draw_seed() if seed is None else seed).permutation(total)
        samples = [samples[i] for i in order]
    parts = samples[:left], samples[total - right :]
    first, second = (Dataset.of_function(part.__getitem__, len(part)) for part in parts)
    return first, second


def _size(total: int, name: str, size: Any) -> int | None:
    if size is None:
        return None
    if isinstance(size, bool) or not isinstance(size, (int, float)):
        raise TypeError(
            f"split_dataset: {name}: expected an integer or a number from 0 to 1, received {size!r}"
        )
    if not 0 < size <= total or (isinstance(size, float) and size >= 1):
        raise ValueError(
            f"split_dataset: {name}: expected 1 to {total} samples, or a part between 0 and 1, "
            f"received {size!r}"
        )
    return round(size * total) if isinstance(size, float) else size
