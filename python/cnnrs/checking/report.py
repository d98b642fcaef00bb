"""What was found, for people and for programs."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from cnnrs.checking.statuses import Checked, Finding

__all__ = ["as_json", "as_text"]

_WIDTH = 80
# Lines that are named before "and more".
_SHOWN = 6


def as_json(checked: Sequence[Checked], unreadable: Sequence[str]) -> dict[str, Any]:
    """What was found, as data for `json.dumps`.

    Args:
        checked: What was found in each file.
        unreadable: Messages about files that are no Python.

    Returns:
        A dictionary with "files" and "unreadable".
    """
    return {
        "files": [
            {
                "path": file.path,
                "ok": file.is_fine,
                "problems": file.problems,
                "names": [
                    {
                        "name": finding.name,
                        "status": finding.status.kind,
                        "text": finding.status.text,
                        "places": list(finding.places),
                        "optional": finding.is_optional,
                    }
                    for finding in file.findings
                ],
            }
            for file in checked
        ],
        "unreadable": list(unreadable),
    }


def as_text(file: Checked, show_all: bool = False) -> str:
    """What was found in a file, in lines of at most 80 characters.

    Args:
        file: What was found.
        show_all: Whether names that work are listed, too.

    Returns:
        The text, without a line's end.
    """
    names = [finding for finding in file.findings if "(" not in finding.name]
    works = [finding for finding in names if finding.status.kind == "works"]
    missing = [finding for finding in file.findings if finding.status.kind != "works"]
    count = "uses nothing of Keras or TensorFlow" if not names else _count(len(works), len(names))
    lines = [f"{file.path}: {count}", *(f"  {problem}" for problem in file.problems)]
    for finding in missing:
        lines += _entry(finding)
    if show_all:
        for finding in works:
            lines += _entry(finding)
    return "\n".join(lines)


def _count(works: int, names: int) -> str:
    if works == names:
        return "its name works" if names == 1 else f"all {names} names work"
    return f"{works} of {names} names work"


def _entry(finding: Finding) -> list[str]:
    places = list(finding.places[:_SHOWN])
    where = places[0] + "".join(f", {place.removeprefix('line ')}" for place in places[1:])
    where = where.replace("line ", "lines ", 1) if len(places) > 1 and where.startswith("line ") else where
    if len(finding.places) > _SHOWN:
        where += " and more"
    kind = finding.status.kind
    label = f"{'optional, ' if finding.is_optional else ''}{kind}"
    head = f"  {label:<8} {finding.name}  ({where})"
    if len(head) > _WIDTH:
        head = f"  {label:<8} {finding.name}\n           {where}"
    text = textwrap.wrap(finding.status.text, _WIDTH - 11)
    return [head, *(f"           {line}" for line in text)]
