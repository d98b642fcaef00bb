"""Ordinary scripts for Keras and tf.keras, run by `python -m cnnrs.keras` as they are."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import cnnrs
from cnnrs import cli

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.py"))
NEEDS = {"scikit_learn": "sklearn"}
# The package that is tested, wherever the script runs.
PACKAGES = str(Path(cnnrs.__file__).resolve().parents[1])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_scripts_run_to_their_end(script, tmp_path):
    needed = NEEDS.get(script.stem)
    if needed is not None and find_spec(needed) is None:
        pytest.skip(f"without {needed}")
    done = subprocess.run(
        [sys.executable, "-m", "cnnrs.keras", str(script)],
        cwd=tmp_path,
        env={**os.environ, "CNNRS_SEED": "1", "PYTHONPATH": PACKAGES},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert f"gives keras and tensorflow to {script.name}" in done.stderr


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_names_of_scripts_are_found(script, capsys):
    assert cli.main(["check", str(script)]) == 0, capsys.readouterr().out
