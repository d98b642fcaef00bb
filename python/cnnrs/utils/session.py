"""The state of a session: seeds and names."""

from __future__ import annotations

import gc
import random

import numpy as np

from cnnrs import _core
from cnnrs.base import naming
from cnnrs.random import seed_everything

__all__ = ["clear_session", "set_random_seed"]


def set_random_seed(seed: int) -> None:
    """Seeds Python's `random`, numpy and cnnrs, so that a script gives the same numbers every time.

    Args:
        seed: Integer of 0..2³² - 1.

    Example:

    >>> import cnnrs
    >>> cnnrs.utils.set_random_seed(7)
    >>> a = cnnrs.initializers.GlorotUniform()((2, 2))
    >>> cnnrs.utils.set_random_seed(7)
    >>> bool((a == cnnrs.initializers.GlorotUniform()((2, 2))).all())
    True
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        raise ValueError(f"set_random_seed: seed: expected an integer of 0..2**32 - 1, received {seed!r}")
    random.seed(int(seed))
    np.random.seed(int(seed))  # noqa: NPY002 - users draw from the legacy generator
    seed_everything(int(seed))


def clear_session(free_memory: bool = True) -> None:
    """Automatic names start afresh, and memory that only caches hold is freed.

    Models and tensors that are still referred to stay as they are.

    Args:
        free_memory: Whether cached plans are dropped and memory for intermediates goes back to the system.

    >>> import cnnrs
    >>> cnnrs.utils.clear_session()
    >>> cnnrs.layers.Flatten().name
    'flatten'
    """
    naming.reset_uids()
    if free_memory:
        gc.collect()
        _core.release_memory()
