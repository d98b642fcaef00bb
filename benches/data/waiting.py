"""Which part of a training step is spent waiting for data: ResNet-18 on a folder of JPEGs, by `fit`.

    python benches/data/waiting.py [--sizes 64 96 224] [--write FILE]

Photos of about 500 x 375 go through RandomResizedCrop, flips and changes of colour, in as many threads as the
network computes with, and a batch is prefetched. `waiting` is the part of an epoch in which `fit` stood still
for the next batch; `in memory` is the time of a step on a batch that is there already. They differ by what
reading costs in all: its threads share the processors with the network.

The last lines are of `cnnrs train`, whose augmentation is layers in the network: what steps take without and
with them. Times are the least of the epochs, behind one that is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from photographs import SETS, write_photographs

BATCH, WORKERS, EPOCHS = 32, 2, 3


class Timed:
    """Batches, again and again, and the seconds that somebody waited for them."""

    def __init__(self, batches: Any):
        self._batches = batches
        self.seconds = 0.0

    def __iter__(self) -> Iterator[Any]:
        batches = iter(self._batches.repeat())
        while True:
            begin = time.perf_counter()
            batch = next(batches)
            self.seconds += time.perf_counter() - begin
            yield batch


def photos(folder: Path, size: int) -> Any:
    from cnnrs import layers
    from cnnrs.data import AUTOTUNE, Dataset

    augment = layers.Pipeline(
        [
            layers.RandomResizedCrop(size, size, seed=1),
            layers.RandomFlip("horizontal", seed=2),
            layers.RandomColorJitter(
                brightness_factor=0.4, contrast_factor=0.4, saturation_factor=(0.4, 0.6), seed=3
            ),
            layers.Rescaling(1 / 255),
        ]
    )
    data = Dataset.from_folder(folder).shuffle(1000, seed=4)
    data = data.map(lambda x, y: (augment(x), y), num_parallel_calls=AUTOTUNE)
    return data.batch(BATCH, drop_remainder=True).prefetch(AUTOTUNE)


def best_epoch(model: Any, data: Any, steps: int, waited: Timed | None = None) -> tuple[float, float]:
    """Seconds of a step, and the part of them that was spent waiting, of the fastest epoch."""
    model.fit(iter(data), steps_per_epoch=steps, verbose=0)
    best, share = float("inf"), 0.0
    for _ in range(EPOCHS):
        before = waited.seconds if waited else 0.0
        begin = time.perf_counter()
        model.fit(iter(data), steps_per_epoch=steps, verbose=0)
        spent = time.perf_counter() - begin
        if spent < best:
            best, share = spent, ((waited.seconds - before) / spent if waited else 0.0)
    return best / steps, share


def again(batch: Any) -> Iterator[Any]:
    while True:
        yield batch


def of_folder(folder: Path, size: int, steps: int) -> dict[str, float]:
    """The figures of ResNet-18 on augmented photos."""
    from cnnrs import applications

    model = applications.ResNet18(weights=None, classes=2, input_shape=(size, size, 3))
    model.compile("sgd", "sparse_categorical_crossentropy")
    data = photos(folder, size)
    timed = Timed(data)
    batches = iter(timed)
    # One iterator for all epochs, as a data set in `fit` has its threads at work between them, too.
    step, share = best_epoch(model, _Same(batches), steps, timed)
    in_memory, _ = best_epoch(model, _Same(again(next(iter(data)))), steps)
    return {"step_ms": 1000 * step, "waiting": share, "in_memory_ms": 1000 * in_memory}


class _Same:
    """An iterator that is not begun anew."""

    def __init__(self, iterator: Iterator[Any]):
        self._iterator = iterator

    def __iter__(self) -> Iterator[Any]:
        return self._iterator


def of_command(size: int, augment: str, steps: int) -> float:
    """Milliseconds of a step of the network that `cnnrs train` makes."""
    from cnnrs.runs import networks

    model = networks.make("resnet18", 2, [size, size], 3, "none", augment)
    model.compile("sgd", "sparse_categorical_crossentropy")
    random = np.random.default_rng(0)
    batch = random.integers(0, 256, (BATCH, size, size, 3)).astype(np.uint8), np.arange(BATCH) % 2
    step, _ = best_epoch(model, _Same(again(batch)), steps)
    return 1000 * step


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 96, 224])
    parser.add_argument("--folder", type=Path, help="where photographs are kept between runs")
    parser.add_argument("--write", type=Path, help="a file for the figures")
    options = parser.parse_args()
    os.environ.setdefault("CNNRS_NUM_THREADS", str(WORKERS))
    found: dict[str, Any] = {"sizes": {}, "command": {}}
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)) / "web"
        write_photographs(folder, "web")
        for size in options.sizes:
            steps = SETS["web"].count // BATCH if size < 128 else 2
            figures = of_folder(folder, size, steps)
            found["sizes"][str(size)] = {name: round(value, 4) for name, value in figures.items()}
            print(
                f"{size} x {size}: {figures['step_ms']:.0f} ms a step of {BATCH}, {figures['waiting']:.2%} "
                f"of it waiting for data; {figures['in_memory_ms']:.0f} ms in memory",
                flush=True,
            )
    # Up to 64 x 64 the command takes the stem of CIFAR, with which steps take longer.
    size = min((size for size in options.sizes if size > 64), default=96)
    for augment in ("none", "light", "standard"):
        found["command"][augment] = round(of_command(size, augment, 4), 1)
        print(
            f"cnnrs train --augment {augment}: {found['command'][augment]:.0f} ms a step at {size} x {size}"
        )
    if options.write:
        options.write.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
