"""Folders and files that cannot be written: a clear error at once, and whatever stands there stays.

In each kind of place `save`, `save_weights`, `ModelCheckpoint` and `cnnrs train --output` must fail with the
system's error before anything is trained or written, and the old file must load. Root may write anywhere,
so that a child of root gives its rights up, except on the read-only file system.

`python tests/faults/read_only.py` prints one line of figures, and exits with 1 after a finding.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from campaign import child, constant_model, ended, fill, leftovers, report, whole

from cnnrs import callbacks, cli, utils
from cnnrs.datasets import mnist

NOBODY = 65534


def give_up_rights() -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def attempts(model, path: Path) -> dict[str, Callable[[], object]]:
    weights = path.with_suffix(".weights.safetensors")
    return {
        "save": lambda: model.save(path),
        "save_weights": lambda: model.save_weights(weights),
        "ModelCheckpoint": lambda: callbacks.ModelCheckpoint(path),
    }


def try_all(model, path: Path) -> None:
    """Raises unless every attempt fails as it should."""
    for name, attempt in attempts(model, path).items():
        try:
            attempt()
        except OSError as error:
            if error.errno is None or error.filename is None or error.strerror is None:
                raise AssertionError(f"{name}: {error!r} lacks a part") from error
        else:
            raise AssertionError(f"{name}: no error")
    mnist.load_data = lambda path="": sys.exit("training began")  # type: ignore[assignment]
    printed = io.StringIO()
    with contextlib.redirect_stderr(printed):
        status = cli.main(["train", "mnist", "--output", str(path)])
    if status != 1 or "--output" not in printed.getvalue():
        raise AssertionError(f"cnnrs train: status {status}, {printed.getvalue()!r}")


def main(arguments: list[str] | None = None) -> int:
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    model = constant_model(20)
    fill(model, 1.0)
    findings: list[str] = []
    tried = 0
    # What a child of other rights needs is imported now: it may not read the interpreter's folder.
    with tempfile.TemporaryDirectory() as name:
        model.save(path := Path(name, "m.safetensors"))
        model.save_weights(Path(name, "m.weights.safetensors"))
        callbacks.ModelCheckpoint(path)
        whole(path)
        utils.Progbar(1, verbose=0)
        with contextlib.redirect_stdout(io.StringIO()):
            cli.main(["doctor"])

    def judge(kind: str, folder: Path, path: Path, work: Callable[[], None]) -> None:
        nonlocal tried
        tried += 4
        outcome = ended(child(work))
        folder.chmod(0o755)
        path.chmod(0o644)
        if outcome is not None:
            findings.append(f"{kind}: {outcome}")
        if whole(path) != 1.0 or leftovers(folder):
            findings.append(f"{kind}: {os.listdir(folder)} with {whole(path)}")

    for kind, folder_mode, file_mode in (
        ("folder without write", 0o555, 0o666),
        ("folder without search", 0o444, 0o666),
        ("folder without anything", 0o000, 0o666),
        ("file without write", 0o777, 0o444),
    ):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            path = folder / "m.safetensors"
            model.save(path)
            model.save_weights(path.with_suffix(".weights.safetensors"))
            for file in folder.iterdir():
                file.chmod(file_mode)
            folder.chmod(folder_mode)

            def work(path: Path = path) -> None:
                give_up_rights()
                try_all(model, path)

            judge(kind, folder, path, work)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "m.safetensors"
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "cnnrs-faults", name]
        if os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0:
            try:
                model.save(path)
                subprocess.run(["mount", "-o", "remount,ro", name], check=True)
                outcome = ended(child(lambda: try_all(model, path)))
                tried += 4
                if outcome is not None or whole(path) != 1.0:
                    findings.append(f"read-only file system: {outcome}")
            finally:
                subprocess.run(["umount", name], check=True)
    return report("read_only", {"writes to places that take none": tried}, findings)


if __name__ == "__main__":
    sys.exit(main())
