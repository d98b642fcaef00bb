"""A stand-in for `tensorflow_datasets`: data sets of the same structure, of a few random images."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

__all__ = ["install"]

COUNT = 100
# Of which scripts show more than a tenth of those has.
MORE = {"tf_flowers": 300}
# Height, width, channels, classes.
IMAGES = {
    "beans": (120, 120, 3, 3),
    "caltech_birds2011": (120, 120, 3, 200),
    "cats_vs_dogs": (120, 150, 3, 2),
    "cifar10": (32, 32, 3, 10),
    "horses_or_humans": (300, 300, 3, 2),
    "mnist": (28, 28, 1, 10),
    "omniglot": (105, 105, 3, 1623),
    "oxford_flowers102": (120, 140, 3, 102),
    "oxford_iiit_pet": (120, 140, 3, 37),
    "stanford_dogs": (120, 140, 3, 120),
    "stl10": (96, 96, 3, 10),
    "tf_flowers": (120, 140, 3, 5),
}


def _features(name: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(len(name))
    if name in ("voc", "coco/2017", "coco"):
        images = rng.integers(0, 256, (12, 128, 128, 3), dtype=np.uint8)
        return {"image": images}
    height, width, channels, classes = IMAGES.get(name.split(":")[0], (120, 140, 3, 10))
    count = MORE.get(name, COUNT)
    images = rng.integers(0, 256, (count, height, width, channels), dtype=np.uint8)
    labels = rng.integers(0, classes, count).astype(np.int64)
    if name == "omniglot":
        # Twenty pictures of each letter.
        labels = (np.arange(COUNT) // 20).astype(np.int64)
    features = {"image": images, "label": labels}
    if name == "caltech_birds2011":
        features["bbox"] = np.tile(np.array([0.1, 0.2, 0.8, 0.9], np.float32), (count, 1))
    if name == "oxford_iiit_pet":
        features["segmentation_mask"] = rng.integers(1, 4, (count, height, width, 1), dtype=np.uint8)
    return features


def _rows(split: str, count: int) -> slice:
    """The rows of `train[:80%]`."""
    found = re.search(r"\[(-?\d*)(%?):(-?\d*)(%?)\]", split)
    if not found:
        return slice(None)

    def at(text: str, percent: str, default: int) -> int:
        if not text:
            return default
        value = int(text)
        return value * count // 100 if percent else min(value, count)

    return slice(at(found[1], found[2], 0), at(found[3], found[4], count))


def _dataset(name: str, split: Any, as_supervised: bool, batch_size: int | None) -> Any:
    import tensorflow as tf

    features = _features(name)
    rows = _rows(str(split), len(features["image"]))
    features = {key: values[rows] for key, values in features.items()}
    if name.startswith("coco"):
        return _boxes(features["image"])
    parts: Any = (features["image"], features["label"]) if as_supervised else features
    dataset = tf.data.Dataset.from_tensor_slices(parts)
    return (
        dataset
        if batch_size is None
        else dataset.batch(len(features["image"]) if batch_size < 0 else batch_size)
    )


def _boxes(images: np.ndarray) -> Any:
    import tensorflow as tf

    def elements() -> Iterator[Any]:
        for number, image in enumerate(images):
            box = np.array([[0.1, 0.2, 0.6, 0.7], [0.3, 0.3, 0.5, 0.6]], np.float32)
            yield {
                "image": image,
                "image/id": np.int64(number),
                "objects": {"bbox": box, "label": np.array([1, 2], np.int64)},
            }

    signature = {
        "image": tf.TensorSpec((None, None, 3), tf.uint8),
        "image/id": tf.TensorSpec((), tf.int64),
        "objects": {
            "bbox": tf.TensorSpec((None, 4), tf.float32),
            "label": tf.TensorSpec((None,), tf.int64),
        },
    }
    return tf.data.Dataset.from_generator(elements, output_signature=signature)


def _info(name: str) -> Any:
    *shape, classes = IMAGES.get(name, (120, 140, 3, 10))
    names = [f"n{i:04d}-class-{i}" for i in range(classes)]
    label = SimpleNamespace(num_classes=classes, names=names, int2str=lambda i: names[int(i)])
    splits = {
        part: SimpleNamespace(num_examples=MORE.get(name, COUNT)) for part in ("train", "validation", "test")
    }
    objects = {"label": SimpleNamespace(int2str=lambda i: f"class {int(i)}")}
    features = {"image": SimpleNamespace(shape=tuple(shape)), "label": label, "objects": objects}
    return SimpleNamespace(features=features, splits=splits, name=name)


def load(
    name: str, *, split: Any = None, as_supervised: bool = False, with_info: bool = False, **options: Any
) -> Any:
    def one(part: Any) -> Any:
        return _dataset(name, part, as_supervised, options.get("batch_size"))

    if split is None:
        found: Any = {part: one(part) for part in ("train", "test")}
    elif isinstance(split, (list, tuple)):
        found = type(split)(one(part) for part in split)
    else:
        found = one(split)
    return (found, _info(name)) if with_info else found


class _Div2k:
    """Pairs of small and large pictures."""

    def __init__(self, config: str):
        self.factor = int(config[-1])

    def download_and_prepare(self) -> None:
        pass

    def as_dataset(self, split: str, as_supervised: bool) -> Any:
        import tensorflow as tf

        rng = np.random.default_rng(1)
        large = rng.integers(0, 256, (12, 640, 640, 3), dtype=np.uint8)
        return tf.data.Dataset.from_tensor_slices((large[:, :: self.factor, :: self.factor], large))


def _as_numpy(dataset: Any) -> Any:
    return dataset.as_numpy_iterator() if hasattr(dataset, "as_numpy_iterator") else dataset


def install() -> None:
    """Puts the stand-in where `import tensorflow_datasets` finds it."""
    module: Any = ModuleType("tensorflow_datasets")
    module.load = load
    module.as_numpy = _as_numpy
    module.disable_progress_bar = lambda: None
    module.show_examples = lambda *args, **kwargs: None
    module.Split = SimpleNamespace(TRAIN="train", TEST="test", VALIDATION="validation")
    module.image = SimpleNamespace(Div2k=_Div2k)
    sys.modules["tensorflow_datasets"] = module
