"""`tf.random`: draws with TensorFlow's arguments. The numbers are others, of the same distributions.

An operation with a seed gives another draw each time it is called; after `set_seed` the same ones again,
as in TensorFlow. Stateless functions give the same for the same seed.

>>> import cnnrs.compat.tf as tf
>>> tf.random.set_seed(1)
>>> a = tf.random.uniform((3,), seed=2)
>>> b = tf.random.uniform((3,), seed=2)
>>> tf.random.set_seed(1)
>>> bool(tf.reduce_all(a == tf.random.uniform((3,), seed=2))), bool(tf.reduce_all(a == b))
(True, False)
"""

from __future__ import annotations

import enum
from typing import Any

import numpy as np

from cnnrs import _core, ops, random
from cnnrs.compat.tf.arguments import as_float, extents, integer, tensor
from cnnrs.compat.tf.dtypes import as_dtype, float32, int64
from cnnrs.compat.tf.namespaces import unknown

__all__ = [
    "Algorithm",
    "Generator",
    "categorical",
    "gamma",
    "get_global_generator",
    "normal",
    "poisson",
    "set_global_generator",
    "set_seed",
    "shuffle",
    "stateless_categorical",
    "stateless_gamma",
    "stateless_normal",
    "stateless_truncated_normal",
    "stateless_uniform",
    "truncated_normal",
    "uniform",
]

# The generators of operations with seeds, by name and seed; and the seed that was set last.
_SOURCES: dict[tuple[str, int], random.SeedGenerator] = {}
_SEED = 0
_GLOBAL: list[Generator] = []


def set_seed(seed: Any) -> None:
    """Starts all draws afresh: those without a seed, and those with one."""
    global _SEED
    _SEED = integer(seed, "random.set_seed", "seed")
    _SOURCES.clear()
    _GLOBAL.clear()
    random.seed_everything(abs(_SEED))


def source(seed: Any, name: str) -> Any:
    """Where an operation takes its keys from: None for the generator of the process."""
    if seed is None or isinstance(seed, random.SeedGenerator):
        return seed
    number = integer(seed, f"random.{name}", "seed")
    if (name, number) not in _SOURCES:
        _SOURCES[name, number] = random.SeedGenerator(_mixed(_SEED, number))
    return _SOURCES[name, number]


def _mixed(a: int, b: int) -> int:
    """Two integers as one that differs for others."""
    return (
        int.from_bytes(
            np.random.SeedSequence([abs(a), a < 0, abs(b), b < 0]).generate_state(2).tobytes(), "little"
        )
        >> 1
    )


class _Keyed(random.SeedGenerator):
    """Keys that follow from a seed of two integers, which may be a tensor without a value yet."""

    def __init__(self, seed: Any):
        pair = ops.cast(tensor(seed), "int32")
        if tuple(pair.shape) != (2,):
            raise ValueError(f"tf.random: seed: expected two integers, received shape {tuple(pair.shape)}")
        # Odd factors: other pairs give other keys, and neighbours keys far apart.
        self._first = pair[0] * -1640531535 + pair[1]
        self._second = pair[1] * -2048144789
        self._asked = 0

    def next(self, ordered: bool = True) -> Any:
        """The next key: others than before, in the order of the calls."""
        self._asked += 1
        return ops.stack([self._first, self._second + (self._asked - 1) * 1013904223], axis=0)


def _number(x: Any) -> Any:
    """A bound as a number of Python if it is known, else as a tensor."""
    try:
        array = np.asarray(x)
    except _core.TracedValueError:
        return x
    return array.item() if array.ndim == 0 else array


def _uniform(shape: Any, minval: Any, maxval: Any, dtype: Any, seed: Any) -> Any:
    kind, whole = as_dtype(dtype), extents(shape, "random.uniform")
    low = _number(minval)
    if kind.is_floating:
        return random.uniform(whole, low, 1.0 if maxval is None else _number(maxval), kind.name, seed)
    if maxval is None:
        raise ValueError("tf.random.uniform: maxval: expected an integer for integers, received None")
    high = _number(maxval)
    if isinstance(low, int) and isinstance(high, int):
        if low >= high:
            raise ValueError(f"tf.random.uniform: expected minval < maxval, received {low} and {high}")
        return random.randint(whole, low, high, dtype=kind.name, seed=seed)
    low, high = (ops.cast(tensor(bound), kind.name) for bound in (low, high))
    width = ops.cast(high - low, "float32")
    drawn = ops.floor(random.uniform(whole, seed=seed) * width)
    # A draw next to 1 may be rounded up to the bound, which is excluded.
    return low + ops.cast(ops.minimum(drawn, width - 1.0), kind.name)


def uniform(
    shape: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = float32,
    seed: Any = None,
    name: str | None = None,
) -> Any:
    """Numbers of `minval` to `maxval`, which is excluded; of integers for an integer type.

    Args:
        shape: Extents.
        minval: The lower bound.
        maxval: The upper bound; 1 for floats if None.
        dtype: Element type.
        seed: Integer; None for the generator of the process.
        name: What begins the message of an error.
    """
    return _named(name, lambda: _uniform(shape, minval, maxval, dtype, source(seed, "uniform")))


def _named(name: str | None, draw: Any) -> Any:
    try:
        return draw()
    except (TypeError, ValueError) as error:
        raise (type(error)(f"{name}: {error}") if name else error) from None


def normal(
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = float32,
    seed: Any = None,
    name: str | None = None,
) -> Any:
    """Normally distributed numbers; arguments are those of `uniform`, with mean and standard deviation."""
    whole = extents(shape, "random.normal")
    keys = source(seed, "normal")
    return _named(
        name, lambda: random.normal(whole, _number(mean), _number(stddev), as_dtype(dtype).name, keys)
    )


def truncated_normal(
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = float32,
    seed: Any = None,
    name: str | None = None,
) -> Any:
    """As `normal`, drawn anew beyond two standard deviations."""
    whole, keys = extents(shape, "random.truncated_normal"), source(seed, "truncated_normal")
    return _named(
        name,
        lambda: random.truncated_normal(whole, _number(mean), _number(stddev), as_dtype(dtype).name, keys),
    )


def _gamma(shape: Any, alpha: Any, beta: Any, dtype: Any, seed: Any) -> Any:
    kind = as_dtype(dtype).name
    a, b = ops.cast(tensor(alpha), kind), ops.cast(tensor(1.0 if beta is None else beta), kind)
    inner = np.broadcast_shapes(tuple(a.shape), tuple(b.shape))
    return random.gamma([*extents(shape, "random.gamma"), *inner], a, kind, seed) / b


def gamma(
    shape: Any, alpha: Any, beta: Any = None, dtype: Any = float32, seed: Any = None, name: str | None = None
) -> Any:
    """Draws of gamma distributions, of shape `shape` + that of the parameters.

    Args:
        shape: Extents.
        alpha: The shape parameter, > 0.
        beta: The inverse scale, 1 if None.
        dtype: Element type.
        seed: Integer; None for the generator of the process.
        name: What begins the message of an error.
    """
    return _named(name, lambda: _gamma(shape, alpha, beta, dtype, source(seed, "gamma")))


def poisson(shape: Any, lam: Any, dtype: Any = float32, seed: Any = None, name: str | None = None) -> Any:
    """Poisson draws of shape `shape` + that of `lam`; they need values: not while recording."""

    def draw() -> Any:
        rate = np.asarray(lam, "float64")
        keys = source(seed, "poisson") or random.global_seed_generator()
        host = np.random.default_rng(keys.next_seed())
        return tensor(
            host.poisson(rate, (*extents(shape, "random.poisson"), *rate.shape)).astype(as_dtype(dtype).name)
        )

    return _named(name, draw)


def categorical(
    logits: Any, num_samples: Any, dtype: Any = None, seed: Any = None, name: str | None = None
) -> Any:
    """Classes drawn by their logits: of shape (batch, num_samples), int64 by default."""
    keys = source(seed, "categorical")
    return _named(name, lambda: _categorical(logits, num_samples, dtype, keys))


def _categorical(logits: Any, num_samples: Any, dtype: Any, keys: Any) -> Any:
    many = integer(num_samples, "random.categorical", "num_samples")
    drawn = random.categorical(as_float(logits, "random.categorical"), many, seed=keys)
    return ops.cast(drawn, as_dtype(dtype or int64).name)


def shuffle(value: Any, seed: Any = None, name: str | None = None) -> Any:
    """The slices along the first axis in a random order."""
    return _named(name, lambda: random.shuffle(tensor(value), seed=source(seed, "shuffle")))


class Algorithm(enum.Enum):
    """Algorithms of TensorFlow; draws here are all of Philox."""

    PHILOX = 1
    THREEFRY = 2
    AUTO_SELECT = 3


def _algorithm(alg: Any) -> None:
    if getattr(alg, "name", str(alg)).lower() not in ("philox", "auto_select", "1", "3"):
        raise ValueError(f"tf.random: alg: expected philox or auto_select, received {alg!r}")


def stateless_uniform(
    shape: Any,
    seed: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = float32,
    name: str | None = None,
    alg: Any = "auto_select",
) -> Any:
    """As `uniform`, the same for the same seed of two integers; `alg` is "philox" or "auto_select"."""
    _algorithm(alg)
    return _named(name, lambda: _uniform(shape, minval, maxval, dtype, _Keyed(seed)))


def stateless_normal(
    shape: Any,
    seed: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = float32,
    name: str | None = None,
    alg: Any = "auto_select",
) -> Any:
    """As `normal`, the same for the same seed of two integers; `alg` is "philox" or "auto_select"."""
    _algorithm(alg)
    kind, whole = as_dtype(dtype).name, extents(shape, "random.stateless_normal")
    return _named(name, lambda: random.normal(whole, _number(mean), _number(stddev), kind, _Keyed(seed)))


def stateless_truncated_normal(
    shape: Any,
    seed: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = float32,
    name: str | None = None,
    alg: Any = "auto_select",
) -> Any:
    """As `truncated_normal`, the same for the same seed; `alg` is "philox" or "auto_select"."""
    _algorithm(alg)
    kind, whole = as_dtype(dtype).name, extents(shape, "random.stateless_truncated_normal")
    return _named(
        name, lambda: random.truncated_normal(whole, _number(mean), _number(stddev), kind, _Keyed(seed))
    )


def stateless_gamma(
    shape: Any, seed: Any, alpha: Any, beta: Any = None, dtype: Any = float32, name: str | None = None
) -> Any:
    """As `gamma`, of the whole shape, the same for the same seed."""

    def draw() -> Any:
        kind = as_dtype(dtype).name
        drawn = random.gamma(
            extents(shape, "random.stateless_gamma"), ops.cast(tensor(alpha), kind), kind, _Keyed(seed)
        )
        return drawn if beta is None else drawn / ops.cast(tensor(beta), kind)

    return _named(name, draw)


def stateless_categorical(
    logits: Any, num_samples: Any, seed: Any, dtype: Any = int64, name: str | None = None
) -> Any:
    """As `categorical`, the same for the same seed of two integers."""
    return _named(name, lambda: _categorical(logits, num_samples, dtype, _Keyed(seed)))


class Generator:
    """A source of draws of its own.

    Args:
        seed: Integer.

    >>> import cnnrs.compat.tf as tf
    >>> one, two = tf.random.Generator.from_seed(3), tf.random.Generator.from_seed(3)
    >>> bool(tf.reduce_all(one.normal((4,)) == two.normal((4,)))), one.make_seeds(2).shape.as_list()
    (True, [2, 2])
    """

    def __init__(self, seed: int):
        self._keys = random.SeedGenerator(integer(seed, "random.Generator", "seed"))

    @classmethod
    def from_seed(cls, seed: Any, alg: Any = None) -> Generator:
        """A generator that starts at a seed; `alg` is "philox", "auto_select" or None."""
        _algorithm("philox" if alg is None else alg)
        given = np.asarray(seed).reshape(-1).tolist()
        return cls(given[0] if len(given) == 1 else _mixed(given[0], given[1]))

    @classmethod
    def from_non_deterministic_state(cls, alg: Any = None) -> Generator:
        """A generator that starts anywhere."""
        _algorithm("philox" if alg is None else alg)
        return cls(int.from_bytes(np.random.SeedSequence().generate_state(1).tobytes(), "little") >> 1)

    @property
    def state(self) -> Any:
        """The variable that says where it is."""
        return self._keys.state

    @property
    def key(self) -> Any:
        """The seed."""
        return self._keys.state.value[0]

    def reset(self, state: Any) -> None:
        """Goes to a state that `state` had."""
        self._keys.state.assign(state)

    def reset_from_seed(self, seed: Any) -> None:
        """Starts at a seed."""
        self._keys.state.assign(Generator.from_seed(seed)._keys.state.value)

    def uniform(
        self, shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = float32, name: str | None = None
    ) -> Any:
        """As `tf.random.uniform`."""
        return _named(name, lambda: _uniform(shape, minval, maxval, dtype, self._keys))

    def normal(
        self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = float32, name: str | None = None
    ) -> Any:
        """As `tf.random.normal`."""
        return normal(shape, mean, stddev, dtype, self._keys, name)

    def truncated_normal(
        self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = float32, name: str | None = None
    ) -> Any:
        """As `tf.random.truncated_normal`."""
        return truncated_normal(shape, mean, stddev, dtype, self._keys, name)

    def uniform_full_int(self, shape: Any, dtype: Any = "uint64", name: str | None = None) -> Any:
        """Integers of all values that a type of 32 bits at most has."""
        kind = as_dtype(dtype)
        if kind.size > 4:
            raise ValueError("uniform_full_int: dtype: expected at most 32 bits, such as tf.int32")
        return self.uniform(shape, kind.min, kind.max, kind, name)

    def make_seeds(self, count: Any = 1) -> Any:
        """Seeds for stateless functions: integers of shape (2, count)."""
        many = integer(count, "make_seeds", "count")
        return random.randint((2, many), -(2**31), 2**31 - 1, dtype="int32", seed=self._keys)

    def split(self, count: Any = 1) -> list[Generator]:
        """Generators of their own."""
        return [Generator(self._keys.next_seed()) for _ in range(integer(count, "split", "count"))]


def get_global_generator() -> Generator:
    """The generator of the process."""
    if not _GLOBAL:
        _GLOBAL.append(Generator(random.draw_seed()))
    return _GLOBAL[0]


def set_global_generator(generator: Generator) -> None:
    """Makes a generator that of the process, for `get_global_generator`."""
    if not isinstance(generator, Generator):
        raise TypeError(f"set_global_generator: expected a Generator, received {generator!r}")
    _GLOBAL[:] = [generator]


__getattr__ = unknown(
    "tf.random",
    {
        "experimental": "tf.random.Generator and the stateless functions stand in tf.random",
        "create_rng_state": "use tf.random.Generator.from_seed",
        "all_candidate_sampler fixed_unigram_candidate_sampler learned_unigram_candidate_sampler "
        "log_uniform_candidate_sampler uniform_candidate_sampler": "cnnrs is for images",
        "stateless_binomial stateless_poisson stateless_parameterized_truncated_normal": (
            "use cnnrs.random.binomial, tf.random.poisson or stateless_truncated_normal"
        ),
        "fold_in split random_shuffle index_shuffle": "use tf.random.Generator",
    },
    __all__,
)
