"""What tests of several files share."""

import sys
from pathlib import Path

import pytest

from cnnrs import config

# Modules beside the tests that several of them import.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def plain_policy():
    """Gives the process its dtype policy back behind a test that sets one."""
    yield
    config.set_dtype_policy("float32")
