"""The scripts of docs/data/datasets.md run, one after the other."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "data" / "datasets.md"


def test_the_page(tmp_path: Path) -> None:
    """In a process of its own, in which nothing has asked for the names of TensorFlow's types."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) > 5
    script = "".join(f"{block}\nprint('== block {k}')\n" for k, block in enumerate(blocks))
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    parts = re.split(r"== block \d+\n", done.stdout)
    for block, part in zip(blocks, parts, strict=False):
        # What a line of the page says that it prints.
        said = re.findall(r"^print\(.*\)  # (.*)$", block, re.MULTILINE)
        assert not said or part.splitlines()[-len(said) :] == said
