"""What adding something touches, counted from real additions.

For each kind of thing that can be added, a sample is added in a git worktree of its own. The sample is
checked, and the files that it touched are compared with what CONTRIBUTING.md says they are:

    python tests/additions.py                        # all kinds, each checked: `make additions`
    python tests/additions.py --check none           # counts only, in a second
    python tests/additions.py --check test a layer   # runs tests that use it, of the named kinds
    python tests/additions.py --write                # puts the measured table into CONTRIBUTING.md

`--check check` compiles the crate (`cargo check`) and runs a script that uses the Python part with the
installed core; `--check test` runs the sample's Rust tests, the walls, and the Python tests that know all
functions and layers. The exit status is 1 where an addition touches more than its rule says, where it does
not work, and where the table is not the measured one. The samples stand in `addition_samples.py`, as edits
anchored on text of the present sources.
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from addition_samples import SAMPLES, Addition

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "CONTRIBUTING.md"
HEAD = ["| to add | touch | measured |", "|---|---|---|"]

CARGO_CHECK = ["cargo", "check", "--lib", "--features", "python"]

# Tests that know every function and layer, every docstring and every import.
PYTHON_TESTS = [
    "tests/python/test_fuzz.py::test_every_function_and_layer_is_in_the_table",
    "tests/python/test_docstrings.py",
    "tests/python/test_import_order.py",
]


@dataclass
class Touched:
    """One file of an addition.

    Attributes:
        path: From the root of the repository.
        added: Lines that it got.
        is_new: Whether the addition made it.
    """

    path: str
    added: int
    is_new: bool


class Worktree:
    """A copy of the sources in a temporary folder, without what git ignores."""

    def __init__(self, root: Path):
        self.root = root
        self.folder = Path(tempfile.mkdtemp(prefix="cnnrs-additions-"))
        # Changes that are not committed yet belong to the sources that are measured.
        self.base = self.git("stash", "create", at=root).strip() or "HEAD"
        self.path = self.folder / "cnnrs"
        self.git("worktree", "add", "--quiet", "--detach", str(self.path), self.base, at=root)

    def git(self, *arguments: str, at: Path | None = None) -> str:
        done = subprocess.run(["git", "-C", str(at or self.path), *arguments], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def reset(self) -> None:
        self.git("reset", "--quiet", "--hard", self.base)
        self.git("clean", "--quiet", "-fd")

    def touched(self) -> list[Touched]:
        self.git("add", "--all")
        new = set(self.git("diff", "--cached", "--name-only", "--diff-filter=A", self.base).split("\n"))
        rows = [
            line.split("\t") for line in self.git("diff", "--cached", "--numstat", self.base).splitlines()
        ]
        return [Touched(path, int(added), path in new) for added, _, path in rows]

    def remove(self) -> None:
        self.git("worktree", "remove", "--force", str(self.path), at=self.root)
        shutil.rmtree(self.folder, ignore_errors=True)


def excess(addition: Addition, touched: Sequence[Touched]) -> list[str]:
    """What an addition touched beyond its rule."""
    faults = []
    for place in addition.places:
        files = [file for file in touched if fnmatch.fnmatch(file.path, place.pattern)]
        if not files:
            faults.append(f"nothing of {place.pattern} was touched")
        if place.files is not None and len(files) > place.files:
            faults.append(f"{len(files)} files of {place.pattern}, expected {place.files}")
        for file in files:
            if place.lines is not None and file.added > place.lines:
                faults.append(f"{file.path}: {file.added} lines, expected {place.lines}")
    for file in touched:
        if not any(fnmatch.fnmatch(file.path, place.pattern) for place in addition.places):
            faults.append(f"{file.path} is not in the rule")
    return faults


def _run(what: str, command: list[str], at: Path, environment: dict[str, str]) -> list[str]:
    done = subprocess.run(command, cwd=at, env=environment, capture_output=True, text=True)
    if done.returncode == 0:
        return []
    text = (done.stdout + done.stderr).strip()
    return [f"{what} failed:\n{text[-3000:]}"]


def _environment() -> dict[str, str]:
    environment = dict(os.environ)
    # The crate's dependencies are compiled once for all runs.
    environment.setdefault("CARGO_TARGET_DIR", str(ROOT / "target" / "additions"))
    environment.setdefault("PYO3_PYTHON", sys.executable)
    return environment


def named_by_the_compiler(tree: Worktree) -> list[str]:
    """The files whose matches lack an arm.

    Raises:
        RuntimeError: The crate compiles, or fails for other reasons.
    """
    command = [*CARGO_CHECK, "--message-format", "short"]
    done = subprocess.run(command, cwd=tree.path, env=_environment(), capture_output=True, text=True)
    errors = [line for line in done.stderr.splitlines() if ": error" in line]
    lacking = [line for line in errors if "error[E0004]" in line]
    if not lacking or len(lacking) != len(errors):
        raise RuntimeError(f"expected matches that lack an arm, received {errors or done.stderr}")
    return sorted({line.partition(":")[0] for line in lacking})


def check(addition: Addition, tree: Worktree, level: str) -> list[str]:
    """What does not work of an addition that stands in `tree`."""
    environment = _environment()
    environment["PYTHONPATH"] = os.pathsep.join([str(tree.path / "python"), str(tree.path / "tests")])
    faults = []
    if addition.is_rust:
        faults += _run("cargo fmt", ["cargo", "fmt", "--check"], tree.path, environment)
        faults += _run("cargo check", [*CARGO_CHECK, "--quiet"], tree.path, environment)
        if level == "test" and not faults:
            command = ["cargo", "test", "--quiet", "--lib", "--", *addition.rust_tests]
            faults += _run("cargo test", command, tree.path, environment)
            walls = ["cargo", "test", "--quiet", "--test", "layers"]
            faults += _run("the walls of src", walls, tree.path, environment)
    if addition.python:
        core = _core()
        shutil.copy(core, tree.path / "python" / "cnnrs" / core.name)
        faults += _run("the script", [sys.executable, "-c", addition.python], tree.path, environment)
        if level == "test":
            pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *PYTHON_TESTS]
            # The installed core lacks an op that the sample adds to it, so that its wrapper can't be called.
            pytest += ["-k", "not test_ops_raise"] if addition.is_rust else []
            faults += _run("pytest", pytest, tree.path, environment)
    return faults


def _core() -> Path:
    """The compiled core of the package that this Python imports."""
    package = importlib.util.find_spec("cnnrs")
    folders = list(package.submodule_search_locations or []) if package else []
    found = [file for folder in folders for file in Path(folder).glob("_core*") if file.suffix != ".pyi"]
    if not found:
        raise SystemExit("additions: cnnrs is not installed for this Python; `make wheel` installs it")
    return found[0]


def measured(addition: Addition, touched: Sequence[Touched]) -> str:
    """Numbers of files, and of lines in those that were there before."""
    if addition.is_begun:
        return f"{len(touched)} files"
    new = [file for file in touched if file.is_new]
    parts = [f"{len(touched)} files"]
    if new:
        parts.append(f"{len(new)} of them new")
    changed = sum(file.added for file in touched if not file.is_new)
    return ", ".join([*parts, f"{changed} lines in the others" if new else f"{changed} lines"])


def row(addition: Addition, touched: Sequence[Touched]) -> str:
    count = measured(addition, touched)
    return f"| {addition.kind} | {', '.join(place.what for place in addition.places)} | {count} |"


def present_table(text: str) -> list[str]:
    """The lines of the table in CONTRIBUTING.md."""
    lines = text.splitlines()
    if HEAD[0] not in lines:
        raise SystemExit(f"additions: {TABLE.name} has no line {HEAD[0]!r}")
    first = lines.index(HEAD[0])
    return [line for line in lines[first : first + len(SAMPLES) + 20] if line.startswith("|")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--check", choices=["none", "check", "test"], default="check", help="how it is checked"
    )
    parser.add_argument("--write", action="store_true", help="put the table into CONTRIBUTING.md")
    parser.add_argument("kinds", nargs="*", help="words of the kinds to add; all by default")
    options = parser.parse_args()
    wanted = " ".join(options.kinds)
    samples = [sample for sample in SAMPLES if wanted in sample.kind]
    if not samples:
        parser.error(f"no kind has {wanted!r}: {', '.join(sample.kind for sample in SAMPLES)}")
    text = TABLE.read_text("utf-8")
    present = present_table(text)
    tree = Worktree(ROOT)
    failed, rows = False, []
    try:
        for sample in samples:
            tree.reset()
            for edit in sample.edits:
                edit.apply(tree.path)
            touched = tree.touched()
            if sample.is_begun:
                if options.check == "none":
                    print(f"{sample.kind}: counted by the compiler, which `--check none` does not ask")
                    rows += [line for line in present if line.startswith(f"| {sample.kind} |")]
                    continue
                known = {file.path for file in touched}
                named = named_by_the_compiler(tree)
                touched += [Touched(path, 0, False) for path in named if path not in known]
            faults = excess(sample, touched)
            if options.check != "none" and not sample.is_begun:
                faults += check(sample, tree, options.check)
            rows.append(row(sample, touched))
            print(f"{sample.kind}: {measured(sample, touched)}: {'FAULTS' if faults else 'as the rule says'}")
            for file in touched:
                print(
                    f"    {'new' if file.is_new else f'+{file.added}' if file.added else '?':>4}  {file.path}"
                )
            for place in sample.places:
                print(f"    rule: {place.what}")
            for fault in faults:
                print(f"    FAULT: {fault}")
            sys.stdout.flush()
            failed |= bool(faults)
    finally:
        tree.remove()
    if options.write and len(samples) == len(SAMPLES):
        TABLE.write_text(text.replace("\n".join(present), "\n".join([*HEAD, *rows])), "utf-8")
    elif missing := [line for line in rows if line not in present]:
        print(f"{TABLE.name} lacks these rows; --write puts them there:", *missing, sep="\n")
        failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
