"""Mutated HDF5 files and zip archives: each is read, or refused by a ValueError, in little time and memory.

Of the files in tests/fixtures/hdf5, which Keras and h5py wrote, and of files of this package. Cases run in
children with an alarm and a bound on memory, so that a crash or a hang is a finding too. A case depends on
the seed and its number alone: `--first 123 --count 1` runs one of them again.

`python tests/faults/containers.py --count 1000000` prints a line of figures, exits with 1 after a finding.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import resource
import sys
import tempfile
import time
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from campaign import child, ended, report

from cnnrs.serialization import archive, hdf5

FIXTURES = Path(__file__).parents[1] / "fixtures" / "hdf5"
# Cases of a child, its seconds, and the bytes that it may take beyond those that it begins with.
BATCH = 5000
PATIENCE = 600
MEMORY = 512 << 20


def own_hdf5() -> bytes:
    root = hdf5.Group(attrs={"config": "{}" * 500, "names": ["a", "b"], "numbers": np.arange(5)})
    for number in range(6):
        root.group(f"layers/dense_{number}/vars").arrays["0"] = np.ones((3, number), "float32")
    root.arrays["strings"] = np.array(["a", "é"])
    return hdf5.dumps(root)


def deflated() -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("metadata.json", "{}")
        file.writestr("assets/vocabulary.txt", "word\n" * 300)
        file.writestr("model.weights.h5", own_hdf5())
    return raw.getvalue()


def seeds(kind: str) -> list[bytes]:
    if kind == "hdf5":
        return [own_hdf5(), *(path.read_bytes() for path in sorted(FIXTURES.glob("*.h5")))]
    return [deflated(), *(path.read_bytes() for path in sorted(FIXTURES.glob("*.keras")))]


def mutated(seed: bytes, kind: str, draw: random.Random) -> bytes:
    """One to five changes: a cut, other bytes and bits, numbers where offsets lie, doubled ranges."""
    raw = bytearray(seed)
    if draw.random() < 1 / 8:
        del raw[draw.randrange(1, len(raw)) :]
    size = len(raw)
    # Structure lies mostly at the front of HDF5, and at the end of an archive.
    dense = (0, min(size, 2048)) if kind == "hdf5" else (max(0, size - 400), size)
    for _ in range(draw.randint(1, 5)):
        at = draw.randrange(*dense) if draw.random() < 0.5 else draw.randrange(size)
        change = draw.randrange(6)
        if change == 0:
            raw[at] = draw.randrange(256)
        elif change == 1:
            raw[at] ^= 1 << draw.randrange(8)
        elif change == 2:
            raw[at] = draw.choice([0, 255])
        else:
            if change == 3:
                part = draw.randrange(2 * size).to_bytes(8, "little")[: draw.choice([2, 4, 8])]
            elif change == 4:
                part = (2**64 - 1 >> draw.randrange(64)).to_bytes(8, "little")[: draw.randint(1, 8)]
            else:
                begin = draw.randrange(size)
                part = bytes(raw[begin : begin + draw.randint(1, 64)])
            part = part[: size - at]
            raw[at : at + len(part)] = part
    return bytes(raw)


def work(kind: str, bases: list[bytes], seed: int, numbers: range, out: Path) -> None:
    """Runs cases; what came of them goes to a file."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    tally: dict[str, Any] = {"read": 0, "refused": 0, "slowest": 0.0, "wrong": []}
    for number in numbers:
        out.with_suffix(".now").write_text(str(number)) if number % 100 == 0 else None
        draw = random.Random(f"{seed} {kind} {number}")
        raw = mutated(draw.choice(bases), kind, draw)
        began = time.process_time()
        try:
            if kind == "hdf5":
                hdf5.read(raw)
            else:
                archive.read_members(raw)
            tally["read"] += 1
        except ValueError:
            tally["refused"] += 1
        except BaseException as error:
            tally["wrong"].append(f"{kind} {number}: {type(error).__name__}: {error}")
        tally["slowest"] = max(tally["slowest"], time.process_time() - began)
    tally["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    out.write_text(json.dumps(tally))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="cases of each kind")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=["hdf5", "zip"], nargs="*", default=["hdf5", "zip"])
    options = parser.parse_args(arguments)
    findings: list[str] = []
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "out"
        for kind in options.kind:
            bases = seeds(kind)
            read = refused = memory = 0
            slowest = 0.0
            for first in range(options.first, options.first + options.count, BATCH):
                batch = range(first, min(first + BATCH, options.first + options.count))
                out.unlink(missing_ok=True)
                outcome = ended(child(partial(work, kind, bases, options.seed, batch, out), PATIENCE))
                if outcome is not None:
                    now = out.with_suffix(".now").read_text()
                    findings.append(f"{kind} {now} or one of the next 100: the child {outcome}")
                    continue
                tally = json.loads(out.read_text())
                read, refused = read + tally["read"], refused + tally["refused"]
                slowest, memory = max(slowest, tally["slowest"]), max(memory, tally["memory"])
                findings += tally["wrong"]
            figures |= {f"{kind} read": read, f"{kind} refused": refused}
            figures |= {f"s the slowest {kind}": round(slowest, 3), f"MiB of memory with {kind}": memory}
    return report("containers", figures, findings)


if __name__ == "__main__":
    sys.exit(main())
