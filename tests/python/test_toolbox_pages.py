"""The scripts of pages of docs/toolbox run as they stand, and their pictures are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "docs" / "toolbox"


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.stem)
def test_scripts_run(page):
    scripts = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    # Those of the examples are files, which have tests of their own.
    assert scripts or page.stem == "examples"
    command = [sys.executable, "-W", "error", "-c", "\n".join(scripts)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.stem)
def test_what_a_page_links_to_is_there(page):
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target
