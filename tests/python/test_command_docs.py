"""docs/command-line.md and docs/serving.md say what there is, and their scripts run."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import cnnrs
from cnnrs import sanity
from cnnrs.cli import program
from cnnrs.runs.folder import RunFolder
from cnnrs.runs.settings import SETTINGS

DOCS = Path(__file__).parents[2] / "docs"
COMMANDS = (DOCS / "command-line.md").read_text("utf-8")
SERVING = (DOCS / "serving.md").read_text("utf-8")


def test_the_page_lists_each_setting_as_help_does():
    rows = [f"| `{row.table}` | `{row.name}` | {row.help.replace('|', '/')} |" for row in SETTINGS.values()]
    listed = COMMANDS.partition("<!-- settings")[2].partition("<!-- end")[0]
    assert [line for line in listed.splitlines() if line.startswith("| `")] == rows


def test_the_page_lists_each_command_and_each_file():
    commands = re.findall(r"^    ([a-z-]+)(?: |$)", program.make_parser().format_help(), re.MULTILINE)
    table = COMMANDS.partition("| command |")[2].partition("\n\n")[0]
    assert sorted(
        re.findall(r"`([a-z-]+)`", "".join(re.findall(r"^\|(.*?)\|", table, re.MULTILINE)))
    ) == sorted(commands)
    folder = RunFolder("run")
    for path in vars(folder).values():
        if path != folder.path:
            assert path.name in COMMANDS, path.name


def test_the_page_lists_each_finding():
    sources = "".join(path.read_text("utf-8") for path in Path(sanity.__file__).parent.glob("*.py"))
    sources += (Path(cnnrs.__file__).parent / "runs" / "inspecting.py").read_text("utf-8")
    codes = set(re.findall(r'findings\.add\(\s*"([a-z-]+)"', sources))
    assert len(codes) > 15
    assert {code for code in codes if f"`{code}`" not in COMMANDS} == set()


def test_the_scripts_of_the_pages_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = cnnrs.random.SeedGenerator(0)
    for name in ("cat", "dog"):
        os.makedirs(f"photos/{name}")
        for number in range(6):
            pixels = cnnrs.random.uniform((28, 28, 3), maxval=200, seed=rng).numpy()
            pixels[..., 0] += 55 * (name == "cat")
            cnnrs.utils.save_img(f"photos/{name}/{number}.png", pixels, scale=False)
    namespace: dict[str, object] = {}
    for page in (COMMANDS, SERVING):
        for script in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
            exec(script, namespace)
    assert re.search(r"(cat|dog) \d+\.\d%", capsys.readouterr().out)
    assert os.path.exists("run/report.html")


@pytest.mark.parametrize("page", [COMMANDS, SERVING], ids=["command-line", "serving"])
def test_flags_of_the_pages_are_there(page):
    known = set()
    parser = program.make_parser()
    for action in parser._actions:
        for command in getattr(action, "choices", None) or {}:
            sub = action.choices[command]
            known |= {flag for each in sub._actions for flag in each.option_strings}
    assert set(re.findall(r"(--[a-z][a-z-]+)", page)) - known == set()
