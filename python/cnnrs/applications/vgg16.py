"""VGG16 (Simonyan and Zisserman 2015, table 1, column D)."""

from __future__ import annotations

from typing import Any

from cnnrs.applications.building import network
from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing
from cnnrs.applications.vgg import TOP, vgg

__all__ = ["VGG16", "decode_predictions", "preprocess_input"]


@network(TOP)
def VGG16(x: Any) -> Any:
    """VGG16: 13 convolutions and 3 dense layers (Simonyan and Zisserman 2015, table 1, column D)."""
    return vgg(x, 16)


preprocess_input = preprocessing("VGG16")
