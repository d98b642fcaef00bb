"""Folders of pictures to batches: cnnrs, PyTorch's DataLoader with torchvision, and tf.data.

    python benches/data/reading.py --torch PYTHON --tensorflow PYTHON

All read the same files with the same number of workers, each library in a process of its own, one after the
other, round by round. The best round counts, after a pass that warms caches and starts workers. Beside the
images a second stands the time of a processor that an image took, which other programs on the machine disturb
less. Libraries that are not installed are left out. `pipelines.py` adds augmentation, `waiting.py` a network.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIZE, BATCH, WORKERS = 224, 32, 2


def make(folder: Path, count: int) -> None:
    """Photo-like JPEGs of 500 x 375, quality 90, and PNGs of 64 x 64, in two classes."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)

    def photo(height: int, width: int) -> Image.Image:
        # Octaves of noise, whose amplitude falls with the frequency as in photographs, and a grain.
        total = np.zeros((height, width, 3))
        for octave in range(1, 9):
            noise = random.random((2**octave, 2**octave, 3))
            layer = Image.fromarray((noise * 255).astype(np.uint8)).resize(
                (width, height), Image.Resampling.BICUBIC
            )
            total += (np.asarray(layer) / 255 - 0.5) * 1.5**-octave
        total += random.normal(0, 0.012, total.shape)
        total = (total - total.min()) / (total.max() - total.min())
        return Image.fromarray((total * 255).astype(np.uint8))

    for label in ("a", "b"):
        (folder / "jpeg" / label).mkdir(parents=True)
        (folder / "png" / label).mkdir(parents=True)
        for index in range(count // 2):
            photo(375, 500).save(folder / "jpeg" / label / f"{index}.jpg", quality=90)
            photo(64, 64).save(folder / "png" / label / f"{index}.png")


def processor_seconds() -> float:
    """Seconds that processors worked for this process and its workers."""
    ticks = 0
    for process in [os.getpid(), *(child.pid for child in multiprocessing.active_children())]:
        # Fields 14 and 15: in user and in system mode; the name in parentheses may have spaces.
        ticks += sum(map(int, Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def passes(batches, rounds: int = 3) -> list[float]:
    """Seconds of the fastest pass, and of processors, for one image, after a pass that is not counted."""
    best = [float("inf")] * 2
    for number in range(rounds + 1):
        begin, worked, images = time.perf_counter(), processor_seconds(), 0
        for batch in batches():
            images += len(batch)
        if number:
            spent = (time.perf_counter() - begin, processor_seconds() - worked)
            best = [min(old, new / images) for old, new in zip(best, spent, strict=True)]
    return best


def with_cnnrs(folder: Path) -> dict[str, list[float]]:
    from cnnrs import data, utils

    paths = sorted(folder.rglob("*.*g"))
    floats = utils.image_dataset_from_directory(
        folder, None, image_size=(SIZE, SIZE), batch_size=BATCH, shuffle=False, verbose=False
    )
    return {
        "cnnrs, data.image_batches (uint8, antialiased)": passes(
            lambda: (images for images, _ in data.image_batches(paths, SIZE, BATCH, threads=WORKERS))
        ),
        "cnnrs, image_dataset_from_directory (float32)": passes(lambda: iter(floats.prefetch(1))),
    }


def with_torch(folder: Path) -> dict[str, list[float]]:
    import torch
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import Compose, PILToTensor, Resize

    torch.set_num_threads(1)
    images = ImageFolder(str(folder), Compose([Resize((SIZE, SIZE)), PILToTensor()]))
    loader = torch.utils.data.DataLoader(images, BATCH, num_workers=WORKERS, persistent_workers=True)
    return {
        "PyTorch, DataLoader and torchvision (uint8, antialiased)": passes(lambda: (x for x, _ in loader))
    }


def with_tensorflow(folder: Path) -> dict[str, list[float]]:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(WORKERS)
    tf.config.threading.set_inter_op_parallelism_threads(WORKERS)

    def read(path):
        image = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
        return tf.image.resize(image, (SIZE, SIZE))

    paths = sorted(str(path) for path in folder.rglob("*.*g"))
    images = (
        tf.data.Dataset.from_tensor_slices(paths)
        .map(read, num_parallel_calls=WORKERS)
        .batch(BATCH)
        .prefetch(1)
    )
    return {"TensorFlow, tf.data (float32)": passes(lambda: iter(images))}


READERS = {"cnnrs": with_cnnrs, "torch": with_torch, "tensorflow": with_tensorflow}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--torch", default=sys.executable, help="an interpreter that has torch and torchvision"
    )
    parser.add_argument("--tensorflow", default=sys.executable, help="an interpreter that has tensorflow")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=256, help="images of each kind")
    parser.add_argument("--worker", nargs=2, metavar=("LIBRARY", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        library, folder = options.worker
        print(json.dumps(READERS[library](Path(folder))))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, options.count)
        for kind in ("jpeg", "png"):
            best: dict[str, list[float]] = {}
            for _ in range(options.rounds):
                for library in READERS:
                    python = getattr(options, library, sys.executable)
                    command = [python, __file__, "--worker", library, str(folder / kind)]
                    done = subprocess.run(command, capture_output=True, text=True)
                    if done.returncode:
                        print(f"{library}: left out: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
                        continue
                    for label, times in json.loads(done.stdout.splitlines()[-1]).items():
                        best[label] = list(map(min, best.get(label, times), times))
            mean = sum(path.stat().st_size for path in (folder / kind).rglob("*.*g")) / options.count
            print(
                f"{options.count} {kind} files of {mean / 1000:.0f} kB to {SIZE} x {SIZE}, {WORKERS} workers"
            )
            for label, (seconds, worked) in best.items():
                rate = f"{1 / seconds:7.0f} images/s {1000 * worked:7.2f} ms of a processor an image"
                print(f"    {rate}  {label}")


if __name__ == "__main__":
    main()
