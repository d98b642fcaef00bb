"""Every layer on a GPU computes what it computes on the processor; see `layers_on_devices.py`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import test_layers
from test_devices import SOFTWARE, needs_software


@needs_software
def test_layers_compute_the_same_on_a_gpu():
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, str(here / "layers_on_devices.py")],
        capture_output=True,
        text=True,
        timeout=800,
        env={**os.environ, **SOFTWARE, "PYTHONPATH": os.pathsep.join([str(here), *sys.path])},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{len(test_layers.CASES)} compared"]
