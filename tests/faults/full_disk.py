"""Disks that fill up while a model is saved: the error says so, and the old file stays.

Each round saves to a place where a file may stand already, with room for a random part of what is needed:
by a limit on the size of files, and where this process may mount one, on a small file system of which a
random part of the bytes, or the whole number of files, is taken. A save must succeed, or fail with the
system's error and the file's name; the file then holds the old content, or is not there, and no temporary
file is left.

`python tests/faults/full_disk.py --rounds 300` prints one line of figures, and exits with 1 after a finding.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from campaign import constant_model, fill, leftovers, report, whole

# Kilobytes of the small file system: room for the old file and the new one, of about 0.5 MB.
DISK = 1800
FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}


@contextlib.contextmanager
def size_limit(room: int) -> Iterator[None]:
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A small file system at `folder`; False where this process may not mount one."""
    options = f"size={DISK}k,nr_inodes=12"
    command = ["mount", "-t", "tmpfs", "-o", options, "cnnrs-faults", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


@contextlib.contextmanager
def taken(folder: Path, rng: random.Random) -> Iterator[None]:
    """Takes a random part of a small file system: of its bytes, or all of its numbers of files."""
    paths = [folder / f"taken{i}" for i in range(20)]
    try:
        with contextlib.suppress(OSError):
            if rng.random() < 0.2:
                for path in paths:
                    path.touch()
            else:
                paths[0].write_bytes(bytes(rng.randrange(DISK * 1024)))
        yield
    finally:
        for path in paths:
            path.unlink(missing_ok=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    rng = random.Random(options.seed)
    model = constant_model(250)
    findings: list[str] = []
    failed = {"by size": 0, "by disk": 0}

    def attempt(kind: str, number: int, folder: Path, limit: contextlib.AbstractContextManager) -> None:
        path, old = folder / "m.safetensors", None
        if rng.random() < 0.7:
            fill(model, old := float(number))
            model.save(path)
        fill(model, new := number + 0.5)
        with limit:
            try:
                model.save(path)
                expected = new
            except OSError as error:
                expected = old
                failed[kind] += 1
                if error.errno not in FULL or error.filename != str(path):
                    findings.append(f"{kind} {number}: {error!r} of {error.filename!r}")
            if leftovers(folder):
                findings.append(f"{kind} {number}: {leftovers(folder)} are left")
        found = whole(path) if path.exists() else None
        if found != expected:
            findings.append(f"{kind} {number}: expected {expected}, found {found}")
        path.unlink(missing_ok=True)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(options.rounds):
            attempt("by size", number, folder, size_limit(rng.randrange(700_000)))
        with small_disk(folder) as mounted:
            for number in range(options.rounds if mounted else 0):
                attempt("by disk", number, folder, taken(folder, rng))
    figures = {
        "saves under a limit of size": options.rounds,
        "of them failed": failed["by size"],
        "saves to a small disk": options.rounds if mounted else 0,
        "of these failed": failed["by disk"],
    }
    return report("full_disk", figures, findings)


if __name__ == "__main__":
    sys.exit(main())
