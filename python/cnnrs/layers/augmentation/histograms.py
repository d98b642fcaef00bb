"""Layers that spread the values of images evenly, by histograms."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.base.arguments import integer
from cnnrs.base.image_steps import Step
from cnnrs.layers.arguments import positive
from cnnrs.layers.augmentation.base import ColorLayer, rescaled
from cnnrs.ops import raw
from cnnrs.ops.image.layout import as_batch

__all__ = ["ContrastLimitedAdaptiveHistogramEqualization", "Equalization"]


def _histograms(bins: Any, count: int) -> Any:
    """How often each of `count` numbers occurs in each row of an int32 tensor of shape (rows, values)."""
    rows, values = bins.shape
    # All rows in one vector, in which each has numbers of its own.
    places = ops.reshape(bins + np.arange(rows, dtype=np.int32)[:, None] * np.int32(count), (-1,))
    ones = ops.ones((rows * values,))
    counts = raw.scatter(ones, places, [rows * count])
    return ops.reshape(counts, (rows, count))


def _looked_up(tables: Any, bins: Any) -> Any:
    """The entries of tables of shape (rows, entries) at numbers of shape (rows, ...)."""
    rows, entries = tables.shape
    start = np.arange(rows, dtype=np.int32).reshape(rows, *([1] * (len(bins.shape) - 1)))
    return ops.take(ops.reshape(tables, (-1,)), bins + start * np.int32(entries), axis=0)


class Equalization(ColorLayer):
    """Spreads the values of each channel so that each part of the range is as frequent as the others.

    Args:
        value_range: The least and the largest value of pixels.
        bins: How many parts of the range are counted.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        bounding_box_format: How boxes are given, if there are any; they stay as they are.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.Equalization()(np.array([10.0, 11.0, 12.0]).reshape(1, 3, 1)).numpy().ravel().tolist()
    [0.0, 128.0, 255.0]
    """

    def __init__(
        self, value_range: Any = (0, 255), bins: int = 256, data_format: str | None = None, **kwargs: Any
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.bins = integer(bins, self.name, "bins", least=1, most=2**16)
        self._set_value_range(value_range)

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        return [Step("equalize", [*self.value_range, self.bins])] if training else []

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        if not training:
            return self._floats(images)
        x, restore = as_batch(self._floats(images), self.data_format, self.name)
        batch, height, width, channels = x.shape
        x = rescaled(x, self.value_range, (0, 255))
        # Of each image and channel a row.
        rows = ops.reshape(ops.transpose(x, (0, 3, 1, 2)), (batch * channels, height * width))
        last = float(self.bins - 1)
        bins = ops.cast(ops.clip(rows * (last / 255.0), 0.0, last), "int32")
        counts = _histograms(bins, self.bins)
        total = ops.cumsum(counts, axis=1)
        below = ops.min(ops.where(total > 0.0, total, float(height * width)), axis=1, keepdims=True)
        above = float(height * width) - below
        table = ops.round((total - below) * 255.0 / ops.maximum(above, 1.0))
        equal = _looked_up(ops.clip(table, 0.0, 255.0), bins)
        equal = ops.where(above > 0.0, equal, rows)
        equal = ops.transpose(ops.reshape(equal, (batch, channels, height, width)), (0, 2, 3, 1))
        return restore(rescaled(equal, (0, 255), self.value_range))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bins": self.bins, "value_range": self.value_range}


class ContrastLimitedAdaptiveHistogramEqualization(ColorLayer):
    """Spreads the values of each channel tile by tile, with a limit to how much contrasts grow.

    Zuiderveld 1994, "Contrast limited adaptive histogram equalization". Between the middles of tiles results
    are interpolated.

    Args:
        value_range: The least and the largest value of pixels.
        clip_limit: How often a value counts at most, as a multiple of the mean; 0 for no limit.
        tile_grid_size: Numbers of rows and columns of tiles.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        bounding_box_format: How boxes are given, if there are any; they stay as they are.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> image = np.arange(64.0).reshape(8, 8, 1)
    >>> layers.ContrastLimitedAdaptiveHistogramEqualization(tile_grid_size=(2, 2))(image).shape
    (8, 8, 1)
    """

    def __init__(
        self,
        value_range: Any = (0, 255),
        clip_limit: float = 4.0,
        tile_grid_size: Any = (8, 8),
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self._set_value_range(value_range)
        self.clip_limit = clip_limit
        if not isinstance(tile_grid_size, (tuple, list)) or len(tile_grid_size) != 2:
            raise ValueError(f"{self.name}: tile_grid_size: expected a pair, received {tile_grid_size!r}")
        self.tile_grid_size = tuple(positive(n, self.name, "tile_grid_size") for n in tile_grid_size)

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        x, restore = as_batch(self._floats(images), self.data_format, self.name)
        batch, height, width, channels = x.shape
        x = rescaled(x, self.value_range, (0, 255))
        down, across = self.tile_grid_size
        tile = -(-height // down), -(-width // across)
        sides = (down * tile[0], across * tile[1])
        planes = ops.reshape(ops.transpose(x, (0, 3, 1, 2)), (batch * channels, height, width))
        rest = [[0, 0], [0, sides[0] - height], [0, sides[1] - width]]
        planes = ops.pad(planes, rest, mode="symmetric") if any(map(any, rest)) else planes
        pixels = ops.cast(ops.clip(planes, 0.0, 255.0), "int32")
        tables = self._tables(pixels, tile)
        # The tiles at the borders stand for those beyond them.
        tables = ops.pad(tables, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="edge")
        place = [(np.arange(n) - t / 2.0) / t + 1.0 for n, t in zip(sides, tile, strict=True)]
        first = [np.floor(p) for p in place]
        weight = [(p - f).astype(np.float32) for p, f in zip(place, first, strict=True)]
        rows = ops.reshape(tables, (batch * channels, (down + 2) * (across + 2) * 256))

        def values(i: int, j: int) -> Any:
            y = np.clip(first[0] + i, 0, down + 1).astype(np.int32)[:, None]
            x = np.clip(first[1] + j, 0, across + 1).astype(np.int32)
            return _looked_up(rows, pixels + (y * np.int32(across + 2) + x) * np.int32(256))

        wy, wx = weight[0][:, None], weight[1]
        upper = values(0, 0) * (1.0 - wx) + values(0, 1) * wx
        lower = values(1, 0) * (1.0 - wx) + values(1, 1) * wx
        result = (upper * (1.0 - wy) + lower * wy)[:, :height, :width]
        result = ops.transpose(ops.reshape(result, (batch, channels, height, width)), (0, 2, 3, 1))
        return restore(rescaled(result, (0, 255), self.value_range))

    def _tables(self, pixels: Any, tile: tuple[int, int]) -> Any:
        """What each of 256 values becomes in each tile, of shape (planes, rows, columns, 256)."""
        (down, across), (rows, columns) = self.tile_grid_size, tile
        size = rows * columns
        planes = pixels.shape[0]
        tiles = ops.reshape(pixels, (planes, down, rows, across, columns))
        tiles = ops.reshape(ops.transpose(tiles, (0, 1, 3, 2, 4)), (planes * down * across, size))
        counts = _histograms(tiles, 256)
        if self.clip_limit > 0:
            # What exceeds the limit is shared out among all values.
            limited = ops.minimum(counts, self.clip_limit * size / 256.0)
            counts = limited + ops.sum(counts - limited, axis=-1, keepdims=True) / 256.0
        total = ops.cumsum(counts, axis=-1)
        least = ops.min(total, axis=-1, keepdims=True)
        rest = float(size) - least
        table = (total - least) * 255.0 / ops.where(rest == 0.0, 1.0, rest)
        return ops.reshape(ops.clip(table, 0.0, 255.0), (planes, down, across, 256))

    def get_config(self) -> dict[str, Any]:
        names = ("value_range", "clip_limit", "tile_grid_size")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
