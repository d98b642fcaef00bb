"""From JPEG files to augmented batches: cnnrs, DataLoader with torchvision, and tf.data, in one run.

    python benches/data/pipelines.py --torch PYTHON --tensorflow PYTHON [--write FILE]

Two pipelines as users write them, both ending in batches of float32 of 224 x 224:

- training: a random part of each photo, resized; flips; changes of brightness, contrast, saturation and hue;
  normalised. tf.data decodes the part alone (`decode_and_crop_jpeg`), as TensorFlow's own ResNet does.
- plain: the whole photo, resized; flips; divided by 255.

All read the same files with the same number of workers on the same cores, each library in a process of its
own, one after the other, round by round. The fastest pass counts, after one that warms caches and workers.
Beside the images a second stands the time of a processor that an image took, workers included, which other
programs on the machine disturb less. Libraries that are not installed are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from photographs import SETS, write_photographs
from reading import passes

SIZE, BATCH, WORKERS = 224, 32, 2
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PIPELINES = ("training", "plain")
Batches = Callable[[], Iterator[Any]]


def with_cnnrs(folder: Path, pipeline: str) -> Batches:
    from cnnrs import layers
    from cnnrs.data import AUTOTUNE, Dataset

    flip = layers.RandomFlip("horizontal")
    if pipeline == "plain":
        augment = layers.Pipeline([flip, layers.Rescaling(1 / 255)])
        photos = Dataset.from_folder(folder, SIZE)
    else:
        augment = layers.Pipeline(
            [
                layers.RandomResizedCrop(SIZE, SIZE),
                flip,
                layers.RandomColorJitter(
                    brightness_factor=0.4, contrast_factor=0.4, saturation_factor=(0.4, 0.6), hue_factor=0.2
                ),
                layers.Rescaling(1 / 255),
                layers.Normalization(mean=MEAN, variance=np.square(DEVIATION)),
            ]
        )
        photos = Dataset.from_folder(folder)
    photos = photos.map(lambda x, y: (augment(x), y), num_parallel_calls=AUTOTUNE)
    photos = photos.batch(BATCH).prefetch(AUTOTUNE)
    return lambda: (x for x, _ in photos.as_numpy_iterator())


def with_torch(folder: Path, pipeline: str) -> Batches:
    import torch
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    torch.set_num_threads(1)
    if pipeline == "plain":
        steps = [transforms.Resize((SIZE, SIZE)), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    else:
        steps = [
            transforms.RandomResizedCrop(SIZE),
            transforms.RandomHorizontalFlip(),
            transforms.ColorJitter(0.4, 0.4, 0.4, 0.1),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, DEVIATION),
        ]
    photos = ImageFolder(str(folder), transforms.Compose(steps))
    loader = torch.utils.data.DataLoader(photos, BATCH, num_workers=WORKERS, persistent_workers=True)
    return lambda: (x for x, _ in loader)


def with_tensorflow(folder: Path, pipeline: str) -> Batches:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(WORKERS)
    tf.config.threading.set_inter_op_parallelism_threads(WORKERS)

    def plain(path: Any) -> Any:
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        image = tf.image.resize(image, (SIZE, SIZE))
        return tf.image.random_flip_left_right(image) / 255.0

    def training(path: Any) -> Any:
        content = tf.io.read_file(path)
        begin, extent, _ = tf.image.sample_distorted_bounding_box(
            tf.io.extract_jpeg_shape(content),
            tf.constant([[[0.0, 0.0, 1.0, 1.0]]]),
            area_range=(0.08, 1.0),
            aspect_ratio_range=(3 / 4, 4 / 3),
        )
        window = tf.concat([begin[:2], extent[:2]], axis=0)
        image = tf.io.decode_and_crop_jpeg(content, window, channels=3)
        image = tf.image.resize(image, (SIZE, SIZE)) / 255.0
        image = tf.image.random_flip_left_right(image)
        image = tf.image.random_brightness(image, 0.4)
        image = tf.image.random_contrast(image, 0.6, 1.4)
        image = tf.image.random_saturation(image, 0.6, 1.4)
        image = tf.clip_by_value(tf.image.random_hue(image, 0.1), 0.0, 1.0)
        return (image - MEAN) / DEVIATION

    paths = sorted(str(path) for path in folder.rglob("*.jpg"))
    photos = (
        tf.data.Dataset.from_tensor_slices(paths)
        .map({"plain": plain, "training": training}[pipeline], num_parallel_calls=WORKERS)
        .batch(BATCH)
        .prefetch(1)
    )
    return lambda: iter(photos)


LIBRARIES: dict[str, Callable[[Path, str], Batches]] = {
    "cnnrs": with_cnnrs,
    "torch": with_torch,
    "tensorflow": with_tensorflow,
}
NAMES = {"cnnrs": "cnnrs", "torch": "DataLoader, torchvision", "tensorflow": "tf.data"}


def measured(folder: Path, rounds: int, interpreters: dict[str, str]) -> dict[str, dict[str, list[float]]]:
    """Seconds of the clock and of processors for an image, by pipeline and library."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CNNRS_NUM_THREADS": str(WORKERS)}
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[:WORKERS]))
    found: dict[str, dict[str, list[float]]] = {pipeline: {} for pipeline in PIPELINES}
    left_out: set[str] = set()
    for _ in range(rounds):
        for pipeline, best in found.items():
            for library, interpreter in interpreters.items():
                if library in left_out:
                    continue
                command = ["taskset", "-c", cores, interpreter, __file__]
                command += ["--worker", library, pipeline, str(folder)]
                ran = subprocess.run(command, capture_output=True, text=True, env=environment)
                if ran.returncode:
                    left_out.add(library)
                    print(f"{library}: left out: {(ran.stderr.strip().splitlines() or ['?'])[-1]}")
                    continue
                spent = json.loads(ran.stdout.splitlines()[-1])
                best[library] = list(map(min, best.get(library, spent), spent))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--torch", default=sys.executable, help="an interpreter with torch and torchvision")
    parser.add_argument("--tensorflow", default=sys.executable, help="an interpreter that has tensorflow")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--only", nargs="+", choices=LIBRARIES, default=list(LIBRARIES))
    parser.add_argument("--folder", type=Path, help="where photographs are kept between runs")
    parser.add_argument("--write", type=Path, help="a file for the figures")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        library, pipeline, folder = options.worker
        print(json.dumps(passes(LIBRARIES[library](Path(folder), pipeline))))
        return
    interpreters = {name: getattr(options, name, sys.executable) for name in options.only}
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name in options.sets:
            folder = (options.folder or Path(temporary)) / name
            write_photographs(folder, name)
            files = list(folder.rglob("*.jpg"))
            kilobytes = sum(file.stat().st_size for file in files) / len(files) / 1000
            found = measured(folder, options.rounds, interpreters)
            size = SETS[name].size
            print(f"{len(files)} photos of about {size}, {kilobytes:.0f} kB each, {WORKERS} workers")
            for pipeline, best in found.items():
                for library, (seconds, worked) in best.items():
                    ratio = worked / best["cnnrs"][1] if "cnnrs" in best else float("nan")
                    print(
                        f"  {pipeline:9}{NAMES[library]:24}{1 / seconds:7.0f} images/s "
                        f"{1000 * worked:7.2f} ms of a processor an image, {ratio:5.2f} of cnnrs's"
                    )
            figures[name] = {
                "files": len(files),
                "kilobytes": round(kilobytes, 1),
                "pipelines": {
                    pipeline: {
                        library: {"images_per_second": round(1 / s, 1), "processor_ms": round(1000 * w, 3)}
                        for library, (s, w) in best.items()
                    }
                    for pipeline, best in found.items()
                },
            }
            if options.write:
                options.write.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
