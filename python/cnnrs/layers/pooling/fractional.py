"""Pooling by factors that are no integers, over windows whose sizes change from place to place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.base.arguments import flag, number
from cnnrs.layers.base import Layer
from cnnrs.layers.input_spec import InputSpec
from cnnrs.ops import raw
from cnnrs.ops.spatial import image_data_format
from cnnrs.random import SeedGenerator

# Half of the area in each step.
_ROOT = math.sqrt(2.0)

__all__ = ["FractionalAveragePooling2D", "FractionalMaxPooling2D"]


class _FractionalPooling(Layer):
    """Windows that begin and end where a sequence of integers with steps of two neighbouring sizes says."""

    _widens = True

    def __init__(
        self,
        pool_ratio: Any = _ROOT,
        overlapping: bool = True,
        pseudo_random: bool = True,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        given = pool_ratio if isinstance(pool_ratio, (list, tuple)) else (pool_ratio, pool_ratio)
        if len(given) != 2:
            raise ValueError(f"{self.name}: pool_ratio: expected a number or a pair, received {pool_ratio!r}")
        self.pool_ratio = tuple(number(ratio, self.name, "pool_ratio", least=1) for ratio in given)
        self.overlapping = flag(overlapping, self.name, "overlapping")
        self.pseudo_random = flag(pseudo_random, self.name, "pseudo_random")
        self.data_format = image_data_format(data_format, self.name)
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)
        self.input_spec = InputSpec(ndim=4)
        self._build_at_init()

    def call(self, inputs: Any, training: Any = False) -> Any:
        axes = (1, 2) if self.data_format == "channels_last" else (2, 3)
        outputs = inputs
        for axis, ratio in zip(axes, self.pool_ratio, strict=True):
            extent = inputs.shape[axis]
            if extent < ratio:
                raise ValueError(
                    f"{self.name}: pool_ratio: expected at most the {extent} pixels of axis {axis}, received "
                    f"{ratio:g}, of which no window is left"
                )
            many = int(extent / ratio)
            if extent != many:
                bounds = self._drawn(extent, many) if training else _bounds(extent, many, extent // 2)
                outputs = self._pooled(outputs, axis, bounds, extent, many)
        return outputs

    def _drawn(self, extent: int, many: int) -> tuple[Any, Any]:
        """Where windows begin, and where those behind them do, by a draw."""
        key = self.seed_generator.next()
        if self.pseudo_random:
            draw = ops.cast(raw.random_uniform(key, shape=[1]) * float(extent), "int32")
            return _bounds(extent, many, ops.minimum(draw, extent - 1))
        least, larger = divmod(extent, many)
        order = ops.argsort(raw.random_uniform(key, shape=[many]))
        stops = ops.cumsum(least + ops.cast(ops.less(order, larger), "int32"))
        return ops.concatenate([ops.zeros((1,), "int32"), stops[:-1]]), stops

    def _pooled(self, x: Any, axis: int, bounds: tuple[Any, Any], extent: int, many: int) -> Any:
        """`x` with the windows of one axis reduced."""
        starts, stops = bounds
        return self._reduced(x, axis, starts, ops.minimum(stops - 1 + int(self.overlapping), extent - 1))

    def _reduced(self, x: Any, axis: int, starts: Any, lasts: Any) -> Any:
        """`x` with windows from `starts` to `lasts`, both included, reduced."""
        raise NotImplementedError(f"{type(self).__name__}: expected the class to define _reduced()")

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pool_ratio": self.pool_ratio,
            "overlapping": self.overlapping,
            "pseudo_random": self.pseudo_random,
            "data_format": self.data_format,
            "seed": self.seed,
        }


def _bounds(extent: int, many: int, shift: Any) -> tuple[Any, Any]:
    """Starts and stops of `many` windows: `floor(a * (i + u)) - floor(a * u)` for a = extent / many.

    A shift of 0 to extent - 1 is `u * extent`. With integers the sums are exact: the last stop is the extent.
    """
    i = np.arange(many + 1, dtype=np.int32)
    if not hasattr(shift, "dtype"):
        places = (i * extent + shift) // many - shift // many
        return places[:-1].astype(np.int32), places[1:].astype(np.int32)
    places = ops.floor_divide(i * extent + shift, many) - ops.floor_divide(shift, many)
    return places[:-1], places[1:]


class FractionalMaxPooling2D(_FractionalPooling):
    """The largest elements of windows that make an image smaller by any factor, such as the root of 2.

    Along an axis of `extent` pixels there are `many = floor(extent / pool_ratio)` windows. Their steps have
    the two sizes next to `a = extent / many`, in an order that is drawn anew for each batch in training:
    pseudo-random, at `floor(a * (i + u)) - floor(a * u)` with one number u for all; or as a random
    permutation, which the paper found to distort more. In inference u is a half: the layer is deterministic.

    Args:
        pool_ratio: By how much height and width get smaller, a number of at least 1 or a pair of them.
        overlapping: Whether a window also has the first pixel of the next one.
        pseudo_random: Whether steps follow one another evenly; if not, their order is random.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        seed: Integer; None draws one.

    Input shape: (batch, height, width, channels). Output shape: (batch, floor(height / ratio), floor(width /
    ratio), channels).

    Raises:
        ValueError: An argument is none of the above.

    Reference:
        Graham 2014, "Fractional max-pooling", arXiv:1412.6071, section 2.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.FractionalMaxPooling2D()(np.zeros((2, 36, 25, 3))).shape
    (2, 25, 17, 3)
    >>> x = np.arange(5.0).reshape(1, 1, 5, 1)
    >>> layers.FractionalMaxPooling2D((1, 1.5), overlapping=False)(x).numpy().ravel().tolist()
    [1.0, 3.0, 4.0]
    """

    def _reduced(self, x: Any, axis: int, starts: Any, lasts: Any) -> Any:
        extent, many = x.shape[axis], starts.shape[0]
        longest = min(-(-extent // many) + int(self.overlapping), extent)
        # Behind the end of a window that is shorter its last element is seen again.
        largest = None
        for t in range(longest):
            seen = ops.take(x, ops.minimum(starts + t, lasts), axis)
            largest = seen if largest is None else ops.maximum(largest, seen)
        return largest


class FractionalAveragePooling2D(_FractionalPooling):
    """The means of windows that make an image smaller by any factor.

    Args:
        pool_ratio, overlapping, pseudo_random, data_format, seed: As for `FractionalMaxPooling2D`.

    Input and output shapes are those of `FractionalMaxPooling2D`.

    Raises:
        ValueError: An argument is none of the above.

    Reference:
        Graham 2014, "Fractional max-pooling", arXiv:1412.6071, section 2, with the mean in place of the
        maximum.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> x = np.arange(5.0).reshape(1, 1, 5, 1)
    >>> layers.FractionalAveragePooling2D((1, 1.5), overlapping=False)(x).numpy().ravel().tolist()
    [0.5, 2.5, 4.0]
    """

    def _reduced(self, x: Any, axis: int, starts: Any, lasts: Any) -> Any:
        """A product with a matrix: a row for each window, which has its weights where it lies."""
        pixels = np.arange(x.shape[axis], dtype=np.int32)
        starts, lasts = ops.expand_dims(starts, 1), ops.expand_dims(lasts, 1)
        inside = ops.logical_and(ops.less_equal(starts, pixels), ops.less_equal(pixels, lasts))
        weights = ops.cast(inside, x.dtype) / ops.cast(lasts - starts + 1, x.dtype)
        lead, behind = x.shape[:axis], x.shape[axis + 1 :]
        # The axes behind lie next to one another, as one.
        rows = ops.reshape(x, (*lead, x.shape[axis], math.prod(behind)))
        return ops.reshape(ops.matmul(weights, rows), (*lead, weights.shape[0], *behind))
