"""What tests of several files share."""

import gc
import sys
from pathlib import Path

import pytest

from cnnrs import config

# Modules beside the tests that several of them import.
sys.path.insert(0, str(Path(__file__).parent))


def pytest_collection_finish() -> None:
    """Keeps what has been collected out of garbage collections.

    Each would look through 14,000 tests and all that they import: 10.7 s of a test that clears sessions, 0.06
    without.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def plain_policy():
    """Gives the process its dtype policy back behind a test that sets one."""
    yield
    config.set_dtype_policy("float32")
