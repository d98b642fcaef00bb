"""`cnnrs bench`: how long a model takes for an image, by size of batch and number of threads."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from cnnrs.cli.models import add_model, images_of, made
from cnnrs.cli.options import add_command, add_device, add_json, on_device, positive

__all__ = ["add"]


def _numbers(text: str) -> list[int]:
    return [positive(part) for part in text.split(",")]


def add(commands: Any) -> None:
    """Describes the command."""
    bench = add_command(
        commands, "bench", _bench, "measure the time of an image by batch and threads",
        "Measure how long a model takes for an image: the median of the runs of each size of batch and\n"
        "number of threads. The first run, which makes the plan, does not count.",
        "cnnrs bench resnet18\ncnnrs bench run/ --batch 1,8,32 --threads 1,2 --json\n"
        "cnnrs bench lenet5 --device gpu",
    )  # fmt: skip
    add_model(bench)
    bench.add_argument("--batch", type=_numbers, default=[1, 8, 32], metavar="N,N", help="sizes (1,8,32)")
    bench.add_argument("--threads", type=_numbers, metavar="N,N", help="numbers of threads (those set)")
    bench.add_argument("--seconds", type=float, default=1.0, help="seconds of each measurement (1)")
    add_device(bench)
    add_json(bench, "the table")


def _bench(options: argparse.Namespace) -> int:
    if not 0 < options.seconds <= 3600:
        options.parser.error(f"--seconds: expected 0 to 3600, received {options.seconds:g}")
    with on_device(options):
        return _table(options)


def _table(options: argparse.Namespace) -> int:
    from cnnrs import config

    model = made(options.model)
    before = config.get_num_threads()
    rows = []
    try:
        for threads in options.threads or [before]:
            config.set_num_threads(threads)
            for batch in options.batch:
                row = {"threads": threads, "batch": batch, **_measured(model, batch, options.seconds)}
                rows.append(row)
                if not options.json:
                    if len(rows) == 1:
                        print("threads  batch  ms a batch  ms an image  images/s  runs")
                    print(
                        f"{threads:7}  {batch:5}  {row['ms_per_batch']:10.3f}  {row['ms_per_image']:11.3f}  "
                        f"{row['images_per_second']:8,.0f}  {row['runs']:4}"
                    )
                    sys.stdout.flush()
    finally:
        config.set_num_threads(before)
    if options.json:
        print(json.dumps({"model": options.model, "device": config.get_device(), "rows": rows}))
    return 0


def _measured(model: Any, batch: int, seconds: float) -> dict[str, Any]:
    x = images_of(model, batch)
    model.predict_on_batch(x)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or (time.perf_counter() < end and len(times) < 100_000):
        start = time.perf_counter()
        model.predict_on_batch(x)
        times.append(time.perf_counter() - start)
    median = sorted(times)[len(times) // 2]
    return {
        "ms_per_batch": median * 1e3,
        "ms_per_image": median * 1e3 / batch,
        "images_per_second": batch / median,
        "runs": len(times),
    }
