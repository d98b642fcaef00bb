"""The README's example runs as it stands, on a part of MNIST."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import cnnrs

README = Path(__file__).parents[2] / "README.md"


def test_the_ten_lines_train_and_save(tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (x_train, y_train), (x_test, y_test) = cnnrs.datasets.mnist.load_data()
    small = (x_train[:6400], y_train[:6400]), (x_test[:1000], y_test[:1000])
    monkeypatch.setattr(cnnrs.datasets.mnist, "load_data", lambda: small)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(code, str(README), "exec"), names)
    assert "val_accuracy" in capsys.readouterr().out
    model = cnnrs.models.load_model("digits.safetensors")
    _, accuracy = model.evaluate(x_test[:1000], y_test[:1000], verbose=0)
    assert accuracy > 0.85


def test_the_figures_are_those_of_the_saved_results():
    script = README.parent / "benches" / "peers" / "figure.py"
    command = [sys.executable, str(script), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
