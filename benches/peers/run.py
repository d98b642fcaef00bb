"""Runs cnnrs and its peers side by side and prints a table of ratios.

One process per measurement; the engines take turns, `--rounds` times, so that a machine that slows
down slows all of them. A figure is the median over the timed repeats of an engine's fastest round: whatever
else a shared machine does makes a round slower, never faster. The ratio is the fastest peer's time
divided by cnnrs's: above 1, cnnrs is faster.

    make peers
    make peers PEERS_ARGS="--only lenet-5 --rounds 1"
    make peers PEERS_ARGS="--only inference --save"
    make peers PEERS_ARGS="--only 'nobody tuned' --isa avx2"
    make peers PEERS_ARGS="--only 'same networks' --without torch.compile"

`--save` writes what was measured, with processor, threads and versions, as JSON to `benches/results`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from zoo import NETS

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
TORCH_COMPILE = Engine("torch.compile", "torch_worker.py", "compile")
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
    # README shows the rows of no group; `make figures` puts each group into a table of docs/peers.md.
    group: str = ""


TRAINING = (TORCH, KERAS, KERAS_NO_XLA)
INFERENCE = (TORCH, TORCH_COMPILE, ORT, OPENVINO)
ZOO_INFERENCE = (TORCH_COMPILE, ORT, OPENVINO)
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
    Row("ResNet-18 224x224 inference, batch 1", "resnet18_infer", 1, 30, INFERENCE),
    Row("ResNet-18 224x224 inference, batch 32", "resnet18_infer", 32, 4, INFERENCE),
    Row("ResNet-50 224x224 inference, batch 1", "resnet50_infer", 1, 20, INFERENCE),
    Row("ResNet-50 224x224 inference, batch 32", "resnet50_infer", 32, 4, INFERENCE),
    Row("MobileNetV2 224x224 inference, batch 1", "mobilenetv2_infer", 1, 50, INFERENCE),
    Row("MobileNetV2 224x224 inference, batch 32", "mobilenetv2_infer", 32, 6, INFERENCE),
    *(
        Row(
            f"{net.title} training, batch {net.batch}",
            f"train:{name}",
            net.batch,
            net.repeats,
            RESNET_TRAINING,
            "Training of networks that nobody tuned for",
        )
        for name, net in NETS.items()
    ),
    *(
        Row(
            f"{net.title} inference, batch {batch}",
            f"infer:{name}",
            batch,
            net.repeats * (5 if batch == 1 else 1),
            ZOO_INFERENCE,
            "Inference of the same networks",
        )
        for name, net in NETS.items()
        if net.infers
        for batch in (1, 32)
    ),
)

# What holds an engine to an instruction set that is narrower than the processor's. onnxruntime has no such
# setting, and OpenVINO's has no effect on all of its kernels: under `--isa` they take no part.
NARROWER = {
    "avx2": {
        "CNNRS_ISA": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "DNNL_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    }
}


@dataclass
class Cell:
    """All that was measured for one engine in one row."""

    rounds: list[list[float]] = field(default_factory=list)
    images: int = 0
    peak_mib: float = 0.0
    version: str = ""

    def add(self, result: dict) -> None:
        self.rounds.append(result["seconds"])
        self.images = result["images"]
        self.peak_mib = max(self.peak_mib, result["peak_mib"])
        self.version = result["version"]

    @property
    def seconds(self) -> list[float]:
        """The repeats of the fastest round."""
        return min(self.rounds, key=statistics.median, default=[])

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def measure(row: Row, engine: Engine, python: str, threads: int, isa: str = "") -> dict:
    """Runs one worker process, held to the instructions of `isa`, and returns its JSON."""
    command = [python, str(HERE / engine.script), "--task", row.task, "--batch", str(row.batch)]
    command += ["--threads", str(threads), "--repeats", str(row.repeats), "--variant", engine.variant]
    environment = os.environ | NARROWER.get(isa, {})
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800, env=environment)
    if done.returncode != 0:
        raise RuntimeError(f"{engine.name}, {row.title}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def print_row(row: Row, cells: dict[Engine, Cell]) -> None:
    """One line per engine, and the ratio to cnnrs."""
    print(f"\n{row.title}")
    for engine, cell in cells.items():
        spread = (max(cell.seconds) - min(cell.seconds)) / cell.median
        line = f"  {engine.name:24}{cell.median * 1e3:10.3f} ms{cell.images / cell.median:11.0f} images/s"
        line += f"{cell.peak_mib:8.0f} MiB  spread {spread:4.0%}  {cell.version}"
        print(line)
    value = ratio(cells)
    if value is not None:
        print(f"  ratio: {value:.2f} x the fastest peer")


def processor() -> str:
    """The processor's name."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.processor() or platform.machine()


def instructions() -> str:
    """The widest vector instructions that kernels of any engine may use."""
    if platform.machine().lower() in ("aarch64", "arm64"):
        return "NEON"
    try:
        flags = set(re.findall(r"\S+", Path("/proc/cpuinfo").read_text()))
    except OSError:
        flags = set()
    known = {"avx512f": "AVX-512", "avx2": "AVX2"}
    return next((name for flag, name in known.items() if flag in flags), "unknown instructions")


def asked(isa: str) -> str:
    """The instructions that kernels may use: the processor's widest, or those of `--isa`."""
    return {"": instructions(), "avx2": "AVX2 of both sides, asked for"}[isa]


def slug(text: str) -> str:
    """`text` as part of a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def file_name(threads: int, isa: str = "") -> str:
    """The name of the results of this machine."""
    return slug(f"{processor()} {asked(isa)} {threads} threads") + ".json"


def ratio(cells: dict[Engine, Cell]) -> float | None:
    """The fastest peer's time over cnnrs's, if both were measured."""
    own = cells.get(CNNRS)
    peers = [cell.median for engine, cell in cells.items() if engine != CNNRS]
    return min(peers) / own.median if own and peers else None


def record(row: Row, cells: dict[Engine, Cell]) -> dict:
    """What was measured in one row, for JSON."""
    engines = {
        engine.name: {
            "version": cell.version,
            "median_ms": round(cell.median * 1e3, 3),
            "least_ms": round(min(cell.seconds) * 1e3, 3),
            "images_per_second": round(cell.images / cell.median, 2),
            "peak_mib": round(cell.peak_mib, 1),
            "timed": len(cell.seconds),
        }
        for engine, cell in cells.items()
    }
    value = ratio(cells)
    group = {"group": row.group} if row.group else {}
    return {"title": row.title, **group, "ratio": value and round(value, 3), "engines": engines}


def print_means(records: list[dict]) -> None:
    """The geometric mean of the ratios of each group."""
    groups: dict[str, list[float]] = {}
    for row in records:
        if row["ratio"]:
            groups.setdefault(row.get("group", "Rows of README"), []).append(row["ratio"])
    for group, ratios in groups.items():
        mean = statistics.geometric_mean(ratios)
        print(f"\n{group}: geometric mean {mean:.2f}, least {min(ratios):.2f}, {len(ratios)} rows")


def save(path: Path, threads: int, isa: str, records: list[dict]) -> None:
    """Writes rows to `path`; rows with other titles that are there already stay."""
    system = {
        "cpu": processor(),
        "instructions": asked(isa),
        "cpus": os.cpu_count(),
        "threads": threads,
        "system": platform.platform(),
    }
    rows = {}
    if path.exists():
        rows = {row["title"]: row for row in json.loads(path.read_text())["rows"]}
    date = time.strftime("%Y-%m-%d")
    rows |= {row["title"]: {"date": date, **row} for row in records}
    order = [row.title for row in ROWS]
    kept = sorted(rows.values(), key=lambda row: (*order, row["title"]).index(row["title"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**system, "rows": kept}, indent=1) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cnnrs-python", help="interpreter that has cnnrs; without it only peers run")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="rows whose title or group contains this text")
    names = sorted({peer.name for row in ROWS for peer in row.peers})
    parser.add_argument(
        "--without", action="append", default=[], choices=names, help="a peer that takes no part; repeatable"
    )
    parser.add_argument(
        "--isa", choices=["", *NARROWER], default="", help="hold all engines to these instructions"
    )
    parser.add_argument(
        "--save",
        nargs="?",
        type=Path,
        const=HERE.parent / "results",
        help="JSON file, or folder for a file named after processor, instructions and threads",
    )
    options = parser.parse_args()
    rows = [row for row in ROWS if options.only.lower() in f"{row.title}; {row.group}".lower()]
    if not rows:
        parser.error(f"--only {options.only!r} matches no row; titles: {'; '.join(r.title for r in ROWS)}")
    print(f"{processor()}, {asked(options.isa)}, {os.cpu_count()} CPUs, {options.threads} threads")
    failed = False
    records = []
    for row in rows:
        peers = tuple(
            peer
            for peer in row.peers
            if peer.name not in options.without and not (options.isa and peer.script == ORT.script)
        )
        engines = ((CNNRS,) if options.cnnrs_python else ()) + peers
        cells = {engine: Cell() for engine in engines}
        for _ in range(options.rounds):
            for engine in engines:
                # Not resolved: an environment's interpreter is a link that must be called by its own path.
                python = os.path.abspath(options.cnnrs_python) if engine == CNNRS else sys.executable
                try:
                    cells[engine].add(measure(row, engine, python, options.threads, options.isa))
                except (RuntimeError, subprocess.TimeoutExpired) as error:
                    print(error, file=sys.stderr)
                    failed = True
        measured = {engine: cell for engine, cell in cells.items() if cell.seconds}
        print_row(row, measured)
        records.append(record(row, measured))
        if options.save is not None:
            in_folder = options.save / file_name(options.threads, options.isa)
            path = options.save if options.save.suffix == ".json" else in_folder
            save(path, options.threads, options.isa, records)
    print_means(records)
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
