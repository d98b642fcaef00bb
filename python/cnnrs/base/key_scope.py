"""Keys of random draws inside of a function that is called for each element of a data set.

Such calls run in any order and in several threads. What they draw must not depend on that, so the keys come
from the element, not from generators that move on: a key is that of the element, shifted by which generator
draws, and for which time in this call. A generator that was given a seed depends on it, on the number of the
pass and on that of the element alone, not on what the process has drawn: its draws for the first element of
the first pass are those of a first call outside.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from cnnrs import _core

__all__ = ["KeyScope", "current", "folded", "keys_of"]

# An odd number, so that multiples of it are 2**32 different ones, far apart for numbers that are close.
_APART = 0x9E3779B1


class _State(threading.local):
    scope: KeyScope | None = None


_STATE = _State()


def current() -> KeyScope | None:
    """The innermost scope of this thread; None outside of scopes."""
    return _STATE.scope


def _mixed(seed: int, ordinal: int) -> int:
    """32 bits that two different pairs hardly share, by the mixer of SplitMix64 (Steele et al. 2014)."""
    z = (seed * 0x9E3779B97F4A7C15 + (ordinal + 1) * 0xD1B54A32D192ED03) & (2**64 - 1)
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
    return (z ^ (z >> 31)) & (2**32 - 1)


def folded(seed: int) -> int:
    """The 32 bits of a seed with which the keys of its generator begin."""
    return (seed ^ (seed >> 32)) & 0xFFFFFFFF


def keys_of(seed: list[int], first: int, count: int) -> np.ndarray:
    """The keys of elements of a pass, (count, 4) of int32.

    Args:
        seed: The seed of the step, and the number of the pass.
        first: The number of the first element.
        count: How many there are.
    """
    index = (first + np.arange(count, dtype=np.uint64)) & 0xFFFFFFFF
    number = seed[1]
    keys = np.zeros((count, 4), np.uint32)
    keys[:, 0] = np.random.SeedSequence(seed).generate_state(1)[0]
    keys[:, 1] = index
    # Without the seed of the step: for generators with one of their own.
    part = int(np.random.SeedSequence(number).generate_state(1)[0]) if number else 0
    keys[:, 2] = (index * np.uint64(_APART) + np.uint64(part)) & 0xFFFFFFFF
    return keys.view(np.int32)


class KeyScope:
    """Context manager in which draws take their keys from one base key, in the order of the draws.

    Args:
        base: The key of the element, as `keys_of` makes it: an array or tensor of four int32, or a
            placeholder for one.

    >>> import numpy as np
    >>> from cnnrs import random
    >>> def draw(element):
    ...     with KeyScope(keys_of([7, 0], element, 1)[0]):
    ...         return float(random.uniform(())), float(random.uniform(()))
    >>> draw(1) == draw(1), draw(1) == draw(2), len(set(draw(1)))
    (True, False, 2)
    """

    def __init__(self, base: Any):
        self._base = base
        self.draws = 0
        # How often each generator with a seed of its own has drawn. Held, so that no other takes its id.
        self._own: dict[int, tuple[Any, int]] = {}

    def __enter__(self) -> KeyScope:
        self._outer = _STATE.scope
        _STATE.scope = self
        return self

    def __exit__(self, *exception: object) -> None:
        _STATE.scope = self._outer

    def _shift(self, seed: int) -> int:
        self.draws += 1
        return _mixed(seed, self.draws)

    def key(self, seed: int) -> Any:
        """The key of the next draw, of a generator that was made with `seed`."""
        return self._shifted(0, self._shift(seed), 0)

    def own_key(self, generator: Any) -> Any:
        """The key of the next draw of a generator that was given its `seed`."""
        _, times = self._own.get(id(generator), (generator, 0))
        self._own[id(generator)] = generator, times + 1
        return self._shifted(2, folded(generator.seed), times)

    def _shifted(self, first: int, low: int, high: int) -> Any:
        """Two numbers of the base, shifted."""
        shift = np.array([low, high], np.uint32).view(np.int32)
        base = self._base[first : first + 2]
        return _core.tensor(base + shift) if isinstance(base, np.ndarray) else base + _core.tensor(shift)

    def seed(self) -> int:
        """A seed, a positive int32, for what is made inside; of a placeholder, the same for each element."""
        shift = self._shift(0)
        if isinstance(self._base, np.ndarray):
            first, second = self._base[:2].view(np.uint32).tolist()
            shift = _mixed(first << 32 | second, shift)
        return shift % (2**31 - 2) + 1
