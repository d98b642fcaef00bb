"""Padding, cropping and upsampling of sequences, images and volumes."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.layers.base import Layer
from cnnrs.layers.input_spec import InputSpec
from cnnrs.ops.spatial import image_data_format, spatial_numbers

__all__ = [
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
]

Margins = tuple[tuple[int, int], ...]


def _margins(value: Any, layer: str, argument: str, rank: int) -> Margins:
    """A number, a number per axis, or a pair per axis, as a pair for each axis."""
    if isinstance(value, int):
        value = (value,) * rank
    if not isinstance(value, (list, tuple)) or len(value) != rank:
        raise ValueError(f"{layer}: {argument}: expected a number or {rank} of them, received {value!r}")
    return tuple(tuple(spatial_numbers(side, f"{layer}: {argument}", 2, 0)) for side in value)  # type: ignore[misc]


class _Resampling(Layer):
    """Layers that change spatial extents by arithmetic on the indices."""

    _rank: int = 2

    def __init__(self, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = image_data_format(data_format, self.name)
        self.input_spec = InputSpec(ndim=self._rank + 2)
        self._build_at_init()

    def _first_axis(self) -> int:
        return 1 if self.data_format == "channels_last" else 2


class _ZeroPadding(_Resampling):
    padding: Any

    def _pairs(self) -> Margins:
        return self.padding

    def call(self, inputs: Any) -> Any:
        margins = [(0, 0)] * inputs.ndim
        first = self._first_axis()
        margins[first : first + self._rank] = self._pairs()
        return ops.pad(inputs, margins)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding": self.padding, "data_format": self.data_format}


class ZeroPadding2D(_ZeroPadding):
    """Zeros around images.

    Args:
        padding: A number, `(rows, columns)`, or `((top, bottom), (left, right))`.
        data_format: "channels_last" or "channels_first"; None takes the configured one.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.ZeroPadding2D(((1, 0), (2, 3)))(np.zeros((1, 4, 4, 1))).shape
    (1, 5, 9, 1)
    """

    def __init__(self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format, **kwargs)
        self.padding = _margins(padding, self.name, "padding", 2)


class ZeroPadding1D(_ZeroPadding):
    """Zeros before and after sequences.

    Args:
        padding: A number, or a pair: how many before and after.
        data_format: "channels_last" or "channels_first"; None takes the configured one.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.ZeroPadding1D((1, 2))(np.zeros((1, 4, 3))).shape
    (1, 7, 3)
    """

    _rank = 1

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format, **kwargs)
        self.padding = tuple(spatial_numbers(padding, f"{self.name}: padding", 2, 0))

    def _pairs(self) -> Margins:
        return (self.padding,)


class ZeroPadding3D(_ZeroPadding):
    """Zeros around volumes.

    Args:
        padding: A number, three of them, or three pairs.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
    """

    _rank = 3

    def __init__(
        self, padding: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **kwargs: Any
    ):
        super().__init__(data_format, **kwargs)
        self.padding = _margins(padding, self.name, "padding", 3)


class _Cropping(_Resampling):
    cropping: Any

    def _pairs(self) -> Margins:
        return self.cropping

    def call(self, inputs: Any) -> Any:
        first = self._first_axis()
        extents = inputs.shape[first : first + self._rank]
        kept: list[slice] = [slice(None)] * inputs.ndim
        for axis, ((before, after), extent) in enumerate(zip(self._pairs(), extents, strict=True), first):
            if before + after >= extent:
                size = " x ".join(map(str, extents))
                raise ValueError(f"{self.name}: cropping: {self.cropping} leaves nothing of {size}")
            kept[axis] = slice(before, extent - after)
        return inputs[tuple(kept)]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cropping": self.cropping, "data_format": self.data_format}


class Cropping2D(_Cropping):
    """Images without their margins.

    Args:
        cropping: A number, `(rows, columns)`, or `((top, bottom), (left, right))`.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
    """

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format, **kwargs)
        self.cropping = _margins(cropping, self.name, "cropping", 2)


class Cropping1D(_Cropping):
    """Sequences without their first and last steps.

    Args:
        cropping: A number, or a pair: how many at the beginning and at the end.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.Cropping1D(1)(np.zeros((2, 5, 3))).shape
    (2, 3, 3)
    """

    _rank = 1

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any):
        super().__init__("channels_last", **kwargs)
        self.cropping = tuple(spatial_numbers(cropping, f"{self.name}: cropping", 2, 0))

    def _pairs(self) -> Margins:
        return (self.cropping,)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("data_format")
        return config


class Cropping3D(_Cropping):
    """Volumes without their margins.

    Args:
        cropping: A number, three of them, or three pairs.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
    """

    _rank = 3

    def __init__(
        self, cropping: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **kwargs: Any
    ):
        super().__init__(data_format, **kwargs)
        self.cropping = _margins(cropping, self.name, "cropping", 3)


class _UpSampling(_Resampling):
    size: Any

    def _factors(self) -> tuple[int, ...]:
        return self.size

    def call(self, inputs: Any) -> Any:
        for axis, factor in enumerate(self._factors(), self._first_axis()):
            inputs = ops.repeat(inputs, factor, axis)
        return inputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "data_format": self.data_format}


class UpSampling2D(_UpSampling):
    """Larger images.

    Args:
        size: Factors of height and width, a number or a pair.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        interpolation: "nearest", "bilinear", "bicubic", "lanczos3" or "lanczos5".

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.UpSampling2D(2)(np.zeros((1, 3, 4, 5))).shape
    (1, 6, 8, 5)
    """

    def __init__(
        self,
        size: Any = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ):
        super().__init__(data_format, **kwargs)
        known = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
        if not isinstance(interpolation, str) or interpolation.lower() not in known:
            raise ValueError(
                f"{self.name}: interpolation: expected one of {', '.join(map(repr, known))}, "
                f"received {interpolation!r}"
            )
        self.size = tuple(spatial_numbers(size, f"{self.name}: size", 2))
        self.interpolation = interpolation.lower()

    def call(self, inputs: Any) -> Any:
        if self.interpolation == "nearest":
            return super().call(inputs)
        axis = self._first_axis()
        size = (inputs.shape[axis] * self.size[0], inputs.shape[axis + 1] * self.size[1])
        return ops.image.resize(inputs, size, self.interpolation, data_format=self.data_format)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "interpolation": self.interpolation}


class UpSampling1D(_UpSampling):
    """Longer sequences: each step repeated.

    Args:
        size: How often.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.UpSampling1D(2)(np.array([[[1.0], [2.0]]])).tolist()
    [[[1.0], [1.0], [2.0], [2.0]]]
    """

    _rank = 1

    def __init__(self, size: int = 2, **kwargs: Any):
        super().__init__("channels_last", **kwargs)
        if not isinstance(size, int) or isinstance(size, bool):
            raise TypeError(f"{self.name}: size: expected an integer, received {size!r}")
        self.size = spatial_numbers(size, f"{self.name}: size", 1)[0]

    def _factors(self) -> tuple[int, ...]:
        return (self.size,)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("data_format")
        return config


class UpSampling3D(_UpSampling):
    """Larger volumes.

    Args:
        size: Factors of depth, height and width, a number or a triple.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
    """

    _rank = 3

    def __init__(self, size: Any = (2, 2, 2), data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format, **kwargs)
        self.size = tuple(spatial_numbers(size, f"{self.name}: size", 3))
