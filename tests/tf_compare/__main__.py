"""Compares `cnnrs.compat.tf` with TensorFlow: `make tf-compare`.

A worker evaluates every case of `cases.txt` and runs every script of `scripts.py` in each library,
TensorFlow's in an environment of its own. Values, dtypes, shapes and gradients are compared, and that both
refuse the same. `--write` keeps what TensorFlow gave in tests/fixtures/tf_bridge.json, which pytest compares
without TensorFlow, and writes the summary into docs/keras.md.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

from tf_compare.differences import difference, meant
from tf_compare.worker import names_of

FOLDER = pathlib.Path(__file__).parent
FIXTURE = FOLDER.parent / "fixtures" / "tf_bridge.json"
DOCS = FOLDER.parents[1] / "docs" / "keras.md"
BEGIN, END = "<!-- tf-compare: begin -->", "<!-- tf-compare: end -->"


def summary(outcomes: dict[str, list[tuple[str, str]]], names: set[str]) -> str:
    """Counts, and differences with their reasons."""
    counted = {kind: len(found) for kind, found in outcomes.items()}
    lines = [
        "| cases | names of `tf` in them | equal | both refuse | meant to differ | different |",
        "|---|---|---|---|---|---|",
        f"| {sum(counted.values())} | {len(names)} | {counted['equal']} | {counted['refused']} | "
        f"{counted['meant']} | {counted['differs']} |",
    ]
    reasons = dict.fromkeys(reason for _, reason in outcomes["meant"])
    if reasons:
        lines += ["", "Where they are meant to differ:", "", *(f"- {reason}" for reason in reasons)]
    return "\n".join(lines)


def _write(text: str) -> None:
    page = DOCS.read_text()
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{DOCS} lacks the marks {BEGIN} and {END}")
    DOCS.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="tf_compare", description=__doc__)
    parser.add_argument("--tensorflow", required=True, help="the Python of an environment with TensorFlow")
    parser.add_argument(
        "--write", action="store_true", help="keep TensorFlow's results, and write docs/keras.md"
    )
    options = parser.parse_args()
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for library, python in (("tensorflow", options.tensorflow), ("cnnrs", sys.executable)):
            out = pathlib.Path(folder) / library
            subprocess.run([python, str(FOLDER / "worker.py"), library, str(out)], check=True)
            results.append(json.loads(out.read_text()))
    theirs, ours = results
    outcomes: dict[str, list[tuple[str, str]]] = {"equal": [], "refused": [], "meant": [], "differs": []}
    for case, expected in theirs.items():
        found = difference(ours[case], expected)
        if found is None:
            outcomes["refused" if "raises" in expected else "equal"].append((case, ""))
        elif reason := meant(case):
            outcomes["meant"].append((case, reason))
        else:
            outcomes["differs"].append((case, found))
            print(f"{case}\n    {found}")
    names = set().union(*(names_of(case) for case in theirs if "tf." in case))
    source = (FOLDER / "scripts.py").read_text()
    names |= names_of(source)
    text = summary(outcomes, {name for name in names if not name.startswith("tf.keras.")})
    print(text)
    if options.write:
        kept = {case: _kept(expected) for case, expected in theirs.items()}
        FIXTURE.write_text(json.dumps(kept, indent=0, separators=(",", ":")) + "\n")
        _write(text)
    if outcomes["differs"]:
        sys.exit(1)


def _kept(expected: dict[str, Any]) -> dict[str, Any]:
    """What the fixture keeps: not the wording of errors."""
    return {key: value for key, value in expected.items() if key != "message"}


if __name__ == "__main__":
    main()
