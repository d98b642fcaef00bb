"""Dropout, noise and penalties of activations."""

from __future__ import annotations

from typing import Any

from cnnrs import _core
from cnnrs.layers.base import Layer
from cnnrs.layers.input_spec import InputSpec
from cnnrs.ops import raw
from cnnrs.ops.dispatch import as_float
from cnnrs.ops.spatial import image_data_format
from cnnrs.random import SeedGenerator
from cnnrs.regularizers import L1L2

__all__ = [
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
]


class _Random(Layer):
    """A layer with a random generator."""

    _supports_masking = True

    # Draws are float32.
    _widens = True

    def __init__(self, seed: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)
        self._build_at_init()

    def _rate(self, rate: Any) -> float:
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
            raise ValueError(f"{self.name}: rate: expected a number from 0 to 1, received {rate!r}")
        return float(rate)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}


class Dropout(_Random):
    """In training, sets a random part of the elements to 0 and scales the rest by `1 / (1 - rate)`.

    Args:
        rate: The part, from 0 to 1.
        noise_shape: Shape of the random mask, 1 or None along axes: None for the input's extent, 1 to share.
        seed: Integer; None draws one.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layer = layers.Dropout(0.5, seed=1)
    >>> sorted(set(layer(np.ones(100), training=True).tolist()))
    [0.0, 2.0]
    >>> layer(np.ones(2)).tolist()
    [1.0, 1.0]
    """

    def __init__(self, rate: float, noise_shape: Any = None, seed: Any = None, **kwargs: Any):
        super().__init__(seed, **kwargs)
        self.rate = self._rate(rate)
        self.noise_shape = self._noise_shape(noise_shape)

    def _noise_shape(self, given: Any) -> tuple[int | None, ...] | None:
        if given is None:
            return None
        extents = given if isinstance(given, (list, tuple)) else [given]
        if isinstance(given, str) or not all(e is None or (type(e) is int and e > 0) for e in extents):
            raise ValueError(
                f"{self.name}: noise_shape: expected a list of integers >= 1 or None, received {given!r}"
            )
        return tuple(extents)

    def _mask_shape(self, shape: tuple[int, ...]) -> list[int] | None:
        if self.noise_shape is None:
            return None
        if len(self.noise_shape) != len(shape):
            raise ValueError(
                f"{self.name}: noise_shape: expected {len(shape)} extents, received {self.noise_shape}"
            )
        return [
            extent if given is None else given for extent, given in zip(shape, self.noise_shape, strict=True)
        ]

    def call(self, inputs: Any, training: Any = False) -> Any:
        if not training or self.rate == 0.0:
            return inputs
        inputs = as_float(inputs)
        if self.rate == 1.0:
            return inputs * 0.0
        shape = self._mask_shape(inputs.shape)
        if shape is None or shape == list(inputs.shape):
            return raw.dropout(inputs, self.seed_generator.next(), rate=self.rate)
        ones = raw.broadcast_to(_core.tensor(1.0), shape=shape)
        return inputs * raw.dropout(ones, self.seed_generator.next(), rate=self.rate)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "noise_shape": self.noise_shape}


class _SpatialDropout(Dropout):
    """Dropout of whole channels."""

    _rank: int = 2

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: Any = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(rate, seed=seed, name=name, dtype=dtype)
        self.data_format = image_data_format(data_format, self.name)
        self.input_spec = InputSpec(ndim=self._rank + 2)

    def _mask_shape(self, shape: tuple[int, ...]) -> list[int] | None:
        places = [1] * self._rank
        if self.data_format == "channels_last":
            return [shape[0], *places, shape[-1]]
        return [shape[0], shape[1], *places]

    def get_config(self) -> dict[str, Any]:
        return {
            "rate": self.rate,
            "data_format": self.data_format,
            "seed": self.seed,
            "name": self.name,
            "dtype": super().get_config()["dtype"],
        }


class SpatialDropout2D(_SpatialDropout):
    """Dropout of whole channels.

    Args:
        rate: The part, from 0 to 1.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        seed: Integer; None draws one.
        name: Name.
        dtype: Policy, or its name; None takes `config.dtype_policy()`.
    """


class SpatialDropout1D(_SpatialDropout):
    """Dropout of whole channels of sequences of shape (batch, steps, channels).

    Args:
        rate: The part, from 0 to 1.
        seed: Integer; None draws one.
        name: Name.
        dtype: Policy, or its name; None takes `config.dtype_policy()`.
    """

    _rank = 1

    def __init__(self, rate: float, seed: Any = None, name: str | None = None, dtype: Any = None):
        super().__init__(rate, "channels_last", seed, name, dtype)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("data_format")
        return config


class SpatialDropout3D(_SpatialDropout):
    """Dropout of whole channels of volumes.

    Args:
        rate, data_format, seed, name, dtype: As for `SpatialDropout2D`.
    """

    _rank = 3


class AlphaDropout(Dropout):
    """In training, sets a random part of the elements to the lower limit of SELU, and keeps mean and variance
    (Klambauer et al. 2017, arXiv:1706.02515).

    Args:
        rate: The part, from 0 to 1.
        noise_shape: Shape of the random mask, as for `Dropout`.
        seed: Integer; None draws one.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> x = np.random.default_rng(0).normal(size=10000)
    >>> y = layers.AlphaDropout(0.2, seed=1)(x, training=True).numpy()
    >>> bool(abs(y.mean()) < 0.05), bool(abs(y.std() - 1) < 0.05)
    (True, True)
    """

    def call(self, inputs: Any, training: Any = False) -> Any:
        if not training or self.rate == 0.0:
            return inputs
        inputs = as_float(inputs)
        if self.rate == 1.0:
            # The limit of what follows: the variance of nothing cannot be kept.
            return inputs * 0.0
        shape = self._mask_shape(inputs.shape) or list(inputs.shape)
        draws = raw.random_uniform(self.seed_generator.next(), shape=shape)
        kept = (draws >= self.rate).astype("float32")
        lowest = -1.6732632423543772848170429916717 * 1.0507009873554804934193349852946
        factor = ((1.0 - self.rate) * (1.0 + self.rate * lowest**2)) ** -0.5
        return (inputs * kept + (1.0 - kept) * lowest) * factor - factor * lowest * self.rate


class GaussianNoise(_Random):
    """In training, adds normal noise.

    Args:
        stddev: Standard deviation of the noise.
        seed: Integer; None draws one.
    """

    def __init__(self, stddev: float, seed: Any = None, **kwargs: Any):
        super().__init__(seed, **kwargs)
        if not isinstance(stddev, (int, float)) or stddev < 0:
            raise ValueError(f"{self.name}: stddev: expected a number >= 0, received {stddev!r}")
        self.stddev = float(stddev)

    def call(self, inputs: Any, training: Any = False) -> Any:
        if not training or self.stddev == 0.0:
            return inputs
        inputs = as_float(inputs)
        noise = raw.random_normal(self.seed_generator.next(), shape=list(inputs.shape))
        return inputs + noise * self.stddev

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "stddev": self.stddev}


class GaussianDropout(_Random):
    """In training, multiplies by normal noise of mean 1 and standard deviation `sqrt(rate / (1 - rate))`.

    Args:
        rate: Of the dropout with the same variance.
        seed: Integer; None draws one.
    """

    def __init__(self, rate: float, seed: Any = None, **kwargs: Any):
        super().__init__(seed, **kwargs)
        self.rate = self._rate(rate)

    def call(self, inputs: Any, training: Any = False) -> Any:
        if not training or self.rate == 0.0:
            return inputs
        inputs = as_float(inputs)
        noise = raw.random_normal(self.seed_generator.next(), shape=list(inputs.shape))
        return inputs * (noise * (self.rate / (1.0 - self.rate)) ** 0.5 + 1.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate}


class ActivityRegularization(Layer):
    """The input itself, whose magnitude is added to the loss.

    Args:
        l1: Weight of the sum of magnitudes.
        l2: Weight of the sum of squares.
    """

    _supports_masking = True

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any):
        super().__init__(activity_regularizer=L1L2(l1=l1, l2=l2), **kwargs)
        self.l1 = l1
        self.l2 = l2
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        return inputs

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("activity_regularizer")
        return {**config, "l1": self.l1, "l2": self.l2}
