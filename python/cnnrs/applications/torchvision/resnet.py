"""Residual networks (He, Zhang, Ren and Sun 2016, arXiv 1512.03385; Xie, Girshick, Dollár, Tu and He 2017,
arXiv 1611.05431; Zagoruyko and Komodakis 2016, arXiv 1605.07146) with torchvision's names."""

from __future__ import annotations

from typing import Any

from cnnrs.applications.residual import Design, resnet, top
from cnnrs.applications.torchvision.making import MAKE, network

__all__ = [
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
]

_HE = "He, Zhang, Ren and Sun 2016, table 1"
_XIE = "Xie, Girshick, Dollár, Tu and He 2017, table 1"
_ZAGORUYKO = "Zagoruyko and Komodakis 2016, table 8"
_TOP = top(MAKE)


def _network(title: str, design: Design, summary: str) -> Any:
    return network(title, f"{summary}.", lambda x: resnet(MAKE, x, design), _TOP, __name__)


resnet18 = _network("resnet18", Design(18), f"ResNet-18 ({_HE})")
resnet34 = _network("resnet34", Design(34), f"ResNet-34 ({_HE})")
resnet50 = _network("resnet50", Design(50), f"ResNet-50 ({_HE}), whose 3 x 3 convolutions stride")
resnet101 = _network("resnet101", Design(101), f"ResNet-101 ({_HE}), whose 3 x 3 convolutions stride")
resnet152 = _network("resnet152", Design(152), f"ResNet-152 ({_HE}), whose 3 x 3 convolutions stride")
resnext50_32x4d = _network("resnext50_32x4d", Design(50, 32, 4), f"ResNeXt-50 of 32 groups ({_XIE})")
resnext101_32x8d = _network("resnext101_32x8d", Design(101, 32, 8), f"ResNeXt-101 of 32 groups ({_XIE})")
resnext101_64x4d = _network("resnext101_64x4d", Design(101, 64, 4), f"ResNeXt-101 of 64 groups ({_XIE})")
wide_resnet50_2 = _network(
    "wide_resnet50_2", Design(50, 1, 128), f"ResNet-50, inside twice as wide ({_ZAGORUYKO})"
)
wide_resnet101_2 = _network(
    "wide_resnet101_2", Design(101, 1, 128), f"ResNet-101, inside twice as wide ({_ZAGORUYKO})"
)
