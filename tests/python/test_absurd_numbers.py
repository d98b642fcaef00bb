"""Every layer and op with 0, -1, 2**31, 2**61, 2**63 and their like for each of its numbers: the right result
or a clear error, under a bound on memory, in a process that goes on.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("absurd_cases.py")
# Seconds that one case may take before it counts as hanging.
PATIENCE = 60
# What may be raised. An OverflowError of the range of int32 names the value and what was expected.
CLEAR = (
    "fine",
    "ValueError",
    "TypeError",
    "MemoryError",
    "IndexError",
    "NotImplementedError",
    "OverflowError: expected",
)

if sys.platform != "linux":
    pytest.skip("the bound on memory is Linux's", allow_module_level=True)


def outcomes(kind: str) -> dict[str, str]:
    """What became of each case; a process that dies is followed by one that begins behind the case."""
    found: dict[str, str] = {}
    first = 0
    while True:
        command = [sys.executable, str(PROGRAM), kind, str(first), str(PATIENCE)]
        done = subprocess.run(command, capture_output=True, text=True)
        label = ""
        for line in done.stdout.splitlines():
            word, _, rest = line.partition(" ")
            if word == "begin":
                number, _, label = rest.partition(" ")
                first = int(number) + 1
                found[label] = f"died: {done.returncode}: {done.stderr[-300:]}"
            elif word == "end":
                found[label] = rest.partition(" ")[2]
            elif word == "done":
                return found
        assert label, done.stderr


@pytest.mark.parametrize(("kind", "least"), [("layers", 850), ("ops", 600)])
def test_absurd_numbers_end_in_results_or_clear_errors(kind, least):
    found = outcomes(kind)
    assert len(found) >= least
    wrong = {label: outcome for label, outcome in found.items() if not outcome.startswith(CLEAR)}
    assert not wrong, "\n".join(f"{label}: {outcome}" for label, outcome in wrong.items())
    # Cases that were meant to work do, so that errors are not all there is.
    assert sum(outcome == "fine" for outcome in found.values()) * 10 >= len(found)
