"""What `fit`, `evaluate` and `predict` accept as data: arrays, or what yields batches of arrays."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from itertools import islice
from operator import itemgetter
from typing import Any

import numpy as np

from cnnrs.data import INFINITE_CARDINALITY, Dataset
from cnnrs.training.py_dataset import PyDataset, batches_of
from cnnrs.training.samples import (
    Samples,
    as_arrays,
    as_class_weights,
    class_weights,
    leaves,
    map_samples,
    names,
    unpack_x_y_sample_weight,
)

__all__ = ["ArrayData", "BatchData", "make_data", "make_fit_data"]


class ArrayData:
    """Arrays whose rows are samples.

    Attributes:
        samples: All samples.
        arrays: The leaves of `samples`, contiguous.
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
        self.samples = samples = _as_samples(x, y, sample_weight)
        if samples[0] is None:
            raise ValueError("x: expected arrays, received None")
        self.arrays = [np.ascontiguousarray(a) for a in leaves(samples)]
        sizes = {len(a) for a in self.arrays}
        if len(sizes) > 1:
            pairs = zip(names(samples), self.arrays, strict=True)
            found = ", ".join(f"{name}: {len(a)}" for name, a in pairs)
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
        x, y, sample_weight = self.samples
        weights = class_weights(y, sample_weight, as_class_weights(class_weight))
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
            return ArrayData(*map_samples(itemgetter(rows), self.samples), batch_size, steps)

        given = self._batch_size_given
        return (
            part(slice(None, cut), given, steps),
            part(slice(cut, None), batch_size or given, validation_steps),
        )


def _as_samples(x: Any, y: Any, sample_weight: Any) -> Samples:
    return as_arrays(x, "x"), as_arrays(y, "y"), as_arrays(sample_weight, "sample_weight")


def _check_batch_size(batch_size: int) -> int:
    if isinstance(batch_size, bool) or not hasattr(batch_size, "__index__") or batch_size.__index__() < 1:
        raise ValueError(f"batch_size: expected an integer >= 1, received {batch_size!r}")
    return batch_size.__index__()


class BatchData:
    """An iterable of batches `x`, `(x, y)` or `(x, y, sample_weight)`: a generator, list, loader, data set.

    Attributes:
        num_batches: Batches of an epoch, None if it is known only at the end.
        endless: Whether the source says that it has no end.
        once: Whether the source can be gone through only once.
        goes_on: Whether an epoch of fewer steps than there are batches leaves the others to the next one.
    """

    def __init__(self, source: Any):
        self.source = source
        self.class_weight: dict[int, float] | None = None
        self.is_dataset = isinstance(source, PyDataset)
        is_pipeline = isinstance(source, Dataset)
        self.once = iter(source) is source if not (self.is_dataset or is_pipeline) else False
        self.num_batches: int | None = source.num_batches if self.is_dataset else _length(source)
        self.endless = self.is_dataset and self.num_batches is None
        self.goes_on = self.once or is_pipeline
        if isinstance(source, Dataset):
            self.endless = int(source.cardinality()) == INFINITE_CARDINALITY

    def with_class_weight(self, class_weight: Any) -> BatchData:
        """The same batches with weights by the classes of samples."""
        self.class_weight = as_class_weights(class_weight)
        return self

    def state(self) -> Any:
        """What the next pass depends on, if the source is a data set; else None."""
        return self.source.state()["passes"] if isinstance(self.source, Dataset) else None

    def restore(self, state: Any) -> None:
        """Makes the next pass of a data set the one that `state` was about.

        Raises:
            ValueError: The source is no such data set.
        """
        if not isinstance(self.source, Dataset):
            raise ValueError(
                f"x: expected a data set, as when training was interrupted, received {self.source!r}"
            )
        self.source._restore_passes(state)

    def epoch(self, order: np.ndarray | None = None, first: int = 0) -> Iterator[Samples]:
        """The batches of an epoch.

        Args:
            order: Of a PyDataset, the indices of the batches in their order.
            first: How many batches are left out. A data set and a PyDataset need not prepare them.
        """
        source: Any = self.source
        if isinstance(source, Dataset):
            # Batches go into the step as arrays: no tensors are made of them before.
            source = source._numpy_at(first)
        elif self.is_dataset:
            source = batches_of(source, order, first)
        elif first:
            source = islice(source, first, None)
        for batch in source:
            x, y, weight = unpack_x_y_sample_weight(batch)
            try:
                x, y = as_arrays(x, "x"), as_arrays(y, "y")
            except ValueError as error:
                if isinstance(self.source, Dataset) and "received a scalar" in str(error):
                    raise ValueError(f"{error}; a data set is to give batches: say .batch(32)") from None
                raise
            if self.class_weight is not None:
                weight = class_weights(y, weight, self.class_weight)
            yield x, y, as_arrays(weight, "sample_weight")

    def end_epoch(self) -> None:
        """Tells the source, if it is a PyDataset."""
        if self.is_dataset:
            self.source.on_epoch_end()


def _length(source: Any) -> int | None:
    try:
        return len(source)
    except TypeError:  # also of loaders that do not know how much there will be
        return None


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
        batch_size: Samples of a batch, if x is arrays; None for 32, or for what makes `steps` batches. Beside
            what yields batches it has no effect, which a warning says.
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
            # Keras does not look at it. Scripts that pass it run, and are told that it has no effect.
            warnings.warn(
                f"batch_size={batch_size} has no effect: x yields batches, which are taken as they are",
                stacklevel=3,
            )
        data = BatchData(x)
        if data.endless and steps is None:
            raise ValueError(
                f"{type(x).__name__} says that it has no end{_endless_by(x)}: expected the number "
                "of steps of an epoch: steps_per_epoch and validation_steps of fit, steps of evaluate"
            )
        return data
    return ArrayData(x, y, sample_weight, batch_size, steps)


def _endless_by(x: Any) -> str:
    return " (num_batches is None)" if isinstance(x, PyDataset) else ""


def _is_arrays(x: Any) -> bool:
    """Whether `x` is an array or a structure of arrays, not something that yields batches."""
    if hasattr(x, "shape") or isinstance(x, dict):
        return True
    if not isinstance(x, (list, tuple)) or not x:
        return isinstance(x, (list, tuple))
    # A list of tuples is a list of batches; lists of arrays or numbers are data.
    return not isinstance(x[0], tuple)


def make_fit_data(
    x: Any,
    y: Any,
    sample_weight: Any,
    batch_size: int | None,
    steps: int | None,
    *,
    class_weight: Any,
    validation_data: Any,
    validation_split: float,
    validation_steps: int | None,
    validation_batch_size: int | None,
) -> tuple[ArrayData | BatchData, ArrayData | BatchData | None]:
    """What `fit` trains on, and what it validates on; the arguments are those of `fit`.

    Raises:
        TypeError: Something is neither arrays nor batches.
        ValueError: Arguments do not fit together; the message names what was meant to be validated on.
    """
    data = make_data(x, y, sample_weight, batch_size, steps)
    validation: ArrayData | BatchData | None = None
    if validation_data is not None:
        vx, vy, vw = _unpack_validation(validation_data)
        size = validation_batch_size or (batch_size if vy is not None else None)
        try:
            validation = make_data(vx, vy, vw, size, validation_steps)
        except (TypeError, ValueError) as error:
            raise type(error)(f"validation_data: {error}") from None
    elif validation_split:
        if not isinstance(data, ArrayData):
            raise ValueError("validation_split: expected x to be arrays")
        data, validation = data.split(validation_split, steps, validation_batch_size, validation_steps)
    # After the split: what is validated on is not weighted by class.
    if class_weight is not None:
        data = data.with_class_weight(class_weight)
    return data, validation


def _unpack_validation(data: Any) -> Samples:
    # A list of tuples is a list of batches; in a tuple, x may be one of several inputs.
    batches = isinstance(data, list) and bool(data) and isinstance(data[0], tuple)
    if isinstance(data, (tuple, list)) and 1 <= len(data) <= 3 and not batches:
        return unpack_x_y_sample_weight(tuple(data))
    return data, None, None
