"""Two builds of cnnrs side by side, for changes smaller than the noise of a shared machine.

Both processes stay alive and take turns step by step, so that whatever slows the machine down for
seconds slows both. Printed are the quartiles of OLD's time over NEW's: above 1, NEW is faster.
Each build is a directory that holds the package:

    pip install --no-deps --target old dist/cnnrs-*.whl
    make pairs PAIRS_ARGS="old new --task resnet18_infer --batch 1 --pairs 300"
    make pairs PAIRS_ARGS="old new --task infer:mobilenetv2_96 --batch 32 --calls 20"

Small networks take several calls a turn, of which the median counts: threads of the other process look out
for work for 300 µs after their last.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "peers"))
from zoo import NETS, samples

TASKS = (
    "lenet",
    "resnet18_train",
    "resnet18_infer",
    "resnet50_infer",
    "mobilenetv2_infer",
    *(f"train:{name}" for name in NETS),
    *(f"infer:{name}" for name, net in NETS.items() if net.infers),
)
# Batches of an epoch of LeNet, which is one step here: its batches follow one another without Python.
LENET_BATCHES = 20


def step(task: str, batch: int) -> Callable[[], object]:
    """One step of training or one batch of inference, on random images."""
    import numpy as np
    from nets import inference_keras, lenet5_keras, resnet18_keras

    import cnnrs

    kind, _, name = task.partition(":")
    if name:
        import zoo_keras

        x, y = samples(NETS[name], batch)
        if kind == "train":
            model = zoo_keras.compiled(cnnrs, name)
            return lambda: model.train_on_batch(x, y)
        model = zoo_keras.network(cnnrs, name)
        return lambda: model.predict_on_batch(x)
    rng = np.random.default_rng(0)
    if task.endswith("_infer"):
        x = rng.random((batch, 224, 224, 3), dtype=np.float32)
        model = inference_keras(cnnrs, task)
        return lambda: model.predict_on_batch(x)
    loss = cnnrs.losses.SparseCategoricalCrossentropy(from_logits=True)
    if task == "lenet":
        x = rng.random((batch * LENET_BATCHES, 28, 28, 1), dtype=np.float32)
        y = rng.integers(0, 10, len(x))
        model = lenet5_keras(cnnrs)
        model.compile(cnnrs.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
        return lambda: model.fit(x, y, batch_size=batch, verbose=0)
    x = rng.random((batch, 32, 32, 3), dtype=np.float32)
    y = rng.integers(0, 10, batch)
    model = resnet18_keras(cnnrs, 32, 10)
    model.compile(cnnrs.optimizers.SGD(0.01, momentum=0.9), loss, metrics=["accuracy"])
    return lambda: model.train_on_batch(x, y)


def work(task: str, batch: int, calls: int) -> None:
    """Takes `calls` steps for each line of the standard input, and prints their median in seconds."""
    run = step(task, batch)
    for _ in range(3):
        run()
    print("ready", flush=True)
    for _ in sys.stdin:
        seconds = []
        for _ in range(calls):
            start = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - start)
        print(statistics.median(seconds), flush=True)


class Worker:
    """A process with one of the builds."""

    def __init__(self, build: Path, task: str, batch: int, calls: int) -> None:
        if not (build / "cnnrs" / "__init__.py").exists():
            raise SystemExit(f"{build} holds no package cnnrs; see --help")
        command = [sys.executable, __file__, "--worker", "--task", task, "--batch", str(batch)]
        command += ["--calls", str(calls)]
        environment = {**os.environ, "PYTHONPATH": str(build.resolve())}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        if self._read() != "ready":
            raise SystemExit(f"{build}: the worker did not start")

    def _read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def seconds(self) -> float:
        """Seconds of one step."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self._read())

    def stop(self) -> None:
        """Ends the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("builds", type=Path, nargs="*", metavar="BUILD", help="directories: old, new")
    parser.add_argument("--task", choices=TASKS, default="resnet18_infer")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--calls", type=int, default=1, help="steps of a turn")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return work(options.task, options.batch, options.calls)
    if len(options.builds) != 2:
        parser.error(f"two builds are compared, received {len(options.builds)}")
    if options.pairs < 2:
        parser.error(f"--pairs: quartiles need at least 2, received {options.pairs}")
    if options.calls < 1:
        parser.error(f"--calls: expected at least 1, received {options.calls}")
    workers = [Worker(build, options.task, options.batch, options.calls) for build in options.builds]
    times: tuple[list[float], list[float]] = ([], [])
    for pair in range(options.pairs):
        # Whoever comes second finds the other's data in the caches: each is second as often.
        for which in (0, 1) if pair % 2 else (1, 0):
            times[which].append(workers[which].seconds())
    for worker in workers:
        worker.stop()
    for build, seconds in zip(options.builds, times, strict=True):
        print(f"{build}: least {min(seconds) * 1e3:.2f} ms, median {statistics.median(seconds) * 1e3:.2f}")
    low, middle, high = statistics.quantiles(a / b for a, b in zip(*times, strict=True))
    print(
        f"{options.task}, batch {options.batch}: old / new {middle:.3f}, quartiles {low:.3f} and {high:.3f}"
    )


if __name__ == "__main__":
    main()
