"""Compares cnnrs with Keras: `make keras-compare`.

A worker runs every case in each library, Keras's in an environment of its own. What they gave is compared
here: values, gradients, dtypes, shapes, and that both refuse the same. The summary is printed, and written
into docs/keras.md.
"""

from __future__ import annotations

import argparse
import collections
import pathlib
import pickle
import subprocess
import sys
import tempfile
from typing import Any

import numpy as np

from keras_compare.differences import MEANT, meant

AREAS = ["ops", "layers", "losses", "metrics", "optimizers", "initializers"]
FOLDER = pathlib.Path(__file__).parent
DOCS = FOLDER.parents[1] / "docs" / "keras.md"
BEGIN, END = "<!-- keras-compare: begin -->", "<!-- keras-compare: end -->"

# Largest difference of two values over the largest of them.
_TOLERANCES = {"float16": 4e-3, "bfloat16": 3e-2}
_TOLERANCE = 2e-4


def _difference(ours: Any, theirs: Any, where: str = "") -> str | None:
    """What differs between two results; None if nothing does."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in theirs:
            found = _difference(ours.get(key), theirs[key], f"{where}.{key}" if where else str(key))
            if found:
                return found
        return None
    if _is_array(theirs) and _is_array(ours):
        return _of_arrays(ours, theirs, where)
    if isinstance(theirs, (list, tuple)) and isinstance(ours, (list, tuple)):
        if len(theirs) != len(ours):
            return f"{where}: {len(ours)} parts, Keras {len(theirs)}"
        for index, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            if found := _difference(a, b, f"{where}[{index}]"):
                return found
        return None
    if isinstance(theirs, float) and isinstance(ours, float):
        return None if ours == theirs else f"{where}: {ours}, Keras {theirs}"
    if theirs is None or ours is None:
        # No gradient is a gradient of 0.
        other = ours if theirs is None else theirs
        if other is None or (_is_array(other) and "gradients" in where and not np.any(other[1])):
            return None
        here, there = ("nothing" if value is None else "something" for value in (ours, theirs))
        return f"{where}: {here}, Keras {there}"
    return None if ours == theirs else f"{where}: {ours!r}, Keras {theirs!r}"


def _is_array(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], np.ndarray)


def _of_arrays(ours: Any, theirs: Any, where: str) -> str | None:
    (dtype, mine), (other_dtype, values) = ours, theirs
    if mine.shape != values.shape:
        return f"{where}: shape {mine.shape}, Keras {values.shape}"
    narrow = [d for d in (dtype, other_dtype) if d in _TOLERANCES]
    tolerance = max([_TOLERANCES[d] for d in narrow], default=_TOLERANCE)
    if mine.size and mine.dtype.kind != "c":
        a, b = mine.astype("float64"), values.astype("float64")
        finite = np.isfinite(b)
        scale = max(1.0, np.abs(b[finite]).max(initial=0.0))
        bad = ~((np.abs(a - b) <= tolerance * scale) | (a == b) | (np.isnan(a) & np.isnan(b)))
        if bad.any():
            at = tuple(int(i) for i in np.argwhere(bad)[0])
            return f"{where}: {mine[at]} at {list(at)}, Keras {values[at]}"
    if dtype != other_dtype and "gradient" not in where:
        return f"{where}: dtype {dtype}, Keras {other_dtype}"
    return None


def _of_distributions(ours: Any, theirs: Any) -> str | None:
    """Draws differ; their distribution does not."""
    for key in theirs:
        a, b = np.asarray(ours[key]), np.asarray(theirs[key])
        spread = max(theirs["moments"][1], 1e-6)
        if key == "square":
            near = abs(a - b) <= 0.03 * max(abs(b), 1e-6)
        elif key == "width":
            near = abs(a - b) <= 0.25 * max(b, 1e-6)
        else:
            inner = slice(1, -1) if key == "quantiles" else slice(None)
            near = np.abs(a[inner] - b[inner]).max() <= 0.04 * spread
        if not near:
            return f"{key}: {np.round(a, 4).tolist()}, Keras {np.round(b, 4).tolist()}"
    return None


def compare(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, dict[str, list[Any]]]:
    """For each area the names by outcome: equal, meant, absent, or what differs."""
    areas: dict[str, dict[str, list[Any]]] = {}
    for key, (name, how, given) in theirs.items():
        area = name.partition(".")[0]
        outcome = areas.setdefault(area, collections.defaultdict(list))
        own, result = ours[key][1:]
        if how == "absent" or (how == "refused" and own != "gave"):
            outcome["both refuse"].append((key, given))
        elif own == "absent":
            outcome["absent"].append((key, result))
        elif how == "refused":
            outcome["only here"].append((key, given))
        elif own == "refused":
            outcome["meant" if meant(key, "refused") else "refused"].append((key, result))
        else:
            difference = (_of_distributions if area == "initializers" else _difference)(result, given)
            if difference is None:
                outcome["equal"].append((key, ""))
            else:
                outcome["meant" if meant(key, difference) else "differs"].append((key, difference))
    return areas


def summary(areas: dict[str, dict[str, list[Any]]]) -> str:
    """A table of counts, and the differences with their reasons."""
    lines = [
        "| area | names | cases | equal | meant to differ | different | refused here | names absent |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for area, outcome in areas.items():
        compared = sum(len(outcome[kind]) for kind in ("equal", "meant", "differs", "refused"))
        names = {key.partition("#")[0].partition("(")[0] for kind in outcome for key, _ in outcome[kind]}
        absent = {key.partition("#")[0].partition("(")[0] for key, _ in outcome["absent"]}
        counts = [len(outcome[kind]) for kind in ("equal", "meant", "differs", "refused")]
        lines.append(
            f"| {area} | {len(names)} | {compared} | {' | '.join(map(str, counts))} | {len(absent)} |"
        )
    used = {
        reason
        for outcome in areas.values()
        for key, what in outcome["meant"]
        if (reason := meant(key, what or ""))
    }
    lines += ["", "Where they are meant to differ:", ""]
    lines += [f"- {reason}" for reason in dict.fromkeys(reason for _, _, reason in MEANT) if reason in used]
    return "\n".join(lines)


def _write(text: str) -> None:
    page = DOCS.read_text()
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{DOCS} lacks the marks {BEGIN} and {END}")
    DOCS.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="keras_compare", description=__doc__)
    parser.add_argument(
        "--keras", required=True, help="the Python of an environment with Keras and TensorFlow"
    )
    parser.add_argument("--areas", nargs="+", choices=AREAS, default=AREAS)
    parser.add_argument("--list", action="store_true", help="print every difference")
    parser.add_argument("--write", action="store_true", help="write the summary into docs/keras.md")
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for library, python in (("keras", options.keras), ("cnnrs", sys.executable)):
            out = str(pathlib.Path(folder) / library)
            subprocess.run([python, str(FOLDER / "worker.py"), library, out, *options.areas], check=True)
            with open(out, "rb") as file:
                results.append(pickle.load(file))
    theirs, ours = results
    areas = compare(ours, theirs)
    if options.list:
        for outcome in areas.values():
            for kind in ("differs", "refused", "only here", "absent"):
                for key, what in outcome[kind]:
                    print(f"{kind:9} {key}: {what}")
    text = summary(areas)
    print(text)
    if options.write:
        _write(text)
    if any(outcome["differs"] or outcome["refused"] for outcome in areas.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
