"""The table of TensorFlow's names: there, or what to use instead.

    python tests/tf_names.py            # says whether docs/tf-names.md is current
    python tests/tf_names.py --write    # writes it

What is asked is the package itself. TensorFlow's public names are those of `tests/fixtures/tf_names.json`,
which `tests/tf_compare/signatures.py` wrote with TensorFlow.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import cnnrs.compat.tf as tf

__all__ = ["page", "resolve"]

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "tf-names.md"
NAMES: dict[str, str | None] = json.loads((Path(__file__).parent / "fixtures" / "tf_names.json").read_text())


def resolve(name: str) -> Any:
    """What the bridge has under a name such as "tf.image.resize".

    Raises:
        AttributeError: Nothing.
    """
    found: Any = tf
    for part in name.split(".")[1:]:
        found = getattr(found, part)
    return found


def page() -> str:
    """The page, module by module."""
    there: dict[str, list[str]] = defaultdict(list)
    reasons: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    silent: dict[str, int] = defaultdict(int)
    for name in NAMES:
        place, _, last = name.rpartition(".")
        try:
            resolve(name)
            there[place].append(last)
        except AttributeError as error:
            _, reason, text = str(error).partition(": ")
            if reason:
                reasons[place][text].append(last)
            else:
                silent[place] += 1
    many = sum(map(len, there.values()))
    lines = [
        "# TensorFlow's names: there, or what to use",
        "",
        f"Of {len(NAMES)} functions and classes in the modules of TensorFlow 2 below, {many} are there.",
        "[keras.md](keras.md#the-names-of-tensorflow) says where they differ. "
        "`python tests/tf_names.py --write` writes this page from the package; do not edit it.",
        "`tf.keras` is cnnrs itself: [keras-names.md](keras-names.md).",
    ]
    for place in sorted({*there, *reasons}):
        lines += ["", f"## {place}", ""]
        if there[place]:
            lines.append(f"There: {', '.join(f'`{name}`' for name in sorted(there[place]))}.")
        if reasons[place]:
            lines += ["", "| name | |", "|---|---|"] if there[place] else ["| name | |", "|---|---|"]
            for reason, names in sorted(reasons[place].items(), key=lambda item: item[1][0]):
                lines.append(f"| {', '.join(f'`{name}`' for name in sorted(names))} | {reason} |")
        if silent[place]:
            lines += [
                "",
                f"{silent[place]} others are absent, and an AttributeError names the closest that is there.",
            ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="tf_names", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/tf-names.md")
    if parser.parse_args().write:
        PAGE.write_text(page())
    elif PAGE.read_text() != page():
        sys.exit(f"{PAGE} is not current: python tests/tf_names.py --write")


if __name__ == "__main__":
    main()
