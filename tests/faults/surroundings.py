"""Odd surroundings: each program runs in a process of its own, and gives its result or a clear error.

`python tests/faults/surroundings.py` prints one line of figures, and exits with 1 after a finding.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from typing import Any

TRAIN = """
import numpy as np
import cnnrs
from cnnrs import layers
model = cnnrs.Sequential([cnnrs.Input((8, 8, 1)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(2)])
model.compile("adam", "mse")
model.fit(np.ones((8, 8, 8, 1), "float32"), np.zeros((8, 2), "float32"), verbose={verbose})
assert model.predict(np.ones((3, 8, 8, 1), "float32"), verbose={verbose}).shape == (3, 2)
model.summary()
"""
QUIET, LOUD = TRAIN.format(verbose=0), TRAIN.format(verbose=1)


def limit(kind: int, most: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(kind, (most, most))


def closed(*numbers: int) -> Callable[[], None]:
    def close() -> None:
        for number in numbers:
            os.close(number)

    return close


# What is odd, the program, its environment, what happens before it starts, and a part of the error expected.
CASES: list[tuple[str, str, dict[str, str | None], Callable[[], None] | None, str]] = [
    ("no HOME", QUIET, {"HOME": None}, None, ""),
    ("HOME that is not there", QUIET, {"HOME": "/nonexistent"}, None, ""),
    ("an empty environment", QUIET, dict.fromkeys(os.environ), None, ""),
    ("ASCII output, a progress bar", LOUD, {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}, None, ""),
    ("no stdout", "import sys; sys.stdout = None\n" + LOUD, {}, None, ""),
    ("no stderr", "import sys; sys.stderr = None\n" + LOUD, {}, None, ""),
    ("stdin, stdout and stderr closed", LOUD, {}, closed(0, 1, 2), ""),
    ("without assertions and docstrings", QUIET, {"PYTHONOPTIMIZE": "2"}, None, ""),
    (
        "a folder that is gone",
        "import os, tempfile; d = tempfile.mkdtemp(); os.chdir(d); os.rmdir(d)\n" + QUIET,
        {},
        None,
        "",
    ),
    ("one thread", QUIET, {"CNNRS_NUM_THREADS": "1"}, None, ""),
    ("threads that are no number", QUIET, {"CNNRS_NUM_THREADS": "many"}, None, "CNNRS_NUM_THREADS"),
    ("no threads", QUIET, {"CNNRS_NUM_THREADS": "0"}, None, "CNNRS_NUM_THREADS"),
    ("an unknown instruction set", QUIET, {"CNNRS_ISA": "mmx"}, None, "CNNRS_ISA"),
    (
        "a bound on packed filters that is no number",
        QUIET,
        {"CNNRS_PACKED_BYTES": "much"},
        None,
        "CNNRS_PACKED_BYTES",
    ),
    ("no packed filters", QUIET, {"CNNRS_PACKED_BYTES": "0"}, None, ""),
    ("700 MiB of addresses", QUIET, {"OPENBLAS_NUM_THREADS": "1"}, limit(resource.RLIMIT_AS, 700 << 20), ""),
    ("20 open files", QUIET, {}, limit(resource.RLIMIT_NOFILE, 20), ""),
    ("a small stack", QUIET, {}, limit(resource.RLIMIT_STACK, 256 << 10), ""),
    ("warnings as errors", QUIET, {"PYTHONWARNINGS": "error"}, None, ""),
    ("development mode", QUIET, {"PYTHONDEVMODE": "1"}, None, ""),
]


def run(program: str, environment: dict[str, Any], before: Any) -> subprocess.CompletedProcess[str]:
    merged = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, "-c", program],
        env={key: value for key, value in merged.items() if value is not None},
        preexec_fn=before,
        capture_output=True,
        text=True,
        timeout=120,
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cases whose names hold this")
    options = parser.parse_args(arguments)
    cases = [case for case in CASES if options.only in case[0]]
    findings = []
    for name, program, environment, before, expected in cases:
        done = run(program, environment, before)
        fits = expected in done.stderr and done.returncode == 1 if expected else done.returncode == 0
        if not fits:
            findings.append(f"{name}: status {done.returncode}: {done.stderr.strip()[-400:]}")
    for line in findings:
        print(line)
    print(f"surroundings: {len(cases)} cases, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
