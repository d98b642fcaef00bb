"""A few cases of each campaign of tests/faults, which has many more of its own: `make faults`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGNS = Path(__file__).parents[1] / "faults"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="campaigns fork, kill and bound memory")


@pytest.mark.parametrize(
    "arguments",
    [
        ["kills.py", "--kills", "15", "--units", "300"],
        ["full_disk.py", "--rounds", "15"],
        ["read_only.py"],
        ["mutations.py", "--count", "1000"],
        ["containers.py", "--count", "1000"],
        ["forks.py", "--forks", "60"],
        ["signals.py", "--signals", "25"],
        ["threads.py", "--seconds", "4", "--threads", "8"],
        ["surroundings.py"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_campaign_finds_nothing(arguments):
    script, *rest = arguments
    done = subprocess.run(
        [sys.executable, CAMPAIGNS / script, *rest], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(" 0 findings\n")


def test_a_campaign_finds_what_is_there():
    """With the checksums passed over, flipped bits load; the campaign says so and fails."""
    program = """
import sys
sys.path.insert(0, sys.argv[1])
import mutations
mutations.mutate_bytes = lambda content, header, rng: content
sys.exit(mutations.main(["--count", "10"]))
"""
    done = subprocess.run([sys.executable, "-c", program, CAMPAIGNS], capture_output=True, text=True)
    assert done.returncode == 1
    assert "FINDING: bytes 0: damage that no checksum found" in done.stdout
