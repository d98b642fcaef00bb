"""Residual networks with squeeze and excitation (Hu, Shen and Sun, Squeeze-and-excitation networks, CVPR
2018, arXiv 1709.01507): what all channels hold weighs each before it joins the shortcut."""

from __future__ import annotations

from typing import Any

from cnnrs.applications import residual
from cnnrs.applications.builder import KERAS, Builder
from cnnrs.applications.building import channel_axis
from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing
from cnnrs.applications.variants import variant

__all__ = [
    "SEResNet18",
    "SEResNet34",
    "SEResNet50",
    "SEResNet101",
    "SEResNet152",
    "decode_predictions",
    "preprocess_input",
]

# Channels over those between the two layers (section 6.1 of the paper).
_REDUCTION = 16
_MAKE = Builder(KERAS)


def _excite(make: Builder, x: Any) -> Any:
    return make.excite(x, x.shape[channel_axis()] // _REDUCTION, "se")


def _network(depth: int) -> Any:
    return variant(
        f"SEResNet{depth}",
        f"SE-ResNet-{depth} (Hu, Shen and Sun 2018, section 4), channels squeezed {_REDUCTION} times.",
        lambda x: residual.resnet(_MAKE, x, residual.Design(depth, attend=_excite)),
        residual.top(_MAKE),
        __name__,
    )


SEResNet18 = _network(18)
SEResNet34 = _network(34)
SEResNet50 = _network(50)
SEResNet101 = _network(101)
SEResNet152 = _network(152)

preprocess_input = preprocessing("SEResNet50")
