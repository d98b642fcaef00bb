"""What the pipeline itself costs: batches of pictures in memory, in cnnrs, tf.data and PyTorch's DataLoader.

    python benches/data/overhead.py --tensorflow PYTHON --torch PYTHON

Each library runs in its own interpreter, one after the other. Time is that of the processor, of all threads
and child processes, which other work on the machine changes little, and that of the clock. The least of the
passes counts.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

COUNT, BATCH, SIZE, PASSES = 10_000, 128, 32, 5
PIPELINES = ("shuffle, batch, prefetch", "and map: cast, divide", "and map: pad, random crop, flip")


def pictures() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (COUNT, SIZE, SIZE, 3), np.uint8), rng.integers(0, 10, COUNT)


def tf_data(
    tf: Any, random_crop: Callable[[Any], Any], flip: Callable[[Any], Any]
) -> list[Callable[[], Any]]:
    """The three pipelines in `tf.data`, or in `cnnrs.compat.tf`."""

    def scaled(x: Any, y: Any) -> Any:
        return tf.cast(x, tf.float32) / 255.0, y

    def augmented(x: Any, y: Any) -> Any:
        x = tf.pad(tf.cast(x, tf.float32) / 255.0, [[4, 4], [4, 4], [0, 0]])
        return flip(random_crop(x)), y

    rows = tf.data.Dataset.from_tensor_slices(pictures()).shuffle(COUNT)
    auto = tf.data.AUTOTUNE
    made = [rows, rows.map(scaled, num_parallel_calls=auto), rows.map(augmented, num_parallel_calls=auto)]
    datasets = [data.batch(BATCH).prefetch(auto) for data in made]
    return [lambda data=data: sum(1 for _ in data.as_numpy_iterator()) for data in datasets]


def with_cnnrs() -> list[Callable[[], Any]]:
    import cnnrs.compat.tf as tf

    return tf_data(tf, lambda x: tf.image.random_crop(x, (SIZE, SIZE, 3)), tf.image.random_flip_left_right)


def with_tensorflow() -> list[Callable[[], Any]]:
    import tensorflow as tf

    return tf_data(tf, lambda x: tf.image.random_crop(x, (SIZE, SIZE, 3)), tf.image.random_flip_left_right)


def with_torch(workers: int) -> list[Callable[[], Any]]:
    import torch
    from torch.utils.data import DataLoader, Dataset, TensorDataset

    x, y = (torch.from_numpy(array) for array in pictures())
    x = x.permute(0, 3, 1, 2).contiguous()

    class Mapped(Dataset):
        def __init__(self, function: Callable[[Any], Any]):
            self.function = function

        def __len__(self) -> int:
            return COUNT

        def __getitem__(self, index: int) -> Any:
            return self.function(x[index]), y[index]

    def augmented(image: Any) -> Any:
        image = torch.nn.functional.pad(image.float() / 255.0, (4, 4, 4, 4))
        top, left = torch.randint(0, 9, (2,)).tolist()
        image = image[:, top : top + SIZE, left : left + SIZE]
        return image.flip(-1) if torch.rand(()) < 0.5 else image

    sets = [TensorDataset(x, y), Mapped(lambda image: image.float() / 255.0), Mapped(augmented)]
    loaders = [DataLoader(data, BATCH, shuffle=True, num_workers=workers) for data in sets]
    return [lambda loader=loader: sum(1 for _ in loader) for loader in loaders]


LIBRARIES: dict[str, Callable[[], list[Callable[[], Any]]]] = {
    "cnnrs": with_cnnrs,
    "tf.data": with_tensorflow,
    "DataLoader": lambda: with_torch(0),
    "DataLoader, 2 workers": lambda: with_torch(2),
}


def processor_seconds() -> float:
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses)


def measure(name: str) -> list[dict[str, float]]:
    """Microseconds of a batch, of the processor and of the clock."""
    found = []
    for run in LIBRARIES[name]():
        run()
        best = {"processor": float("inf"), "clock": float("inf")}
        for _ in range(PASSES):
            begin, clock = processor_seconds(), time.perf_counter()
            batches = run()
            used = {"processor": processor_seconds() - begin, "clock": time.perf_counter() - clock}
            best = {key: min(best[key], used[key] / batches * 1e6) for key in best}
        found.append(best)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tensorflow", help="an interpreter that has TensorFlow")
    parser.add_argument("--torch", help="an interpreter that has PyTorch")
    parser.add_argument("--worker", choices=list(LIBRARIES), help="runs one library here and prints JSON")
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(measure(options.worker)))
        return 0
    interpreters = {"cnnrs": sys.executable, "tf.data": options.tensorflow}
    print(f"{COUNT} pictures of {SIZE} x {SIZE} x 3, batches of {BATCH}; microseconds of processor (clock)")
    print(f"| library | {' | '.join(PIPELINES)} |\n|---|---|---|---|")
    for name in LIBRARIES:
        python = interpreters.get(name, options.torch)
        if python is None:
            continue
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        result = subprocess.run(
            [python, __file__, "--worker", name], env=environment, stdout=subprocess.PIPE, check=True
        )
        cells = [
            f"{m['processor']:.0f} ({m['clock']:.0f})" for m in json.loads(result.stdout.splitlines()[-1])
        ]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
