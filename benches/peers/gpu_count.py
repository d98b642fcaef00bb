"""What each network asks of a GPU: dispatches, bytes, FLOPs, memory. Plans are compiled, and nothing runs.

    python benches/peers/gpu.py --count

Any adapter will do, also one that computes on the processor (CNNRS_ADAPTER=software): plans depend on an
adapter's limits, not on its speed. A batch that exceeds the largest tensor that the adapter binds is halved
until it fits. A byte counts each time that a step stores it, and once for each step that reads it.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gpu_rows
import numpy as np
from gpu_cnnrs_worker import compiled

import cnnrs
from cnnrs.training.data_adapter import ArrayData
from cnnrs.training.runner import StepRunner

# One step in the text of a plan: its kernel and the number of its dispatches.
STEP = re.compile(r"(\S+) ×(\d+)  ")
ONCE = "-- above: once"
COMMIT = "-- commit --"
COLUMNS = (
    *("batch", "steps", "dispatches", "of the commit", "once", "workgroups", "submissions", "GFLOP"),
    *("read", "written", "arena", "made once", "weights and state", "FLOP per byte"),
)


@dataclass(frozen=True)
class Counts:
    """What one run of a plan asks of a device.

    Attributes:
        net: The network.
        kind: "train", "predict", or "train mixed" for a step under `mixed_float16`.
        batch: Images of a batch.
        steps: Steps of a run; some share a dispatch, others have several.
        dispatches: Dispatches of a run.
        commit_dispatches: Those of them that overwrite variables.
        once_dispatches: Dispatches that run once for many runs.
        workgroups: Workgroups of a run's dispatches.
        submissions: Submissions of a run, by the rates that are assumed of the adapter.
        flops: Floating-point operations (a multiply-add counts 2).
        read_bytes: Bytes of the values that steps read.
        written_bytes: Bytes of what steps store for others.
        arena_bytes: Bytes of the intermediates of a run.
        once_bytes: Bytes of what is made once for many runs.
        weight_bytes: Bytes of weights and of the optimizer's state.
        kernels: Dispatches of each kernel.
    """

    net: str
    kind: str
    batch: int
    steps: int
    dispatches: int
    commit_dispatches: int
    once_dispatches: int
    workgroups: int
    submissions: int
    flops: int
    read_bytes: int
    written_bytes: int
    arena_bytes: int
    once_bytes: int
    weight_bytes: int
    kernels: dict[str, int]


def committed(described: str) -> int:
    """Dispatches that overwrite variables."""
    found = [STEP.match(line) for line in described.partition(COMMIT)[2].splitlines()]
    return sum(int(match[2]) for match in found if match)


def dispatches_of(described: str) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Kernels and dispatches of a plan's steps: of those that run once for many runs, and of the others."""
    lines = described.splitlines()
    split = next((i for i, line in enumerate(lines) if line.startswith(ONCE)), -1)
    found = [STEP.match(line) for line in lines]
    pairs = [(match[1], int(match[2])) if match else None for match in found]
    return [p for p in pairs[: split + 1] if p], [p for p in pairs[split + 1 :] if p]


def written(told: dict[str, Any]) -> int:
    """Bytes that the steps of a run store, as `explain` tells them."""
    steps = told["steps"]
    work = [work for row in told["rows"] for work in row["work"] if steps[work["step"]]["when"] != "once"]
    return sum(stored["bytes"] for one in work for stored in one["stores"])


def count(name: str, kind: str, batch: int, net: gpu_rows.Net) -> Counts:
    """Compiles a step of a network and counts."""
    trains = kind != "predict"
    cnnrs.config.set_dtype_policy("mixed_float16" if kind == "train mixed" else "float32")
    model = compiled(name, net)
    x = np.zeros((batch, net.size, net.size, net.channels), np.float32)
    y = np.zeros(batch, np.int32) if trains else None
    samples = ArrayData(x, y, None, None).samples
    function = StepRunner(model, "train" if trains else "predict").recorded(samples).function
    told = function.explain()
    described = function.describe()
    once, every = dispatches_of(described)
    in_run = [step for step in told["steps"] if step["when"] != "once"]
    kernels: dict[str, int] = {}
    for kernel, number in every:
        kernels[kernel] = kernels.get(kernel, 0) + number
    variables = model.variables + (model.optimizer.variables if trains else [])
    return Counts(
        net=name,
        kind=kind,
        batch=batch,
        steps=len(every),
        dispatches=sum(number for _, number in every),
        commit_dispatches=committed(described),
        once_dispatches=sum(number for _, number in once),
        workgroups=sum(sum(step["chunks"]) for step in in_run),
        submissions=told["submissions"],
        flops=told["flops"],
        read_bytes=sum(step["read_bytes"] for step in in_run),
        written_bytes=written(told),
        arena_bytes=told["arena_bytes"],
        once_bytes=told["once_bytes"],
        weight_bytes=sum(4 * math.prod(variable.shape) for variable in variables),
        kernels=dict(sorted(kernels.items(), key=lambda item: -item[1])),
    )


def fitting(name: str, kind: str, tiny: bool) -> Counts:
    """Counts with the row's batch, or with the largest half of it that the adapter can bind."""
    net = gpu_rows.net(name, tiny)
    batch = net.batch
    while True:
        try:
            return count(name, kind, batch, net)
        except MemoryError as error:
            if "binds at most" not in str(error) or batch == 1:
                raise
            batch //= 2


def line(counts: Counts) -> str:
    mib = [
        counts.read_bytes,
        counts.written_bytes,
        counts.arena_bytes,
        counts.once_bytes,
        counts.weight_bytes,
    ]
    cells = [
        f"{counts.net} {counts.kind}",
        f"{counts.batch}",
        f"{counts.steps}",
        f"{counts.dispatches}",
        f"{counts.commit_dispatches}",
        f"{counts.once_dispatches}",
        f"{counts.workgroups}",
        f"{counts.submissions}",
        f"{counts.flops * 1e-9:.1f}",
        *(f"{size / 2**20:.1f}" for size in mib),
        f"{counts.flops / (counts.read_bytes + counts.written_bytes):.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="folder for counts.jsonl")
    parser.add_argument("--tiny", action="store_true", help="small batches and images")
    options = parser.parse_args()
    adapter = next((d for d in cnnrs.devices() if d.name.startswith("gpu")), None)
    if adapter is None:
        raise SystemExit(
            "expected an adapter; CNNRS_ADAPTER=software takes one that computes on the processor"
        )
    print(f"{adapter.description}; MiB, unless a column says otherwise\n")
    print(f"| | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 1)}")
    every = []
    for name in gpu_rows.NETS:
        for kind in ("predict", "train", "train mixed"):
            every.append(fitting(name, kind, options.tiny))
            print(line(every[-1]), flush=True)
    print()
    for counts in every:
        kernels = ", ".join(f"{kernel} {number}" for kernel, number in counts.kernels.items())
        print(f"{counts.net} {counts.kind}: {kernels}")
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        origin = {
            "adapter": adapter.description,
            "cnnrs": cnnrs.__version__,
            "date": time.strftime("%Y-%m-%d"),
        }
        text = "".join(json.dumps({**origin, **asdict(counts)}) + "\n" for counts in every)
        (options.out / "counts.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
