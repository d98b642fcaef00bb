"""What `fit`, `evaluate` and `predict` accept as data, as batches of arrays."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from cnnrs import tree
from cnnrs.base.arguments import number

__all__ = [
    "ArrayData",
    "BatchData",
    "PyDataset",
    "make_data",
    "pack_x_y_sample_weight",
    "unpack_x_y_sample_weight",
]


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """`(x, y, sample_weight)` of what a step is given, None where something is missing.

    >>> unpack_x_y_sample_weight((1, 2))
    (1, 2, None)
    """
    if isinstance(data, list):
        data = tuple(data)
    if not isinstance(data, tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(f"expected x, (x, y) or (x, y, sample_weight), received {len(data)} elements")
    return (*data, None, None)[:3]


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """The inverse of `unpack_x_y_sample_weight`.

    >>> pack_x_y_sample_weight(1, 2)
    (1, 2)
    """
    if y is None:
        return x if not isinstance(x, (list, tuple)) else (x,)
    return (x, y) if sample_weight is None else (x, y, sample_weight)


class PyDataset:
    """Batches by index: a subclass defines `__getitem__(index)` and `__len__`.

    Args:
        workers: How many threads prepare batches.
        use_multiprocessing: False; threads do the work.
        max_queue_size: How many batches are prepared ahead.
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10):
        if use_multiprocessing:
            raise ValueError("PyDataset: use_multiprocessing: expected False; workers are threads")
        if workers < 1 or max_queue_size < 1:
            raise ValueError(f"PyDataset: expected workers and max_queue_size >= 1, received {workers}")
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__}: expected the class to define __getitem__(index)")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__}: expected the class to define __len__()")

    @property
    def num_batches(self) -> int | None:
        """How many batches there are; None without end."""
        return len(self)

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch."""


def as_array(value: Any, name: str) -> np.ndarray:
    """An array of float32, int32, int64, uint8 or bool with at least one axis.

    Raises:
        TypeError: It holds something else.
        ValueError: It has no axis, or rows of different lengths.
    """
    if hasattr(value, "numpy") and not isinstance(value, np.ndarray):
        value = value.numpy()
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name}: expected rows of equal shape: {error}") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: expected numbers or booleans, received dtype {array.dtype}")
    if array.ndim == 0:
        raise ValueError(f"{name}: expected an array of samples, received a scalar")
    if array.dtype.kind == "f" and array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float32)
    elif array.dtype.kind in "iu" and array.dtype not in (np.int32, np.int64, np.uint8):
        array = array.astype(np.int64)
    if array.dtype == np.int64 and array.size:
        for extreme in (array.min(), array.max()):
            if not -(2**31) <= extreme < 2**31:
                raise ValueError(f"{name}: expected integers within int32, received {extreme}")
    return array


def core_dtype(array: np.ndarray) -> str:
    """The element type that an array has in the core."""
    if array.dtype.kind == "f":
        return "float32"
    return array.dtype.name if array.dtype in (np.uint8, np.bool_) else "int32"


def _check_class_weight(class_weight: Any) -> dict[int, float]:
    """Weights by class.

    Raises:
        TypeError: It is no dict.
        ValueError: A class is no integer, or a weight no number.
    """
    if not isinstance(class_weight, dict):
        raise TypeError(f"class_weight: expected a dict of weights by class, received {class_weight!r}")
    table: dict[int, float] = {}
    for key, value in class_weight.items():
        if not isinstance(key, (int, np.integer)):
            raise ValueError(f"class_weight: expected integers as keys, received {key!r}: {value!r}")
        table[int(key)] = number(value, "class_weight", f"class {key}")
    return table


def class_weights(y: Any, sample_weight: Any, table: dict[int, float]) -> np.ndarray:
    """A weight for each sample, by its class: an index or a one-hot row. Classes without a weight have 1.

    Raises:
        ValueError: There are no targets or several, or samples have weights of their own.
    """
    if sample_weight is not None:
        raise ValueError("class_weight: expected None together with sample_weight")
    if y is None:
        raise ValueError("class_weight: expected targets y, received None")
    if tree.is_nested(y):
        raise ValueError("class_weight: expected a model with one output, received several targets")
    labels = y.argmax(-1) if y.ndim > 1 and y.shape[-1] > 1 else np.round(y.reshape(len(y)))
    classes, indices = np.unique(labels.astype(np.int64), return_inverse=True)
    weights = np.array([table.get(int(c), 1.0) for c in classes], np.float32)
    return weights[indices.reshape(labels.shape)]


class ArrayData:
    """Arrays whose rows are samples.

    Attributes:
        structure: `(x, y, sample_weight)` with arrays at the leaves, None where something is missing.
        arrays: The leaves, contiguous.
        size: Number of samples.
        batch_size: Samples of a batch.
        num_batches: Batches of a pass over the samples; the last one may be short.

    Args:
        x: Samples.
        y: Targets.
        sample_weight: Weights of samples.
        batch_size: Samples of a batch; None for 32, or for what makes `steps` batches.
        steps: Batches of an epoch, if they are given.
    """

    def __init__(self, x: Any, y: Any, sample_weight: Any, batch_size: int | None, steps: int | None = None):
        x = _arrays(x, "x")
        y = None if y is None else _arrays(y, "y")
        sample_weight = None if sample_weight is None else _arrays(sample_weight, "sample_weight")
        self.structure = (x, y, sample_weight)
        named = [("x", a) for a in tree.flatten(x)]
        named += [("y", a) for a in tree.flatten(y) if a is not None]
        named += [("sample_weight", a) for a in tree.flatten(sample_weight) if a is not None]
        self.names = [name for name, _ in named]
        self.arrays = [np.ascontiguousarray(a) for _, a in named]
        sizes = {len(a) for a in self.arrays}
        if len(sizes) > 1:
            found = ", ".join(f"{name}: {len(a)}" for name, a in named)
            raise ValueError(f"expected as many samples in x, y and sample_weight, received {found}")
        if not sizes:
            raise ValueError("x: expected at least one array, received none")
        (self.size,) = sizes
        if self.size == 0:
            raise ValueError("x: expected at least one sample, received an empty array")
        self._batch_size_given = batch_size
        if batch_size is None:
            self.batch_size = 32 if steps is None else -(-self.size // steps)
        else:
            self.batch_size = _check_batch_size(batch_size)
        self.num_batches: int | None = -(-self.size // self.batch_size)

    def with_class_weight(self, class_weight: Any) -> ArrayData:
        """The same samples with weights by their classes."""
        x, y, sample_weight = self.structure
        weights = class_weights(y, sample_weight, _check_class_weight(class_weight))
        return ArrayData(x, y, weights, self.batch_size)

    def split(
        self, fraction: float, steps: int | None, batch_size: int | None, validation_steps: int | None
    ) -> tuple[ArrayData, ArrayData]:
        """The first rows, and the last ones: `fraction` of all.

        Args:
            fraction: The part to validate on.
            steps: Batches of an epoch of the first part, if they are given.
            batch_size: Samples of a batch of the last part, if they differ.
            validation_steps: Batches of the last part, if they are given.

        Raises:
            ValueError: One of the parts would be empty.
        """
        if not 0 < fraction < 1:
            raise ValueError(f"validation_split: expected a number between 0 and 1, received {fraction}")
        cut = math.floor(self.size * (1.0 - fraction))
        if cut == 0 or cut == self.size:
            raise ValueError(f"validation_split: {fraction} of {self.size} samples leaves one part empty")

        def part(rows: slice, batch_size: int | None, steps: int | None) -> ArrayData:
            x, y, weight = (
                tree.map_structure(lambda a: None if a is None else a[rows], p) for p in self.structure
            )
            return ArrayData(x, y, weight, batch_size, steps)

        given = self._batch_size_given
        return (
            part(slice(None, cut), given, steps),
            part(slice(cut, None), batch_size or given, validation_steps),
        )


def _arrays(structure: Any, name: str) -> Any:
    if isinstance(structure, dict):
        return {key: _arrays(value, f"{name}[{key!r}]") for key, value in structure.items()}
    if isinstance(structure, (list, tuple)) and structure and _is_array_list(structure):
        return [_arrays(value, f"{name}[{i}]") for i, value in enumerate(structure)]
    return None if structure is None else as_array(structure, name)


def _is_array_list(structure: Any) -> bool:
    return all(hasattr(item, "shape") and len(item.shape) > 0 for item in structure if item is not None)


def _check_batch_size(batch_size: int) -> int:
    if isinstance(batch_size, bool) or not hasattr(batch_size, "__index__") or batch_size.__index__() < 1:
        raise ValueError(f"batch_size: expected an integer >= 1, received {batch_size!r}")
    return batch_size.__index__()


class BatchData:
    """An iterable of batches `x`, `(x, y)` or `(x, y, sample_weight)`: a generator, list, loader, PyDataset.

    Attributes:
        num_batches: Batches of an epoch, None if it is known only at the end.
    """

    def __init__(self, source: Any):
        self.source = source
        self.class_weight: dict[int, float] | None = None
        self.is_dataset = isinstance(source, PyDataset)
        self.once = iter(source) is source if not self.is_dataset else False
        self.num_batches: int | None = None
        if self.is_dataset:
            self.num_batches = source.num_batches
        elif hasattr(source, "__len__"):
            self.num_batches = len(source)

    def with_class_weight(self, class_weight: Any) -> BatchData:
        """The same batches with weights by the classes of samples."""
        self.class_weight = _check_class_weight(class_weight)
        return self

    def epoch(self, order: np.ndarray | None = None) -> Iterator[Any]:
        """The batches of an epoch, as `(x, y, sample_weight)` with arrays at the leaves."""
        for batch in self._indexed(order) if self.is_dataset else self.source:
            yield self._standardize(batch)

    def end_epoch(self) -> None:
        """Tells the source, if it is a PyDataset."""
        if self.is_dataset:
            self.source.on_epoch_end()

    def _standardize(self, batch: Any) -> tuple[Any, Any, Any]:
        x, y, weight = unpack_x_y_sample_weight(batch)
        x, y = _arrays(x, "x"), None if y is None else _arrays(y, "y")
        if self.class_weight is not None:
            weight = class_weights(y, weight, self.class_weight)
        return x, y, None if weight is None else _arrays(weight, "sample_weight")

    def _indexed(self, order: np.ndarray | None) -> Iterator[Any]:
        source = self.source
        source.on_epoch_begin()
        count = source.num_batches
        if count is None:
            indices: Iterator[int] = itertools.count()
        else:
            indices = iter(range(count) if order is None else order.tolist())
        if source.workers == 1:
            for index in indices:
                yield source[index]
        else:
            yield from self._prefetch(indices)

    def _prefetch(self, indices: Iterator[int]) -> Iterator[Any]:
        with ThreadPoolExecutor(self.source.workers) as pool:
            queue: list[Future[Any]] = []
            for index in itertools.islice(indices, self.source.max_queue_size):
                queue.append(pool.submit(self.source.__getitem__, index))
            try:
                while queue:
                    batch = queue.pop(0).result()
                    for index in itertools.islice(indices, 1):
                        queue.append(pool.submit(self.source.__getitem__, index))
                    yield batch
            finally:
                for future in queue:
                    future.cancel()


def make_data(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    batch_size: int | None = None,
    steps: int | None = None,
) -> ArrayData | BatchData:
    """Arrays or batches, whichever `x` is.

    Args:
        x: Arrays, or what yields batches.
        y: Targets, if x is arrays.
        sample_weight: Weights of samples, if x is arrays.
        batch_size: Samples of a batch, if x is arrays; None for 32, or for what makes `steps` batches.
        steps: Batches of an epoch, if they are given.

    Raises:
        TypeError: `x` is neither.
        ValueError: `y` or `sample_weight` is given together with batches that hold their own.
    """
    if x is None:
        raise ValueError("x: expected arrays or batches, received None")
    if isinstance(x, PyDataset) or (hasattr(x, "__iter__") and not _is_arrays(x)):
        for argument, value in (("y", y), ("sample_weight", sample_weight)):
            if value is not None:
                raise ValueError(f"{argument}: expected None, for x yields batches that hold it")
        if batch_size is not None and not hasattr(x, "batch_size"):
            raise ValueError(f"batch_size: expected None, for x yields batches; received {batch_size}")
        return BatchData(x)
    return ArrayData(x, y, sample_weight, batch_size, steps)


def _is_arrays(x: Any) -> bool:
    """Whether `x` is an array or a structure of arrays, not something that yields batches."""
    if hasattr(x, "shape") or isinstance(x, dict):
        return True
    if not isinstance(x, (list, tuple)) or not x:
        return isinstance(x, (list, tuple))
    # A list of tuples is a list of batches; lists of arrays or numbers are data.
    return not isinstance(x[0], tuple)
