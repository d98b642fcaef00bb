"""Numbers less their mean, divided by their standard deviation."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from cnnrs import config, ops
from cnnrs.base import image_steps
from cnnrs.base.image_steps import Step
from cnnrs.layers.base import Layer

__all__ = ["Normalization"]


class Normalization(Layer):
    """Inputs less a mean, divided by a standard deviation, which are given or measured by `adapt`.

    Args:
        axis: The axes of which each entry has a mean and a variance of its own; None for one of all numbers.
        mean: The mean, a number or an array of the extents of `axis`; None to measure it.
        variance: The variance, likewise.
        invert: Whether to undo that: inputs times the standard deviation, plus the mean.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layer = layers.Normalization(axis=None)
    >>> layer.adapt(np.array([1.0, 3.0]))
    >>> layer(np.array([1.0, 2.0, 3.0])).tolist()
    [-1.0, 0.0, 1.0]
    """

    _batches_lists = True
    _supports_masking = True

    _widens = True

    def __init__(
        self, axis: Any = -1, mean: Any = None, variance: Any = None, invert: bool = False, **kwargs: Any
    ):
        super().__init__(**kwargs)
        axes = () if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
        self.axis = tuple(axes)
        if (mean is None) != (variance is None):
            raise ValueError(
                f"{self.name}: mean, variance: expected both or none, received {mean!r} and {variance!r}"
            )
        if mean is not None and (np.shape(mean) != np.shape(variance) or np.ndim(mean) > len(self.axis)):
            raise ValueError(
                f"{self.name}: mean, variance: expected equal shapes of at most {len(self.axis)} axes, "
                f"received {np.shape(mean)} and {np.shape(variance)}"
            )
        self.input_mean = mean
        self.input_variance = variance
        self.invert = bool(invert)
        self._measured: list[Any] | None = None

    def build(self, input_shape: Any) -> None:
        rank = len(input_shape)
        if any(not -rank <= axis < rank for axis in self.axis):
            raise ValueError(
                f"{self.name}: axis: expected axes from {-rank} to {rank - 1} for inputs of shape "
                f"{tuple(input_shape)}, received {self.axis}"
            )
        self._kept = sorted({axis % rank for axis in self.axis})
        unknown = [axis for axis in self._kept if input_shape[axis] is None]
        if unknown:
            raise ValueError(
                f"{self.name}: axis: expected axes of known extent, but axis {unknown[0]} of shape "
                f"{tuple(input_shape)} is unknown"
            )
        self._input_rank = rank
        shape = tuple(input_shape[axis] for axis in self._kept)
        self._kept_shape = shape
        if self.input_mean is None:
            self.adapt_mean = self.add_weight(name="mean", shape=shape, initializer="zeros", trainable=False)
            self.adapt_variance = self.add_weight(
                name="variance", shape=shape, initializer="ones", trainable=False
            )
            self.count = self.add_weight(
                name="count", shape=(), dtype="int32", initializer="zeros", trainable=False
            )
        else:
            for argument, value in (("mean", self.input_mean), ("variance", self.input_variance)):
                try:
                    np.broadcast_to(np.asarray(value), shape)
                except ValueError:
                    raise ValueError(
                        f"{self.name}: {argument}: expected a shape that fits {shape}, the extents of axes "
                        f"{self.axis}, received {np.shape(value)}"
                    ) from None

    @property
    def mean(self) -> Any:
        """The mean, in a shape that meets inputs; None before the layer is built."""
        return self._statistic("mean")

    @property
    def variance(self) -> Any:
        """The variance, likewise."""
        return self._statistic("variance")

    def _statistic(self, name: str) -> Any:
        if not self.built:
            return None
        shape: list[int] = [1] * self._input_rank
        for axis, extent in zip(self._kept, self._kept_shape, strict=True):
            shape[axis] = extent
        given = getattr(self, f"input_{name}")
        if given is None:
            return ops.reshape(getattr(self, f"adapt_{name}"), shape)
        dtype = "float64" if self.compute_dtype == "float64" else "float32"
        value = np.broadcast_to(np.asarray(given, dtype), self._kept_shape)
        return ops.convert_to_tensor(value.reshape(shape))

    def adapt(self, data: Any) -> None:
        """Measures mean and variance of data, in place of what was measured before.

        Args:
            data: An array, or batches of arrays: a PyDataset, a list, a generator, a data set of another
                library. Of tuples the first entry counts.

        Raises:
            TypeError: The data is none of these.
            ValueError: There are no batches, or their shapes do not fit.
        """
        if self.input_mean is not None:
            raise ValueError(f"{self.name}: adapt: expected a layer without a mean and variance of its own")
        total = np.zeros((), np.float64), np.zeros((), np.float64), 0
        for batch in _batches(self.name, data):
            if not self.built:
                self._build_with(tuple(batch.shape))
            total = self._added(total, batch)
        mean, variance, count = total
        if not count:
            raise ValueError(f"{self.name}: adapt: expected at least one batch, received none")
        self.adapt_mean.assign(mean.astype(self.adapt_mean.dtype))
        self.adapt_variance.assign(variance.astype(self.adapt_variance.dtype))
        self.count.assign(min(count, 2**31 - 1))

    def _added(self, total: Any, batch: Any) -> Any:
        """Mean, variance and count of what was seen, and of a batch (Chan, Golub and LeVeque 1979)."""
        extents = tuple(batch.shape[axis] for axis in self._kept if axis < batch.ndim)
        if batch.ndim != self._input_rank or extents != self._kept_shape:
            raise ValueError(
                f"{self.name}: adapt: expected {self._input_rank} axes with extents {self._kept_shape} at "
                f"axes {tuple(self._kept)}, received shape {tuple(batch.shape)}"
            )
        axes = tuple(axis for axis in range(batch.ndim) if axis not in self._kept)
        mean, variance, count = total
        more = math.prod(batch.shape[axis] for axis in axes)
        if more == 0:
            return total
        batch_mean = batch.mean(axis=axes, dtype=np.float64)
        batch_variance = batch.var(axis=axes, dtype=np.float64)
        share = more / (count + more)
        new = mean * (1.0 - share) + batch_mean * share
        old_part = (variance + (mean - new) ** 2) * (1.0 - share)
        return new, old_part + (batch_variance + (batch_mean - new) ** 2) * share, count + more

    def finalize_state(self) -> None:
        """Nothing: mean and variance are read where they are used. Keras's scripts call it after loading."""

    def _mapped(self, inputs: Any) -> Any:
        """Images of a layer of augmentation in a mapped function, normalised in the same chain; else None."""
        collector = image_steps.current()
        rank = len(inputs.shape)
        of_channels = self._kept in ([], [rank - 1])
        given = self.input_mean is not None and not self.invert and self.compute_dtype != "float64"
        if collector is None or not of_channels or not given or not collector.follows(inputs):
            return None
        mean, variance = (
            np.broadcast_to(np.asarray(value, np.float64), self._kept_shape).ravel()
            for value in (self.input_mean, self.input_variance)
        )
        deviation = np.maximum(np.sqrt(variance), config.epsilon())
        numbers = [mean.size, *mean.tolist(), mean.size, *deviation.tolist()]
        return collector.add(inputs, [Step("standardize", numbers)], False)

    def call(self, inputs: Any) -> Any:
        mapped = self._mapped(inputs)
        if mapped is not None:
            return mapped
        dtype = "float64" if self.compute_dtype == "float64" else "float32"
        x = ops.cast(inputs, dtype)
        deviation = ops.maximum(ops.sqrt(ops.cast(self.variance, dtype)), config.epsilon())
        mean = ops.cast(self.mean, dtype)
        return mean + x * deviation if self.invert else (x - mean) / deviation

    def get_config(self) -> dict[str, Any]:
        given = {"mean": self.input_mean, "variance": self.input_variance}
        plain = {name: None if v is None else np.asarray(v).tolist() for name, v in given.items()}
        return {**super().get_config(), "axis": self.axis, "invert": self.invert, **plain}


def _batches(layer: str, data: Any) -> Iterable[np.ndarray]:
    """The arrays of a data set, each a batch."""
    if hasattr(data, "shape") and hasattr(data, "dtype"):
        yield np.asarray(data.numpy() if hasattr(data, "numpy") else data)
        return
    if not hasattr(data, "__iter__") and not (hasattr(data, "__getitem__") and hasattr(data, "__len__")):
        raise TypeError(
            f"{layer}: adapt: expected an array or batches of arrays, received {type(data).__name__}"
        )
    for entry in data if hasattr(data, "__iter__") else (data[i] for i in range(len(data))):
        batch = entry[0] if isinstance(entry, tuple) else entry
        if not hasattr(batch, "shape"):
            raise TypeError(
                f"{layer}: adapt: expected batches that are arrays, received {type(batch).__name__}"
            )
        yield np.asarray(batch.numpy() if hasattr(batch, "numpy") else batch)
