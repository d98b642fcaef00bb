"""Keys of random draws inside of a function that is called for each element of a data set.

Such calls run in any order and in several threads. What they draw must not depend on that, so the keys come
from the element, not from generators that move on: a key is that of the element, shifted by which generator
draws, and for which time in this call.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from cnnrs import _core

__all__ = ["KeyScope", "current"]


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


class KeyScope:
    """Context manager in which draws take their keys from one base key, in the order of the draws.

    Args:
        base: The key of the element: an array or tensor of two int32, or a placeholder for one.

    >>> import numpy as np
    >>> from cnnrs import random
    >>> def draw(element):
    ...     with KeyScope(np.array([7, element], np.int32)):
    ...         return float(random.uniform(())), float(random.uniform(()))
    >>> draw(1) == draw(1), draw(1) == draw(2), len(set(draw(1)))
    (True, False, 2)
    """

    def __init__(self, base: Any):
        self._base = base
        self.draws = 0

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
        shift = np.array([self._shift(seed), 0], np.uint32).view(np.int32)
        if isinstance(self._base, np.ndarray):
            return _core.tensor(self._base + shift)
        return self._base + _core.tensor(shift)

    def seed(self) -> int:
        """A seed, a positive int32, for what is made inside; of a placeholder, the same for each element."""
        shift = self._shift(0)
        if isinstance(self._base, np.ndarray):
            first, second = self._base.view(np.uint32).tolist()
            shift = _mixed(first << 32 | second, shift)
        return shift % (2**31 - 2) + 1
