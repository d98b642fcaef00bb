"""Runs cnnrs and its peers side by side and prints a table of ratios.

One process per measurement; the engines take turns, `--rounds` times, so that a machine that slows
down slows all of them. A figure is the median over all timed repeats of all rounds. The ratio is the
fastest peer's time divided by cnnrs's: above 1, cnnrs is faster.

    make peers
    make peers PEERS_ARGS="--only lenet --rounds 1"
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Engine:
    """A column: a worker script and the variant that it is asked for."""

    name: str
    script: str
    variant: str = ""


CNNRS = Engine("cnnrs", "cnnrs_worker.py")
TORCH = Engine("PyTorch", "torch_worker.py")
TORCH_LAST = Engine("PyTorch channels_last", "torch_worker.py", "channels_last")
KERAS = Engine("Keras/TF", "keras_worker.py")
KERAS_NO_XLA = Engine("Keras/TF without XLA", "keras_worker.py", "no_xla")
ORT = Engine("onnxruntime", "onnx_worker.py", "ort")
OPENVINO = Engine("OpenVINO", "onnx_worker.py", "openvino")


@dataclass(frozen=True)
class Row:
    """One benchmark: what the workers are asked, and who takes part."""

    title: str
    task: str
    batch: int
    repeats: int
    peers: tuple[Engine, ...]


TRAINING = (TORCH, KERAS, KERAS_NO_XLA)
RESNET_TRAINING = (TORCH, TORCH_LAST, KERAS, KERAS_NO_XLA)
ROWS = (
    Row("LeNet-5 MNIST training, batch 64", "lenet", 64, 3, TRAINING),
    Row("LeNet-5 MNIST training, batch 128", "lenet", 128, 3, TRAINING),
    Row(
        "ResNet-18 32x32 training step, batch 128",
        "resnet18_train",
        128,
        4,
        RESNET_TRAINING,
    ),
    Row("ResNet-18 224x224 inference, batch 1", "resnet18_infer", 1, 30, (TORCH, ORT, OPENVINO)),
    Row("ResNet-18 224x224 inference, batch 32", "resnet18_infer", 32, 4, (TORCH, ORT, OPENVINO)),
)


@dataclass
class Cell:
    """All that was measured for one engine in one row."""

    seconds: list[float] = field(default_factory=list)
    images: int = 0
    peak_mib: float = 0.0
    version: str = ""

    def add(self, result: dict) -> None:
        self.seconds += result["seconds"]
        self.images = result["images"]
        self.peak_mib = max(self.peak_mib, result["peak_mib"])
        self.version = result["version"]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def measure(row: Row, engine: Engine, python: str, threads: int) -> dict:
    """Runs one worker process and returns its JSON."""
    command = [python, str(HERE / engine.script), "--task", row.task, "--batch", str(row.batch)]
    command += ["--threads", str(threads), "--repeats", str(row.repeats), "--variant", engine.variant]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    if done.returncode != 0:
        raise RuntimeError(f"{engine.name}, {row.title}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def print_row(row: Row, cells: dict[Engine, Cell]) -> None:
    """One line per engine, and the ratio to cnnrs."""
    print(f"\n{row.title}")
    own = cells.get(CNNRS)
    for engine, cell in cells.items():
        spread = (max(cell.seconds) - min(cell.seconds)) / cell.median
        line = f"  {engine.name:24}{cell.median * 1e3:10.1f} ms{cell.images / cell.median:11.0f} images/s"
        line += f"{cell.peak_mib:8.0f} MiB  spread {spread:4.0%}  {cell.version}"
        print(line)
    peers = [cell.median for engine, cell in cells.items() if engine != CNNRS]
    if own and peers:
        print(f"  ratio: {min(peers) / own.median:.2f} x the fastest peer")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cnnrs-python", help="interpreter that has cnnrs; without it only peers run")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="rows whose title contains this text")
    options = parser.parse_args()
    rows = [row for row in ROWS if options.only.lower() in row.title.lower()]
    if not rows:
        parser.error(f"--only {options.only!r} matches no row; titles: {'; '.join(r.title for r in ROWS)}")
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, {options.threads} threads")
    failed = False
    for row in rows:
        engines = ((CNNRS,) if options.cnnrs_python else ()) + row.peers
        cells = {engine: Cell() for engine in engines}
        for _ in range(options.rounds):
            for engine in engines:
                # Not resolved: an environment's interpreter is a link that must be called by its own path.
                python = os.path.abspath(options.cnnrs_python) if engine == CNNRS else sys.executable
                try:
                    cells[engine].add(measure(row, engine, python, options.threads))
                except (RuntimeError, subprocess.TimeoutExpired) as error:
                    print(error, file=sys.stderr)
                    failed = True
        print_row(row, {engine: cell for engine, cell in cells.items() if cell.seconds})
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
