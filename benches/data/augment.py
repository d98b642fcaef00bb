"""Augmented images a second: cnnrs, torchvision on Pillow's images and on tensors, and Keras in tf.data.

    python benches/data/augment.py --torch TORCH_PYTHON --keras KERAS_PYTHON [--write FILE]

Each runs in a process of its own, on the same two cores, one after another, several times in turn; the best
rate of each counts. The images are decoded before. The chains are those of training on ImageNet (a random
part of each image at 224 x 224 pixels, flips, changes of colour, normalised) and on CIFAR (margins of 4, a
random window, flips, normalised).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Height and width of the images, how many there are, and how many go into a batch.
CHAINS = {"imagenet": ((375, 500), 256, 64), "cifar": ((32, 32), 8192, 128)}
CORES = 2


def images(chain: str) -> np.ndarray:
    """Smooth images with noise, as photographs are."""
    (height, width), count, _ = CHAINS[chain]
    random = np.random.default_rng(0)
    small = random.random((16, 8, 8, 3))
    rows, columns = (np.linspace(0, 7, n).astype(int) for n in (height, width))
    large = small[:, rows][:, :, columns] * 200
    noise = random.integers(0, 50, (16, height, width, 3))
    return np.tile((large + noise).astype(np.uint8), (count // 16, 1, 1, 1))


def rate(batches: Callable[[], Iterator[Any]], seconds: float) -> float:
    """Images a second, of whole passes that take about this long."""
    for _ in zip(range(2), batches(), strict=False):
        pass
    count, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        for batch in batches():
            count += len(batch)
    return count / (time.perf_counter() - begin)


def cnnrs_batches(chain: str) -> Callable[[], Iterator[Any]]:
    from cnnrs import layers, ops
    from cnnrs.data import AUTOTUNE, Dataset

    normalise = [layers.Rescaling(1 / 255), layers.Normalization(mean=MEAN, variance=np.square(DEVIATION))]
    size = CHAINS[chain][2]
    if chain == "imagenet":
        steps = [
            layers.RandomResizedCrop(224, 224),
            layers.RandomFlip("horizontal"),
            layers.RandomColorJitter(
                brightness_factor=0.4, contrast_factor=0.4, saturation_factor=(0.4, 0.6), hue_factor=0.2
            ),
        ]
    else:
        steps = [layers.RandomCrop(32, 32), layers.RandomFlip("horizontal")]
    augment = layers.Pipeline([*steps, *normalise])
    margins = [[4, 4], [4, 4], [0, 0]]

    def augmented(image: Any) -> Any:
        return augment(image if chain == "imagenet" else ops.pad(image, margins))

    data = Dataset.from_tensor_slices(images(chain)).map(augmented, num_parallel_calls=AUTOTUNE)
    data = data.batch(size).prefetch(AUTOTUNE)
    return lambda: iter(data.as_numpy_iterator())


def torch_batches(chain: str, version: str) -> Callable[[], Iterator[Any]]:
    import torch
    from PIL import Image
    from torch.utils.data import DataLoader
    from torch.utils.data import Dataset as TorchDataset
    from torchvision import transforms as v1
    from torchvision.transforms import v2

    torch.set_num_threads(1)
    kind = v1 if version == "v1" else v2
    to_floats = [v1.ToTensor()] if version == "v1" else [v2.ToDtype(torch.float32, scale=True)]
    if chain == "imagenet":
        steps = [
            kind.RandomResizedCrop(224),
            kind.RandomHorizontalFlip(),
            kind.ColorJitter(0.4, 0.4, 0.4, 0.1),
        ]
    else:
        steps = [kind.RandomCrop(32, padding=4), kind.RandomHorizontalFlip()]
    transform = kind.Compose([*steps, *to_floats, kind.Normalize(MEAN, DEVIATION)])
    pixels = images(chain)
    if version == "v1":
        given: list[Any] = [Image.fromarray(image) for image in pixels]
    else:
        given = list(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous())

    class Pixels(TorchDataset):
        def __len__(self) -> int:
            return len(given)

        def __getitem__(self, i: int) -> Any:
            return transform(given[i])

    loader = DataLoader(Pixels(), batch_size=CHAINS[chain][2], num_workers=CORES, persistent_workers=True)
    return lambda: iter(loader)


def keras_batches(chain: str) -> Callable[[], Iterator[Any]]:
    import tensorflow as tf
    from keras import layers

    tf.config.threading.set_intra_op_parallelism_threads(CORES)
    size = CHAINS[chain][2]
    data = tf.data.Dataset.from_tensor_slices(images(chain))
    end = [layers.Rescaling(1 / 255), layers.Normalization(mean=MEAN, variance=np.square(DEVIATION))]
    if chain == "imagenet":
        # Keras has no layer for the crop: tf.image draws the window.
        def cropped(image: Any) -> Any:
            whole = tf.constant([[[0.0, 0.0, 1.0, 1.0]]])
            begin, extent, _ = tf.image.sample_distorted_bounding_box(
                tf.shape(image), whole, area_range=(0.08, 1.0), aspect_ratio_range=(3 / 4, 4 / 3)
            )
            return tf.image.resize(tf.slice(image, begin, extent), (224, 224), antialias=True)

        data = data.map(cropped, num_parallel_calls=tf.data.AUTOTUNE)
        steps = [
            layers.RandomFlip("horizontal"),
            layers.RandomColorJitter(
                brightness_factor=0.4, contrast_factor=0.4, saturation_factor=(0.4, 0.6), hue_factor=0.2
            ),
        ]
    else:
        data = data.map(lambda image: tf.pad(image, [[4, 4], [4, 4], [0, 0]]), tf.data.AUTOTUNE)
        steps = [layers.RandomCrop(32, 32), layers.RandomFlip("horizontal")]

    def augmented(batch: Any) -> Any:
        for step in [*steps, *end]:
            batch = step(batch)
        return batch

    if chain == "imagenet":
        data = data.batch(size).map(augmented, num_parallel_calls=tf.data.AUTOTUNE)
    else:
        # In Keras one window serves a batch; of single images each has its own, as elsewhere.
        data = data.map(augmented, num_parallel_calls=tf.data.AUTOTUNE).batch(size)
    return lambda: iter(data.prefetch(tf.data.AUTOTUNE))


WORKERS: dict[str, Callable[[str], Callable[[], Iterator[Any]]]] = {
    "cnnrs": cnnrs_batches,
    "torchvision v1": lambda chain: torch_batches(chain, "v1"),
    "torchvision v2": lambda chain: torch_batches(chain, "v2"),
    "keras in tf.data": keras_batches,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--torch", help="an interpreter that has torchvision and Pillow")
    parser.add_argument("--keras", help="an interpreter that has Keras and TensorFlow")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--write", help="a file for the figures")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--chain", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(rate(WORKERS[options.worker](options.chain), options.seconds)))
        return
    interpreters = {
        "cnnrs": sys.executable,
        "torchvision v1": options.torch,
        "torchvision v2": options.torch,
        "keras in tf.data": options.keras,
    }
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[:CORES]))
    figures: dict[str, dict[str, float]] = {chain: {} for chain in CHAINS}
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CNNRS_NUM_THREADS": str(CORES)}
    for _ in range(options.rounds):
        for chain, best in figures.items():
            for worker, interpreter in interpreters.items():
                if interpreter is None:
                    continue
                command = ["taskset", "-c", cores, interpreter, __file__, "--worker", worker]
                command += ["--chain", chain, "--seconds", str(options.seconds)]
                ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
                if ran.returncode:
                    raise SystemExit(f"{worker}: {ran.stderr[-2000:]}")
                best[worker] = max(best.get(worker, 0.0), json.loads(ran.stdout.splitlines()[-1]))
    for chain, best in figures.items():
        print(f"{chain}: images a second on {CORES} cores")
        for worker, value in best.items():
            print(f"  {worker:18} {value:9.0f}   {best['cnnrs'] / value:5.2f}")
    if options.write:
        Path(options.write).write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
