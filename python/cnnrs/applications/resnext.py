"""ResNeXt: residual networks whose bottlenecks have groups (Xie, Girshick, Dollár, Tu and He, Aggregated
residual transformations for deep neural networks, CVPR 2017, arXiv 1611.05431)."""

from __future__ import annotations

from typing import Any

from cnnrs.applications import residual
from cnnrs.applications.arguments import grouped
from cnnrs.applications.builder import KERAS, Builder
from cnnrs.applications.building import network_of
from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing
from cnnrs.base.arguments import integer

__all__ = ["ResNeXt50", "ResNeXt101", "decode_predictions", "preprocess_input"]

_MAKE = Builder(KERAS)
_TOP = residual.top(_MAKE)


def _resnext(x: Any, title: str, depth: int, cardinality: int, bottleneck_width: int) -> Any:
    integer(cardinality, title, "cardinality", least=1)
    integer(bottleneck_width, title, "bottleneck_width", least=1)
    return residual.resnet(_MAKE, x, residual.Design(depth, cardinality, bottleneck_width))


@network_of(grouped, lambda name: _TOP)
def ResNeXt50(x: Any, cardinality: int, bottleneck_width: int) -> Any:
    """ResNeXt-50 (Xie, Girshick, Dollár, Tu and He 2017, table 1): 32 groups of 4 channels by default."""
    return _resnext(x, "ResNeXt50", 50, cardinality, bottleneck_width)


@network_of(grouped, lambda name: _TOP)
def ResNeXt101(x: Any, cardinality: int, bottleneck_width: int) -> Any:
    """ResNeXt-101 (Xie, Girshick, Dollár, Tu and He 2017, table 3): 32 groups of 4 channels by default, 64
    groups of 4 with `cardinality=64`."""
    return _resnext(x, "ResNeXt101", 101, cardinality, bottleneck_width)


preprocess_input = preprocessing("ResNeXt50")
