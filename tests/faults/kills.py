"""SIGKILL and SIGTERM while models are saved: all files stand whole, and nothing else is left.

Children save models to one file over and over, or to a new one each time. After each kill every file
must load, with the same value in all its weights and momenta. Temporary files that a kill leaves must be
gone after the next save; how many there were is counted.

`python tests/faults/kills.py --kills 400` prints one line of figures, and exits with 1 after a finding.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from campaign import child, constant_model, ended, fill, leftovers, report, whole


def save_forever(model, folder: Path, ready: int, anew: bool) -> None:
    for step in range(1_000_000):
        fill(model, step)
        if step == 0:
            os.write(ready, b"1")
        model.save(folder / (f"{step % 5}.safetensors" if anew else "m.safetensors"))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--units", type=int, default=700, help="the files have 8 bytes per square of it")
    parser.add_argument("--folder", help="where the files are written; the system's folder by default")
    options = parser.parse_args(arguments)
    rng = random.Random(options.seed)
    model = constant_model(options.units)
    findings: list[str] = []
    loaded = left = 0
    for kill in range(options.kills):
        kind = rng.choice([signal.SIGKILL, signal.SIGTERM])
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            folder = Path(name)
            reading, writing = os.pipe()
            anew = rng.random() < 0.5
            pid = child(partial(save_forever, model, folder, writing, anew))
            os.close(writing)
            os.read(reading, 1)
            os.close(reading)
            time.sleep(rng.uniform(0, 0.08))
            os.kill(pid, kind)
            if ended(pid) != f"ended by {kind.name}":
                findings.append(f"kill {kill}: the child ended by itself")
            left += len(leftovers(folder))
            for path in folder.glob("*.safetensors"):
                loaded += 1
                try:
                    if whole(path) is None:
                        findings.append(f"kill {kill}: {path.name} mixes two saves")
                except Exception as error:
                    findings.append(f"kill {kill}: {path.name} does not load: {error}")
            model.save(folder / "next.safetensors")
            if leftovers(folder):
                findings.append(f"kill {kill}: {leftovers(folder)} are left after the next save")
    figures = {
        "kills while saving": options.kills,
        "files loaded": loaded,
        "temporary files left by a kill": left,
    }
    return report("kills", figures, findings)


if __name__ == "__main__":
    sys.exit(main())
