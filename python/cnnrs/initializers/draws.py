"""Initializers that draw, on the host from numpy's counter-based Philox generator."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cnnrs.base.arguments import number
from cnnrs.initializers.initializer import Initializer
from cnnrs.random import SeedGenerator, draw_seed
from cnnrs.serialization import deserialize_keras_object, serialize_keras_object

__all__ = [
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "LecunNormal",
    "LecunUniform",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "compute_fans",
    "weights_follow",
]

# Standard deviation of a unit normal truncated at two standard deviations.
_TRUNCATED_STDDEV = 0.87962566103423978


class _Random(Initializer):
    """Draws from a generator of its own seed; the same object draws the same values again.

    With a `SeedGenerator` as seed it draws new values each time.
    """

    seed: Any

    def _generator(self) -> np.random.Generator:
        key = self.seed.next_seed() if isinstance(self.seed, SeedGenerator) else self._key
        return np.random.Generator(np.random.Philox(key=key % 2**63))

    def _set_seed(self, seed: Any) -> None:
        if isinstance(seed, dict):
            seed = deserialize_keras_object(seed)
        if not (seed is None or isinstance(seed, (int, np.integer, SeedGenerator))):
            raise TypeError(
                f"{type(self).__name__}: seed: expected an integer, a SeedGenerator or None, "
                f"received {seed!r}"
            )
        self.seed = seed
        if not isinstance(seed, SeedGenerator):
            self._key = int(draw_seed() if seed is None else seed)

    def get_config(self) -> dict[str, Any]:
        # A seed that was drawn is no argument: a copy draws its own.
        if isinstance(self.seed, SeedGenerator):
            return {"seed": serialize_keras_object(self.seed)}
        return {"seed": None if self.seed is None else int(self.seed)}


class _Follow(threading.local):
    """Whether weights of this thread are read from a file once they are made."""

    weights = False


_FOLLOW = _Follow()


@contextlib.contextmanager
def weights_follow() -> Iterator[None]:
    """Random weights made inside are zeros, as values take their place that need not be drawn.

    >>> from cnnrs import initializers
    >>> with weights_follow():
    ...     initializers.HeNormal()((1, 3)).tolist()
    [[0.0, 0.0, 0.0]]
    """
    outer = _FOLLOW.weights
    _FOLLOW.weights = True
    try:
        yield
    finally:
        _FOLLOW.weights = outer


# Numbers that are drawn at a time: few enough to stay in cache until they have the type that is asked for.
_BLOCK = 2**13


def _in_blocks(shape: Any, dtype: Any, draw: Callable[[int], np.ndarray]) -> np.ndarray:
    """An array whose elements `draw(count)` gives block by block, in order."""
    if _FOLLOW.weights:
        return np.zeros(shape, dtype or "float32")
    values = np.empty(shape, dtype or "float32")
    flat = values.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        block = flat[start : start + _BLOCK]
        block[...] = draw(block.size)
    return values


def _normal(generator: np.random.Generator, mean: float, stddev: float, shape: Any, dtype: Any) -> np.ndarray:
    return _in_blocks(shape, dtype, lambda count: mean + stddev * generator.standard_normal(count))


def _uniform(generator: np.random.Generator, low: float, high: float, shape: Any, dtype: Any) -> np.ndarray:
    return _in_blocks(shape, dtype, lambda count: generator.uniform(low, high, count))


def _truncated_normal(
    generator: np.random.Generator, mean: float, stddev: float, shape: Any, dtype: Any
) -> np.ndarray:
    """Normal, values beyond two standard deviations drawn again, after all others."""
    beyond, drawn = [], 0

    def draw(count: int) -> np.ndarray:
        nonlocal drawn
        values = generator.standard_normal(count)
        beyond.append(np.flatnonzero(np.abs(values) > 2) + drawn)
        drawn += count
        return mean + stddev * values

    values = _in_blocks(shape, dtype, draw)
    flat = values.reshape(-1)
    places = np.concatenate(beyond) if beyond else np.empty(0, int)
    while places.size:
        again = generator.standard_normal(places.size)
        flat[places] = mean + stddev * again
        places = places[np.abs(again) > 2]
    return values


class RandomNormal(_Random):
    """Normal of `mean` and `stddev`.

    Args:
        mean: Mean.
        stddev: Standard deviation.
        seed: Integer, SeedGenerator or None for a fresh one.

    >>> from cnnrs import initializers
    >>> initializers.RandomNormal(seed=1)((2, 3)).shape
    (2, 3)
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None):
        self.mean = number(mean, self, "mean")
        self.stddev = number(stddev, self, "stddev", least=0)
        self._set_seed(seed)

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        return _normal(self._generator(), self.mean, self.stddev, shape, dtype)

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, **super().get_config()}


class TruncatedNormal(_Random):
    """Normal of `mean` and `stddev`, values beyond two standard deviations drawn again.

    Args:
        mean: Mean.
        stddev: Standard deviation before the cut; after it 0.87962566 times that.
        seed: Integer, SeedGenerator or None for a fresh one.

    >>> from cnnrs import initializers
    >>> bool(abs(initializers.TruncatedNormal(stddev=1.0, seed=1)((100,))).max() <= 2.0)
    True
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None):
        self.mean = number(mean, self, "mean")
        self.stddev = number(stddev, self, "stddev", least=0)
        self._set_seed(seed)

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        return _truncated_normal(self._generator(), self.mean, self.stddev, shape, dtype)

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, **super().get_config()}


class RandomUniform(_Random):
    """Uniform in `minval`..`maxval`.

    Args:
        minval: Lower bound.
        maxval: Upper bound.
        seed: Integer, SeedGenerator or None for a fresh one.

    >>> from cnnrs import initializers
    >>> bool(abs(initializers.RandomUniform(seed=1)((100,))).max() <= 0.05)
    True
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None):
        self.minval = number(minval, self, "minval")
        self.maxval = number(maxval, self, "maxval", least=self.minval)
        self._set_seed(seed)

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        return _uniform(self._generator(), self.minval, self.maxval, shape, dtype)

    def get_config(self) -> dict[str, Any]:
        return {"minval": self.minval, "maxval": self.maxval, **super().get_config()}


def _axes(given: Any, default: int, rank: int, argument: str) -> set[int]:
    axes = [default] if given is None else [given] if isinstance(given, int) else list(given)
    for axis in axes:
        if not -rank <= axis < rank:
            raise ValueError(f"{argument}: expected integers of {-rank}..{rank - 1}, received {given!r}")
    return {axis % rank for axis in axes}


def compute_fans(shape: Any, input_axes: Any = None, output_axes: Any = None) -> tuple[int, int]:
    """Fan-in and fan-out of a weight: for filters the receptive field times the channels.

    Args:
        shape: Extents of the weight.
        input_axes: Axes that count inputs, if not the last but one.
        output_axes: Axes that count outputs, if not the last.

    >>> compute_fans((3, 3, 8, 16))
    (72, 144)
    """
    shape = tuple(shape)
    if input_axes is not None or output_axes is not None:
        inputs = _axes(input_axes, -2, len(shape), "input_axes")
        outputs = _axes(output_axes, -1, len(shape), "output_axes")
        if inputs & outputs:
            raise ValueError(
                f"input_axes, output_axes: expected no axis in both, received {inputs & outputs}"
            )
        field = math.prod(e for axis, e in enumerate(shape) if axis not in inputs | outputs)
        fan_in, fan_out = (math.prod(shape[axis] for axis in axes) for axes in (inputs, outputs))
        return field * fan_in, field * fan_out
    if len(shape) == 0:
        return 1, 1
    if len(shape) == 1:
        return shape[0], shape[0]
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field


class VarianceScaling(_Random):
    """Variance `scale / n`, where n is the fan-in, the fan-out or their mean.

    Args:
        scale: Factor.
        mode: "fan_in", "fan_out" or "fan_avg".
        distribution: "truncated_normal", "untruncated_normal" or "uniform".
        seed: Integer, SeedGenerator or None for a fresh one.
        input_axes: Axes that count inputs, if not the last but one.
        output_axes: Axes that count outputs, if not the last.

    Example:

    >>> from cnnrs import initializers
    >>> initializers.VarianceScaling(2.0, seed=1)((3, 3, 1, 4)).shape
    (3, 3, 1, 4)
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
        input_axes: Any = None,
        output_axes: Any = None,
    ):
        if scale <= 0:
            raise ValueError(f"VarianceScaling: scale: expected a number > 0, received {scale}")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(
                f"VarianceScaling: mode: expected 'fan_in', 'fan_out' or 'fan_avg', received {mode!r}"
            )
        distribution = "truncated_normal" if distribution == "normal" else distribution.lower()
        known = ("uniform", "truncated_normal", "untruncated_normal")
        if distribution not in known:
            raise ValueError(
                f"VarianceScaling: distribution: expected one of {known}, received {distribution!r}"
            )
        self.scale, self.mode, self.distribution = scale, mode, distribution
        self.input_axes, self.output_axes = input_axes, output_axes
        self._set_seed(seed)

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, fan)
        generator = self._generator()
        if self.distribution == "truncated_normal":
            stddev = math.sqrt(variance) / _TRUNCATED_STDDEV
            return _truncated_normal(generator, 0.0, stddev, shape, dtype)
        if self.distribution == "untruncated_normal":
            return _normal(generator, 0.0, math.sqrt(variance), shape, dtype)
        limit = math.sqrt(3.0 * variance)
        return _uniform(generator, -limit, limit, shape, dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            **super().get_config(),
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
        }


class _Preset(VarianceScaling):
    _preset: tuple[float, str, str]

    def __init__(self, seed: Any = None, input_axes: Any = None, output_axes: Any = None):
        scale, mode, distribution = self._preset
        super().__init__(scale, mode, distribution, seed, input_axes, output_axes)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {key: config[key] for key in ("seed", "input_axes", "output_axes")}


class GlorotUniform(_Preset):
    """Uniform within ±√(6 / (fan_in + fan_out)) (Glorot and Bengio 2010).

    Args:
        seed: Integer, SeedGenerator or None for a fresh one.
        input_axes: Axes that count inputs, if not the last but one.
        output_axes: Axes that count outputs, if not the last.

    >>> from cnnrs import initializers
    >>> initializers.GlorotUniform(seed=1)((3, 3, 8, 16)).shape
    (3, 3, 8, 16)
    """

    _preset = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Preset):
    """Truncated normal of variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010).

    Args:
        seed: Integer, SeedGenerator or None for a fresh one.
        input_axes: Axes that count inputs, if not the last but one.
        output_axes: Axes that count outputs, if not the last.

    >>> from cnnrs import initializers
    >>> initializers.GlorotNormal(seed=1)((3, 3, 8, 16)).shape
    (3, 3, 8, 16)
    """

    _preset = (1.0, "fan_avg", "truncated_normal")


class HeNormal(_Preset):
    """Truncated normal of variance 2 / fan_in (He et al. 2015).

    Args:
        seed: Integer, SeedGenerator or None for a fresh one.
        input_axes: Axes that count inputs, if not the last but one.
        output_axes: Axes that count outputs, if not the last.

    >>> from cnnrs import initializers
    >>> initializers.HeNormal(seed=1)((3, 3, 8, 16)).shape
    (3, 3, 8, 16)
    """

    _preset = (2.0, "fan_in", "truncated_normal")


class HeUniform(_Preset):
    """Uniform within ±√(6 / fan_in) (He et al. 2015).

    Args:
        seed: Integer, SeedGenerator or None for a fresh one.
        input_axes: Axes that count inputs, if not the last but one.
        output_axes: Axes that count outputs, if not the last.

    >>> from cnnrs import initializers
    >>> initializers.HeUniform(seed=1)((3, 3, 8, 16)).shape
    (3, 3, 8, 16)
    """

    _preset = (2.0, "fan_in", "uniform")


class LecunNormal(_Preset):
    """Truncated normal of variance 1 / fan_in (LeCun et al. 1998).

    Args:
        seed: Integer, SeedGenerator or None for a fresh one.
        input_axes: Axes that count inputs, if not the last but one.
        output_axes: Axes that count outputs, if not the last.

    >>> from cnnrs import initializers
    >>> initializers.LecunNormal(seed=1)((3, 3, 8, 16)).shape
    (3, 3, 8, 16)
    """

    _preset = (1.0, "fan_in", "truncated_normal")


class LecunUniform(_Preset):
    """Uniform within ±√(3 / fan_in) (LeCun et al. 1998).

    Args:
        seed: Integer, SeedGenerator or None for a fresh one.
        input_axes: Axes that count inputs, if not the last but one.
        output_axes: Axes that count outputs, if not the last.

    >>> from cnnrs import initializers
    >>> initializers.LecunUniform(seed=1)((3, 3, 8, 16)).shape
    (3, 3, 8, 16)
    """

    _preset = (1.0, "fan_in", "uniform")


class Orthogonal(_Random):
    """Orthogonal matrix times `gain`: the Q of a normal matrix (Saxe et al. 2014).

    Of a shape with more than two axes, all but the last count rows.

    Args:
        gain: Factor.
        seed: Integer, SeedGenerator or None for a fresh one.

    >>> import numpy as np
    >>> from cnnrs import initializers
    >>> q = initializers.Orthogonal(seed=1)((4, 4))
    >>> bool(np.allclose(q.T @ q, np.eye(4), atol=1e-5))
    True
    """

    def __init__(self, gain: float = 1.0, seed: Any = None):
        self.gain = gain
        self._set_seed(seed)

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        if len(shape) < 2:
            raise ValueError(f"Orthogonal: expected a shape of at least 2 axes, received {tuple(shape)}")
        rows, cols = math.prod(shape[:-1]), shape[-1]
        normal = self._generator().standard_normal((max(rows, cols), min(rows, cols)))
        q, r = np.linalg.qr(normal)
        q = q * np.sign(np.diagonal(r))
        return (self.gain * (q.T if rows < cols else q)).reshape(shape).astype(dtype or "float32")

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain, **super().get_config()}
