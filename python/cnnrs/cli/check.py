"""`cnnrs check`: the names of Keras and TensorFlow that scripts use, and which there are."""

from __future__ import annotations

import argparse
from typing import Any

from cnnrs.cli.options import add_command, add_json

__all__ = ["add"]


def add(commands: Any) -> None:
    """Describes the command."""
    check = add_command(
        commands, "check", _check, "list the names of Keras and TensorFlow that scripts use",
        "List the names of Keras and TensorFlow that scripts and notebooks use, and which cnnrs "
        "has.\nNothing of them is executed. The exit status is 1 if one is missing.",
        "cnnrs check train.py\ncnnrs check notebooks/ --json",
    )  # fmt: skip
    check.add_argument("paths", nargs="+", metavar="path", help="a script, a notebook, or a folder of them")
    check.add_argument("--all", action="store_true", help="list the names that work, too")
    add_json(check, "what was found")


def _check(options: argparse.Namespace) -> int:
    """Files one after the other; with several, their number at the end."""
    import json

    from cnnrs import checking

    checked: list[checking.Checked] = []
    unreadable: list[str] = []
    for given in options.paths:
        try:
            for path in checking.programs(given):
                try:
                    checked.append(checking.check(path))
                    if not options.json:
                        print(checking.as_text(checked[-1], options.all))
                except checking.Unreadable as error:
                    unreadable.append(str(error))
                    if not options.json:
                        print(error)
        except checking.Unreadable as error:
            unreadable.append(str(error))
            if not options.json:
                print(error)
    fine = sum(file.is_fine for file in checked)
    if options.json:
        print(json.dumps(checking.as_json(checked, unreadable), indent=1))
    elif len(checked) + len(unreadable) > 1:
        print(f"{fine} of {len(checked) + len(unreadable)} files find all their names")
    return 0 if fine == len(checked) and not unreadable else 1
