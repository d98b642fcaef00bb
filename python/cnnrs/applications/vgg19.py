"""VGG19 (Simonyan and Zisserman 2015, table 1, column E)."""

from __future__ import annotations

from typing import Any

from cnnrs.applications.building import network
from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing
from cnnrs.applications.vgg import TOP, vgg

__all__ = ["VGG19", "decode_predictions", "preprocess_input"]


@network(TOP)
def VGG19(x: Any) -> Any:
    """VGG19: 16 convolutions and 3 dense layers (Simonyan and Zisserman 2015, table 1, column E)."""
    return vgg(x, 19)


preprocess_input = preprocessing("VGG19")
