"""What tests of several files share."""

import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnrs import config, initializers

# Modules beside the tests that several of them import.
sys.path.insert(0, str(Path(__file__).parent))


def pytest_collection_finish() -> None:
    """Keeps what has been collected out of garbage collections.

    Each would look through 14,000 tests and all that they import: 10.7 s of a test that clears sessions, 0.06
    without. The second one counts what is left: full collections wait for a quarter more.
    """
    gc.collect()
    gc.freeze()
    gc.collect()


@pytest.fixture
def plain_policy():
    """Gives the process its dtype policy back behind a test that sets one."""
    yield
    config.set_dtype_policy("float32")


@pytest.fixture
def no_draws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Weights are zeros: the largest networks have 600 million of them. They go with the test."""

    def zeros(self: Any, shape: Any, dtype: Any = None) -> np.ndarray:
        return np.zeros(shape, dtype or "float32")

    for kind in (initializers.VarianceScaling, initializers.TruncatedNormal, initializers.RandomNormal):
        monkeypatch.setattr(kind, "__call__", zeros)
    yield
    gc.collect()
