"""Checks the names of Keras's example scripts, and runs each to its end on stand-in data.

    python -m keras_examples TREE                      # names, and runs on cnnrs
    python -m keras_examples TREE --keras PYTHON       # and on Keras, those that did not end on cnnrs
    python -m keras_examples TREE --only grad_cam vae  # these alone; what is known of others stays

Each script runs in a process of its own, in a folder of its own that has stand-ins for its data, with a limit
of time and of memory. TREE is a source tree of keras-team/keras-io. What was found is kept in --out; --write
puts the table into docs/keras.md.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cnnrs
from cnnrs import checking
from keras_examples.scripts import Script, scripts
from keras_examples.table import table, write

ROOT = Path(__file__).parents[2]


def names_of(script: Script) -> dict[str, Any]:
    """How many names a script uses, and which are missing."""
    checked = checking.check(str(script.path))
    named = {finding.name for finding in checked.findings if "(" not in finding.name}
    missing = [finding.name for finding in checked.findings if finding.is_missing]
    return {"names": len(named), "missing": missing, "uses_tf": script.uses_tf}


def gone_from(python: str, names: list[str]) -> list[str]:
    """Those of the names that Keras and TensorFlow do not have either."""
    if not names:
        return []
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "PYTHONPATH": ""}
    command = [python, str(Path(__file__).with_name("has.py"))]
    done = subprocess.run(
        command, input=json.dumps(names), env=environment, capture_output=True, text=True, check=True
    )
    return [str(name) for name in json.loads(done.stdout)]


def run(script: Script, engine: str, python: str, options: argparse.Namespace) -> dict[str, Any]:
    """Runs a script to its end, or to the first line that fails."""
    with tempfile.TemporaryDirectory(prefix="keras-example-") as folder:
        environment = {
            **os.environ,
            "HOME": folder,
            "KERAS_HOME": f"{folder}/.keras",
            "KERAS_BACKEND": "tensorflow",
            "MPLBACKEND": "Agg",
            "MPLCONFIGDIR": f"{folder}/.matplotlib",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "",
            "PYTHONPATH": str(Path(cnnrs.__file__).parents[1]) if engine == "cnnrs" else "",
            "PYTHONWARNINGS": "ignore",
        }
        worker = str(Path(__file__).with_name("worker.py"))
        command = [python, worker, engine, str(script.path.absolute()), *options.packages]
        limit = options.memory << 30

        def bound() -> None:
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
            resource.setrlimit(resource.RLIMIT_CPU, (options.seconds, options.seconds))

        start = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            preexec_fn=bound,
            start_new_session=True,
        )
        too_long = {"end": "time", "text": f"takes more than {options.seconds} s of a processor", "line": 0}
        try:
            _, errors = process.communicate(timeout=4 * options.seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.communicate()
            return too_long
        seconds = round(time.monotonic() - start, 1)
    lines = errors.strip().splitlines()
    if options.log:
        (options.log / f"{script.path.stem}.{engine}.txt").write_text(errors)
    if process.returncode in (-9, -24):  # of SIGKILL, SIGXCPU
        return too_long
    if process.returncode == 0:
        return {"end": "ran", "seconds": seconds}
    failed = [line.split("\t") for line in lines if line.startswith("FAILED\t")]
    if failed:
        _, line, text = (failed[-1] + ["", ""])[:3]
        return {"end": "failed", "line": int(line), "text": text, "seconds": seconds}
    text = lines[-1] if lines else ""
    return {
        "end": "failed",
        "line": 0,
        "text": f"status {process.returncode}: {text}"[:300],
        "seconds": seconds,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("tree", type=Path)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="scripts, by their names without folders")
    parser.add_argument(
        "--left", action="store_true", help="those alone that did not end on cnnrs when last run"
    )
    parser.add_argument("--names", action="store_true", help="check names alone, and run nothing")
    parser.add_argument("--keras", metavar="PYTHON", help="an interpreter that has Keras and TensorFlow")
    parser.add_argument(
        "--all", action="store_true", help="with --keras: run all there, not only what failed"
    )
    parser.add_argument("--packages", nargs=1, default=[], help="a folder of packages that scripts import")
    parser.add_argument("--seconds", type=int, default=180, help="processor time that a script may take")
    parser.add_argument("--memory", type=int, default=8, help="GiB of memory that a script may have")
    parser.add_argument("--log", type=Path, help="a folder for what scripts wrote to stderr")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "keras-examples.json")
    parser.add_argument("--write", action="store_true", help="put the table into docs/keras.md")
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    known: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    every = scripts(options.tree)
    known = {script.name: known.get(script.name, {}) for script in every}
    for script in every:
        if options.only and script.path.stem not in options.only:
            continue
        if options.left and known[script.name].get("cnnrs", {}).get("end") == "ran":
            continue
        record = {**known[script.name], **names_of(script)}
        if options.keras:
            record["gone"] = gone_from(options.keras, record["missing"])
        if not options.names:
            record["cnnrs"] = run(script, "cnnrs", sys.executable, options)
            if options.keras and (options.all or record["cnnrs"]["end"] != "ran"):
                record["keras"] = run(script, "keras", options.keras, options)
        known[script.name] = record
        options.out.write_text(json.dumps(known, indent=1))
        _tell(script, record)
    print(table(known).splitlines()[0])
    if options.write:
        write(known)
    return 0


def _tell(script: Script, record: dict[str, Any]) -> None:
    ends = [f"{len(record['missing'])} of {record['names']} names missing"]
    for engine in ("cnnrs", "keras"):
        found = record.get(engine)
        if found is not None:
            where = f"line {found.get('line')}: {found.get('text')}" if found["end"] != "ran" else ""
            ends.append(f"{engine}: {found['end']} {where}".strip())
    print(f"{script.name}: {'; '.join(ends)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
