"""Random numbers: `SeedGenerator` and draws that are reproducible op by op.

Every draw is a function of a key `(seed, counter)` and the index of the element (Philox4x32-10,
Salmon et al. 2011), so it does not depend on threads, fusion or recomputation.
"""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from cnnrs import _core
from cnnrs.base import key_scope
from cnnrs.base.arguments import NamedArguments, reject
from cnnrs.base.dtypes import FLOATS, INTEGERS, dtype_name, standardize_dtype
from cnnrs.ops import raw
from cnnrs.variables import Variable

__all__ = [
    "SeedGenerator",
    "beta",
    "binomial",
    "categorical",
    "dropout",
    "gamma",
    "normal",
    "randint",
    "shuffle",
    "truncated_normal",
    "uniform",
]

_stream: np.random.Generator | None = None
_seed = 0
_global: SeedGenerator | None = None


def seed_everything(seed: int) -> None:
    """Starts cnnrs's stream of seeds at `seed`."""
    global _stream, _global, _seed
    _seed = int(seed)
    _stream = np.random.Generator(np.random.Philox(key=int(seed)))
    _global = None


def current_seed() -> int:
    """What to give to `utils.set_random_seed` so that a run repeats: the seed set, or the one drawn."""
    _start()
    return _seed


def draw_seed() -> int:
    """The next seed, a positive int32: of the stream that `set_random_seed` or `CNNRS_SEED` started.

    In a function of elements of a data set it comes from the element instead.
    """
    scope = key_scope.current()
    if scope is not None:
        return scope.seed()
    _start()
    assert _stream is not None
    return int(_stream.integers(1, 2**31 - 1))


def _start() -> None:
    """Starts the stream at `CNNRS_SEED` or a fresh seed, unless it has been started."""
    if _stream is None:
        given = os.environ.get("CNNRS_SEED", "").strip()
        if given and not (given.isdigit() and int(given) < 2**32):
            raise ValueError(f"CNNRS_SEED: expected an integer of 0..2**32 - 1, received {given!r}")
        seed_everything(int(given) if given else int.from_bytes(os.urandom(4), "little"))


def state() -> tuple[Any, ...]:
    """The state of the stream of seeds and of the generator behind draws without a seed."""
    _start()
    assert _stream is not None
    return (
        _seed,
        _stream.bit_generator.state,
        None
        if _global is None
        else (
            _global.get_config(),
            _global.state.numpy(),
        ),
    )


def set_state(values: tuple[Any, ...]) -> None:
    """Sets what `state` gave."""
    global _global, _seed
    seed, stream, generator = values
    _start()
    assert _stream is not None
    _seed, _stream.bit_generator.state = seed, stream
    if generator is None:
        _global = None
    else:
        # A generator that recorded steps hold stays; only its state changes.
        if _global is None:
            _global = SeedGenerator.from_config(generator[0])
        _global.state.assign(generator[1])


class SeedGenerator(NamedArguments):
    """A source of keys for random ops; its state is a variable and is saved with a model.

    Args:
        seed: Integer; drawn if absent.
        name: Name.

    Example:

    >>> from cnnrs import random
    >>> a, b = random.SeedGenerator(7), random.SeedGenerator(7)
    >>> bool((random.uniform((3,), seed=a).numpy() == random.uniform((3,), seed=b).numpy()).all())
    True
    """

    def __init__(self, seed: int | None = None, name: str | None = None, **kwargs: Any):
        reject(type(self), kwargs)
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, (int, np.integer))):
            raise ValueError(f"SeedGenerator: seed: expected an integer, received {seed!r}")
        self.name = name or "seed_generator"
        self.seed = draw_seed() if seed is None else int(seed)
        self.initial_seed = self.seed
        self._given = seed is not None
        state = np.array([np.uint32(key_scope.folded(self.seed)).view(np.int32), 0], dtype="int32")
        self.state = Variable(state, trainable=False, name=f"{self.name}_state")

    def next(self, ordered: bool = True) -> Any:
        """A key that no other call gets: the state; the counter moves on.

        In a function of elements of a data set the key comes from the element, and the state stays. With a
        seed that was given, it depends on that seed, the number of the pass and that of the element.
        """
        scope = key_scope.current()
        if scope is not None:
            return scope.own_key(self) if self._given else scope.key(self.seed)
        key = self.state.value
        self.state.assign(key + _core.tensor(np.array([0, 1], dtype="int32")))
        return key

    def next_seed(self) -> int:
        """An integer seed for draws on the host."""
        low, high = (int(v) & 0xFFFFFFFF for v in self.next().numpy())
        return (high << 32 | low) % 2**63

    def __repr__(self) -> str:
        return f"<SeedGenerator name={self.name} seed={self.seed}>"

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {"seed": self.seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        """The generator of a config."""
        return cls(**config)


def global_seed_generator() -> SeedGenerator:
    """The generator behind draws without a seed."""
    global _global
    if _global is None:
        _global = SeedGenerator(name="global_seed_generator")
    return _global


def _key(seed: Any) -> Any:
    """The key for a draw: an integer gives the same one each time."""
    if seed is None:
        scope = key_scope.current()
        return global_seed_generator().next() if scope is None else scope.key(0)
    if isinstance(seed, SeedGenerator):
        return seed.next()
    return SeedGenerator(seed).state.value


def _float(dtype: Any) -> str:
    """The float type that is asked for.

    Raises:
        TypeError: No tensor holds such elements.
        ValueError: It is no float type.
    """
    name = standardize_dtype(dtype)
    if name not in FLOATS:
        raise ValueError(f"dtype: expected one of {', '.join(FLOATS)}, received {dtype!r}")
    return name


def _is_number(value: Any) -> bool:
    """Whether it is a single number of the host, and neither an array of several nor a tensor."""
    return not isinstance(value, (_core.Tensor, _core.Variable)) and np.ndim(value) == 0


def _scaled(drawn: Any, mean: Any, stddev: Any, extents: list[int]) -> Any:
    """Draws of mean 0 and deviation 1 as those of `mean` and `stddev`."""
    if _is_number(mean) and _is_number(stddev):
        return drawn * float(stddev) + float(mean)
    return drawn * _parameter(stddev, extents) + _parameter(mean, extents)


def uniform(shape: Any, minval: Any = 0.0, maxval: Any = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Uniform in `minval`..`maxval`, the upper bound excluded.

    Args:
        shape: Extents of the result.
        minval: Lower bound, a number or a tensor that broadcasts to `shape`.
        maxval: Upper bound, likewise.
        dtype: A float type, as `ops.cast` takes it; float32 by default.
        seed: Integer, SeedGenerator, or None for the generator of the process.

    >>> from cnnrs import random
    >>> random.uniform((2, 3), seed=1).shape
    (2, 3)
    """
    dtype, extents = _float(dtype), list(shape)
    unit = raw.random_uniform(_key(seed), shape=extents)
    if not (_is_number(minval) and _is_number(maxval)):
        low, high = _parameter(minval, extents), _parameter(maxval, extents)
        return (unit * (high - low) + low).astype(dtype)
    return (unit * float(maxval - minval) + float(minval)).astype(dtype)


def normal(shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Normal of `mean` and `stddev` (Box and Muller 1958).

    Args:
        shape: Extents of the result.
        mean: Mean, a number or a tensor that broadcasts to `shape`.
        stddev: Standard deviation, likewise.
        dtype: A float type, as `ops.cast` takes it; float32 by default.
        seed: Integer, SeedGenerator, or None for the generator of the process.

    >>> from cnnrs import random
    >>> values = random.normal((1000,), mean=5.0, seed=1).numpy()
    >>> bool(4.8 < values.mean() < 5.2)
    True
    """
    dtype, extents = _float(dtype), list(shape)
    drawn = raw.random_normal(_key(seed), shape=extents)
    return _scaled(drawn, mean, stddev, extents).astype(dtype)


# Giles 2010, "Approximating the erfinv function", single precision, the branch for w < 5: enough for
# |x| <= erf(√2), which are two standard deviations.
_ERFINV = (
    2.81022636e-08,
    3.43273939e-07,
    -3.5233877e-06,
    -4.39150654e-06,
    0.00021858087,
    -0.00125372503,
    -0.00417768164,
    0.246640727,
    1.50140941,
)


def truncated_normal(
    shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Normal of `mean` and `stddev` cut at two standard deviations, by the inverse distribution.

    Args:
        shape: Extents of the result.
        mean: Mean before the cut, a number or a tensor that broadcasts to `shape`.
        stddev: Standard deviation before the cut, likewise.
        dtype: A float type, as `ops.cast` takes it; float32 by default.
        seed: Integer, SeedGenerator, or None for the generator of the process.

    >>> from cnnrs import random
    >>> bool(abs(random.truncated_normal((1000,), seed=1).numpy()).max() <= 2.0)
    True
    """
    dtype = _float(dtype)
    unit = raw.random_uniform(_key(seed), shape=list(shape))
    x = (unit * 2.0 - 1.0) * math.erf(math.sqrt(2.0))
    w = -raw.log(1.0 - x * x) - 2.5
    p: Any = _ERFINV[0]
    for coefficient in _ERFINV[1:]:
        p = w * p + coefficient
    drawn = raw.clip(p * x * math.sqrt(2.0), min=-2.0, max=2.0)
    return _scaled(drawn, mean, stddev, list(shape)).astype(dtype)


def randint(shape: Any, minval: int, maxval: int, dtype: Any = "int32", seed: Any = None) -> Any:
    """Integers in `minval`..`maxval`, the upper bound excluded.

    Args:
        shape: Extents of the result.
        minval: Lower bound, an integer.
        maxval: Upper bound, an integer of `minval + 1` to `minval + 2**32`.
        dtype: An integer type, as `ops.cast` takes it; int32 by default.
        seed: Integer, SeedGenerator, or None for the generator of the process.

    Returns:
        Tensor of that shape and type.

    Raises:
        TypeError: No tensor holds such elements.
        ValueError: `dtype` is no integer type, or the bounds are none of the above.

    >>> from cnnrs import random
    >>> sorted(set(random.randint((100,), 3, 6, seed=1).tolist()))
    [3, 4, 5]
    """
    kind = standardize_dtype(dtype)
    if kind not in INTEGERS:
        raise ValueError(f"randint: dtype: expected one of {', '.join(INTEGERS)}, received {dtype!r}")
    if not 0 < maxval - minval <= 2**32:
        raise ValueError(f"randint: expected maxval of minval + 1..2**32, received {minval} and {maxval}")
    if maxval - minval > 2**24:
        # Uniform numbers have 24 bits; two of them, 48, so that no integer comes more often than another by
        # more than one part in 2**16.
        extents = [int(n) for n in shape]
        parts = raw.random_uniform(_key(seed), shape=[2, *extents]).astype("float64")
        weights = np.array([1.0, 2.0**-24]).reshape([2] + [1] * len(extents))
        whole = raw.floor(raw.sum(parts * weights, axes=[0]) * np.float64(maxval - minval))
        return (whole.astype("int64") + np.int64(minval)).astype(kind)
    unit = uniform(shape, seed=seed)
    drawn = raw.floor(unit * float(maxval - minval)).astype("int32")
    return (raw.minimum(drawn, int(maxval - minval) - 1) + int(minval)).astype(kind)


def categorical(logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None) -> Any:
    """Class indices of shape (n, num_samples), drawn by `softmax(logits)` of shape (n, classes).

    The Gumbel-max trick (Maddison, Tarlow and Minka 2014).

    >>> from cnnrs import random
    >>> random.categorical([[0.0, 50.0]], 3, seed=1).tolist()
    [[1, 1, 1]]
    """
    if not isinstance(logits, (_core.Tensor, _core.Variable)):
        logits = _core.tensor(logits, dtype="float32")
    if len(logits.shape) != 2:
        raise ValueError(f"categorical: logits: expected shape (n, classes), received {tuple(logits.shape)}")
    rows, classes = logits.shape
    shape = [rows, int(num_samples), classes]
    unit = raw.random_uniform(_key(seed), shape=shape)
    # Half a step of the 24 bits keeps both logarithms finite.
    gumbel = -raw.log(-raw.log(unit * (1.0 - 2.0**-24) + 2.0**-25))
    scores = gumbel + raw.expand_dims(logits, axis=1)
    return raw.argmax(scores, axis=2).astype(standardize_dtype(dtype))


def dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
    """Sets a random part of the elements to 0 and scales the rest by `1 / (1 - rate)`.

    Args:
        inputs: Tensor of floats, of any shape.
        rate: The part, 0 <= rate <= 1.
        noise_shape: Shape of the mask, which broadcasts to the inputs; None for theirs, also for single
            extents.
        seed: Integer, SeedGenerator, or None for the generator of the process.

    >>> import numpy as np
    >>> from cnnrs import random
    >>> sorted(set(random.dropout(np.ones(100, "float32"), 0.5, seed=1).tolist()))
    [0.0, 2.0]
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"dropout: rate: expected 0 <= rate <= 1, received {rate}")
    if rate == 1:
        # Nothing stays, and nothing is scaled.
        return raw.where(True, 0.0, inputs)
    if noise_shape is None:
        return raw.dropout(inputs, _key(seed), rate=float(rate))
    noise = [n if extent is None else extent for extent, n in zip(noise_shape, inputs.shape, strict=True)]
    dtype = dtype_name(inputs.dtype)
    ones = _core.tensor(np.ones(noise, "float32")).astype(dtype if dtype in FLOATS else "float32")
    return inputs * raw.dropout(ones, _key(seed), rate=float(rate))


# Candidates that are drawn side by side, so that one of them is accepted all but surely: a draw of no graph
# repeats itself. One in 20 is refused for gamma, one in 5 for binomial numbers.
_GAMMA_CANDIDATES = 8
_BINOMIAL_CANDIDATES = 16
# Below this mean a binomial number is found by adding up probabilities, of which those beyond are nothing.
_FEW = 10.0
_FEW_AT_MOST = 64


def _unit(shape: list[int], seed: Any) -> Any:
    """Uniform in 0..1, neither bound included."""
    return raw.random_uniform(_key(seed), shape=shape) * (1.0 - 2.0**-24) + 2.0**-25


def _parameter(value: Any, shape: list[int]) -> Any:
    x = value if isinstance(value, (_core.Tensor, _core.Variable)) else _core.tensor(value)
    x = x.value if isinstance(x, _core.Variable) else x
    return raw.broadcast_to(x.astype("float32"), shape=shape)


def _source(seed: Any) -> Any:
    """What gives several keys for one draw: an integer gives the same ones each time."""
    return seed if seed is None or isinstance(seed, SeedGenerator) else SeedGenerator(seed)


def _first_accepted(values: Any, accepted: Any) -> Any:
    """The first of the candidates along axis 0 that is accepted; the first of all if none is."""
    return raw.sum(values * _one_hot(raw.argmax(accepted, axis=0), values.shape[0]), [0])


def _one_hot(index: Any, depth: int) -> Any:
    places = np.arange(depth, dtype=np.int32).reshape([-1] + [1] * len(index.shape))
    return raw.equal(raw.expand_dims(index, axis=0), places).astype("float32")


def _log_gamma_draw(shape: list[int], alpha: Any, source: Any) -> Any:
    """Logarithms of gamma numbers (Marsaglia and Tsang 2000). Those of alpha < 1 are of alpha + 1, times u^(1
    / alpha):
    that may be less than float32 has."""
    few = (alpha < 1.0).astype("float32")
    d = alpha + few - 1.0 / 3.0
    c = raw.rsqrt(9.0 * d)
    many = [_GAMMA_CANDIDATES, *shape]
    x = raw.random_normal(_key(source), shape=many)
    v = 1.0 + c * x
    positive = v > 0.0
    log_v = 3.0 * raw.log(raw.where(positive, v, 1.0))
    v = raw.where(positive, v * v * v, 1.0)
    bound = 0.5 * x * x + d * (1.0 - v + log_v)
    accepted = raw.where(positive, raw.log(_unit(many, source)) < bound, False)
    own = raw.log(d) + _first_accepted(log_v, accepted.astype("float32"))
    return own + few * raw.log(_unit(shape, source)) / alpha


def gamma(shape: Any, alpha: Any, dtype: Any = None, seed: Any = None) -> Any:
    """Gamma numbers of a shape parameter and of scale 1.

    Args:
        shape: Extents of the result.
        alpha: The shape parameter, a number > 0 or a tensor that broadcasts to `shape`.
        dtype: A float type, as `ops.cast` takes it; float32 by default.
        seed: Integer, SeedGenerator, or None for the generator of the process.

    Returns:
        Tensor of that shape and type, of numbers > 0; those too small for it are its smallest.

    Raises:
        ValueError: `dtype` is no float type, or `alpha` does not broadcast.

    >>> from cnnrs import random
    >>> bool(2.8 < random.gamma((10000,), 3.0, seed=1).numpy().mean() < 3.2)
    True
    """
    dtype, extents = _float(dtype), list(shape)
    drawn = raw.exp(_log_gamma_draw(extents, _parameter(alpha, extents), _source(seed)))
    least = 6.0e-8 if dtype == "float16" else 1.2e-38
    return raw.maximum(drawn, least).astype(dtype)


def beta(shape: Any, alpha: Any, beta: Any, dtype: Any = None, seed: Any = None) -> Any:
    """Beta numbers: the part that one gamma number has of the sum of two.

    Args:
        shape: Extents of the result.
        alpha: The first parameter, a number > 0 or a tensor that broadcasts to `shape`.
        beta: The second parameter, likewise.
        dtype: A float type, as `ops.cast` takes it; float32 by default.
        seed: Integer, SeedGenerator, or None for the generator of the process.

    Returns:
        Tensor of that shape and type, of numbers from 0 to 1.

    Raises:
        ValueError: `dtype` is no float type, or a parameter does not broadcast.

    >>> from cnnrs import random
    >>> bool(0.23 < random.beta((10000,), 1.0, 3.0, seed=1).numpy().mean() < 0.27)
    True
    """
    dtype, extents, source = _float(dtype), list(shape), _source(seed)
    first = _log_gamma_draw(extents, _parameter(alpha, extents), source)
    second = _log_gamma_draw(extents, _parameter(beta, extents), source)
    return raw.sigmoid(first - second).astype(dtype)


def _stirling_tail(k: Any) -> Any:
    """log(k!) less Stirling's formula, of which three terms do."""
    inverse = 1.0 / (k + 1.0)
    square = inverse * inverse
    return (1.0 / 12.0 - (1.0 / 360.0 - square / 1260.0) * square) * inverse


def _binomial_of_many(shape: list[int], n: Any, p: Any, source: Any) -> Any:
    """Binomial numbers of a mean of at least 10, p <= 1/2 (Hörmann 1993, algorithm BTRS), with logarithms of
    quotients
    near 1 taken of their distance from it."""
    q = 1.0 - p
    deviation = raw.sqrt(n * p * q)
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p
    centre = n * p + 0.5
    scale = (2.83 + 5.1 / b) * deviation
    middle = raw.floor((n + 1.0) * p)
    many = [_BINOMIAL_CANDIDATES, *shape]
    u, v = _unit(many, source) - 0.5, _unit(many, source)
    us = 0.5 - raw.abs(u)
    k = raw.floor((2.0 * a / us + b) * u + centre)
    inside = raw.minimum((k >= 0.0).astype("float32"), (k <= n).astype("float32"))
    at = raw.minimum(raw.maximum(k, 0.0), n)
    away = middle - at
    bound = (
        (middle + 0.5) * (raw.log1p(away / (at + 1.0)) + raw.log1p(away / (n - middle + 1.0)))
        - away * raw.log(p / q * (n - at + 1.0) / (at + 1.0))
        + (n + 1.0) * raw.log1p(-away / (n - at + 1.0))
        + (_stirling_tail(middle) + _stirling_tail(n - middle) - _stirling_tail(at) - _stirling_tail(n - at))
    )
    squeezed = raw.minimum((us >= 0.07).astype("float32"), (v <= 0.92 - 4.2 / b).astype("float32"))
    below = (raw.log(v * scale / (a / (us * us) + b)) <= bound).astype("float32")
    return _first_accepted(at, raw.maximum(squeezed, inside * below))


def _binomial_of_few(shape: list[int], n: Any, p: Any, source: Any) -> Any:
    """Binomial numbers of a mean below 10: as many as there are sums of probabilities below a draw."""
    odds = raw.log(raw.maximum(p, 1e-37)) - raw.log1p(-p)
    u = _unit(shape, source)
    log_probability = n * raw.log1p(-p)
    total = raw.exp(log_probability)
    found = (u > total).astype("float32")
    for k in range(1, _FEW_AT_MOST):
        left = raw.maximum(n - (k - 1.0), 0.0)
        log_probability = log_probability + raw.log(left / float(k)) + odds
        total = total + raw.exp(log_probability)
        found = found + (u > total).astype("float32")
    return raw.minimum(found, n)


def binomial(shape: Any, counts: Any, probabilities: Any, dtype: Any = None, seed: Any = None) -> Any:
    """Binomial numbers: how often something happens in a number of trials.

    Args:
        shape: Extents of the result.
        counts: The number of trials, a whole number from 0 to 2^24 or a tensor that broadcasts to `shape`.
        probabilities: The probability of each, from 0 to 1, or a tensor that broadcasts to `shape`.
        dtype: A float type, as `ops.cast` takes it; float32 by default.
        seed: Integer, SeedGenerator, or None for the generator of the process.

    Returns:
        Tensor of that shape and type, of whole numbers from 0 to `counts`.

    Raises:
        ValueError: `dtype` is no float type, or a parameter does not broadcast.

    >>> from cnnrs import random
    >>> bool(29.5 < random.binomial((10000,), 100, 0.3, seed=1).numpy().mean() < 30.5)
    True
    """
    dtype, extents, source = _float(dtype), list(shape), _source(seed)
    n, given = _parameter(counts, extents), _parameter(probabilities, extents)
    p = raw.minimum(given, 1.0 - given)
    few = n * p < _FEW
    # Each form sees parameters that it takes.
    many_n, many_p = raw.where(few, 100.0, n), raw.where(few, 0.5, p)
    few_n, few_p = raw.where(few, n, 1.0), raw.where(few, p, 0.5)
    of_few, of_many = (
        _binomial_of_few(extents, few_n, few_p, source),
        _binomial_of_many(extents, many_n, many_p, source),
    )
    drawn = raw.where(few, of_few, of_many)
    return raw.where(given > 0.5, n - drawn, drawn).astype(dtype)


def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Any:
    """The slices of `x` along `axis` in random order.

    Args:
        x: Tensor or array.
        axis: The axis.
        seed: Integer, SeedGenerator, or None for a fresh one. The order is drawn on the host.

    >>> import numpy as np
    >>> from cnnrs import random
    >>> sorted(random.shuffle(np.arange(5), seed=1).tolist())
    [0, 1, 2, 3, 4]
    """
    length = x.shape[axis]
    source = seed if isinstance(seed, SeedGenerator) else SeedGenerator(seed)
    order = np.random.Generator(np.random.Philox(key=source.next_seed())).permutation(length)
    return raw.gather(x, order.astype("int32"), axis=axis)
