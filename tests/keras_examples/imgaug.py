"""A stand-in for `imgaug`, which NumPy 2 does not load: pictures are resized, and keypoints with them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

__all__ = ["install"]


class Keypoint(NamedTuple):
    """A point of a picture."""

    x: float
    y: float


class KeypointsOnImage:
    """The points of one picture."""

    def __init__(self, keypoints: list[Keypoint], shape: Any):
        self.keypoints = keypoints
        self.shape = shape

    def __iter__(self) -> Iterator[Keypoint]:
        return iter(self.keypoints)


class Resize:
    """Brings pictures to one size."""

    def __init__(self, size: int, interpolation: str = "linear"):
        self.size = size

    def __call__(self, image: Any, keypoints: KeypointsOnImage) -> tuple[Any, KeypointsOnImage]:
        from PIL import Image

        made = np.asarray(Image.fromarray(image).resize((self.size, self.size)))
        by_y, by_x = (self.size / extent for extent in image.shape[:2])
        moved = [Keypoint(point.x * by_x, point.y * by_y) for point in keypoints]
        return made, KeypointsOnImage(moved, made.shape)


class Nothing:
    """Any other change of a picture, which is left out."""

    def __init__(self, *args: Any, **kwargs: Any):
        pass

    def __call__(self, image: Any, keypoints: KeypointsOnImage) -> tuple[Any, KeypointsOnImage]:
        return image, keypoints


class Sequential:
    """One change after the other."""

    def __init__(self, children: list[Any]):
        self.children = children

    def __call__(self, image: Any, keypoints: KeypointsOnImage) -> tuple[Any, KeypointsOnImage]:
        for child in self.children:
            image, keypoints = child(image=image, keypoints=keypoints)
        return image, keypoints


def install() -> None:
    """Puts the stand-in where `import imgaug` finds it."""
    names = {
        "imgaug": {},
        "imgaug.augmentables": {},
        "imgaug.augmentables.kps": {"Keypoint": Keypoint, "KeypointsOnImage": KeypointsOnImage},
        "imgaug.augmenters": {
            "Sequential": Sequential,
            "Resize": Resize,
            **{name: Nothing for name in ("Affine", "Fliplr", "Sometimes")},
        },
    }
    for name, members in names.items():
        module = ModuleType(name)
        module.__dict__.update(members)
        sys.modules[name] = module
        parent, _, own = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], own, module)
