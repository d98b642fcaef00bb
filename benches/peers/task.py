"""What every worker shares: its arguments, timing, and the JSON line that it prints."""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from zoo import NETS

INFERENCE = ("resnet18_infer", "resnet50_infer", "mobilenetv2_infer")
TASKS = (
    "lenet",
    "resnet18_train",
    *INFERENCE,
    *(f"train:{name}" for name in NETS),
    *(f"infer:{name}" for name, net in NETS.items() if net.infers),
)
_MNIST = Path(__file__).parents[2] / "python" / "cnnrs" / "datasets" / "data" / "mnist"


def arguments() -> argparse.Namespace:
    """Parses a worker's arguments and limits the threads before the engine is imported."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--task", choices=TASKS, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--repeats", type=int, required=True, help="timed epochs (lenet) or steps")
    parser.add_argument("--variant", default="", help="engine-specific: channels_last, compile, no_xla")
    options = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CNNRS_NUM_THREADS"):
        os.environ[name] = str(options.threads)
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ[name] = str(options.threads)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return options


def mnist_images(batch: int, batches: int):
    """The first images of MNIST: float32 in 0 to 1 of shape (n, 28, 28, 1), and int32 labels."""
    import numpy as np

    def read(name: str, offset: int):
        with gzip.open(_MNIST / f"{name}.gz") as file:
            return np.frombuffer(file.read(), np.uint8, offset=offset)

    n = batch * batches
    x = read("train-images-idx3-ubyte", 16).reshape(-1, 28, 28, 1)[:n].astype(np.float32) / 255
    return x, read("train-labels-idx1-ubyte", 8)[:n].astype(np.int32)


def random_images(batch: int, size: int, classes: int):
    """Normal float32 images, NHWC, and int32 labels."""
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, size, size, 3), dtype=np.float32)
    return x, rng.integers(0, classes, batch).astype(np.int32)


# A call of microseconds is repeated for so long that clocks, caches and waiting threads are in the state of
# a server at work, and that a median has thousands of samples.
_WARM_SECONDS, _TIMED_SECONDS = 0.2, 0.5


def timed(run: Callable[[], object], warm_up: int, repeats: int) -> list[float]:
    """Seconds of each of at least `repeats` calls and half a second, after `warm_up` or more untimed ones."""
    start = time.perf_counter()
    calls = 0
    while calls < warm_up or time.perf_counter() - start < _WARM_SECONDS:
        run()
        calls += 1
    seconds = []
    total = 0.0
    while len(seconds) < repeats or total < _TIMED_SECONDS:
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
        total += seconds[-1]
    return seconds


def report(version: str, seconds: list[float], images: int, **more: object) -> None:
    """Prints the result as one line of JSON; `images` are processed per timed call."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    mib = peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    result = {"version": version, "seconds": seconds, "images": images, "peak_mib": mib, **more}
    print(json.dumps(result), flush=True)
