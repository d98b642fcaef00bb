"""Residual networks with convolutional block attention (Woo, Park, Lee and Kweon, CBAM: Convolutional block
attention module, ECCV 2018, arXiv 1807.06521): channels, then places are weighed before a block joins the
shortcut."""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.applications import residual
from cnnrs.applications.builder import KERAS, Builder
from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing
from cnnrs.applications.variants import variant

__all__ = [
    "CBAMResNet18",
    "CBAMResNet34",
    "CBAMResNet50",
    "CBAMResNet101",
    "decode_predictions",
    "preprocess_input",
]

_MAKE = Builder(KERAS)


def _attend(make: Builder, x: Any) -> Any:
    return layers.CBAM(reduction=16, kernel_size=7, name=make.name("cbam"))(x)


def _network(depth: int) -> Any:
    return variant(
        f"CBAMResNet{depth}",
        f"ResNet-{depth} with CBAM (Woo, Park, Lee and Kweon 2018, table 4): reduction 16, 7 x 7 windows.",
        lambda x: residual.resnet(_MAKE, x, residual.Design(depth, attend=_attend)),
        residual.top(_MAKE),
        __name__,
    )


CBAMResNet18 = _network(18)
CBAMResNet34 = _network(34)
CBAMResNet50 = _network(50)
CBAMResNet101 = _network(101)

preprocess_input = preprocessing("CBAMResNet50")
