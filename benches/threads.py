"""How training shares processors: 2 threads against 1, and two processes at once against one alone.

ResNet-18 for 32x32 images, one step of SGD at a time. The settings take turns, each in a process of its
own; a figure is the median over the steps of all rounds. Two processes that train at once have the
machine's threads together: each ideally takes twice as long as alone.

    make threads
    make threads THREADS_ARGS="--rounds 4 --batch 32"
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time


def train(batch: int, threads: int, seconds: float) -> list[float]:
    """Seconds of each step, for about as long as asked."""
    import numpy as np

    import cnnrs
    from cnnrs.applications import ResNet18

    cnnrs.config.set_num_threads(threads)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, 32, 32, 3), dtype=np.float32)
    y = rng.integers(0, 10, batch)
    model = ResNet18(stem="cifar", classes=10, classifier_activation=None)
    loss = cnnrs.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(cnnrs.optimizers.SGD(0.01, momentum=0.9), loss)
    model.train_on_batch(x, y)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 2:
        start = time.perf_counter()
        model.train_on_batch(x, y)
        times.append(time.perf_counter() - start)
    return times


def at_once(count: int, batch: int, threads: int, seconds: float) -> list[float]:
    """Steps of `count` processes that train at the same time."""
    command = [
        sys.executable,
        __file__,
        "--worker",
        str(threads),
        "--batch",
        str(batch),
        "--seconds",
        str(seconds),
    ]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    times: list[float] = []
    for worker in workers:
        output, _ = worker.communicate()
        if worker.returncode != 0:
            raise SystemExit(worker.returncode)
        times += json.loads(output)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(train(options.batch, options.worker, options.seconds)))
        return
    settings = {"1 thread": (1, 1), "2 threads": (1, 2), "two processes of 2 threads": (2, 2)}
    times: dict[str, list[float]] = {name: [] for name in settings}
    for _ in range(options.rounds):
        for name, (count, threads) in settings.items():
            times[name] += at_once(count, options.batch, threads, options.seconds)
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    for name, median in medians.items():
        print(f"{name:28} {median * 1e3:8.0f} ms a step, least {min(times[name]) * 1e3:8.0f}")
    one, two, both = medians.values()
    print(f"2 threads are {one / two:.2f} times as fast as 1")
    together = 2 * two / both
    print(f"each of two processes takes {both / two:.2f} times as long; together {together:.2f} x one's rate")


if __name__ == "__main__":
    main()
