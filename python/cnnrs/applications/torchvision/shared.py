"""GoogLeNet, ShuffleNetV2, RegNet and vision transformers with torchvision's names."""

from __future__ import annotations

from typing import Any

from cnnrs.applications import googlenet as inception
from cnnrs.applications import regnet, residual, vit
from cnnrs.applications.arguments import transforming
from cnnrs.applications.builder import TORCHVISION, Builder
from cnnrs.applications.shufflenet_v2 import shufflenet
from cnnrs.applications.torchvision.making import MAKE, network, transformed

__all__ = [
    "googlenet",
    "regnet_x_1_6gf",
    "regnet_x_3_2gf",
    "regnet_x_8gf",
    "regnet_x_16gf",
    "regnet_x_32gf",
    "regnet_x_400mf",
    "regnet_x_800mf",
    "regnet_y_1_6gf",
    "regnet_y_3_2gf",
    "regnet_y_8gf",
    "regnet_y_16gf",
    "regnet_y_32gf",
    "regnet_y_128gf",
    "regnet_y_400mf",
    "regnet_y_800mf",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
    "vit_b_16",
    "vit_b_32",
    "vit_h_14",
    "vit_l_16",
    "vit_l_32",
]

_TOP = residual.top(MAKE)
_INCEPTION = Builder(TORCHVISION, epsilon=1e-3)


def _googlenet(x: Any, include_top: Any, aux_heads: bool, transform_input: bool) -> Any:
    x = transformed(x, transform_input)
    return inception.googlenet(_INCEPTION, x, include_top, aux_heads)


googlenet = network(
    "googlenet",
    """GoogLeNet with batch normalisation (Szegedy, Liu, Jia and others 2015, table 1), and 3 x 3 windows
    where the
    paper's are 5 x 5. Torchvision's trained weights need `transform_input=True`.""",
    _googlenet,
    inception.top(_INCEPTION),
    __name__,
    transforming,
)


def _shufflenet(title: str, alpha: float) -> Any:
    summary = (
        f"ShuffleNet V2, {alpha} times as wide (Ma, Zhang, Zheng and Sun 2018, table 5, arXiv 1807.11164)."
    )
    return network(title, summary, lambda x: shufflenet(MAKE, x, alpha), _TOP, __name__)


shufflenet_v2_x0_5 = _shufflenet("shufflenet_v2_x0_5", 0.5)
shufflenet_v2_x1_0 = _shufflenet("shufflenet_v2_x1_0", 1.0)
shufflenet_v2_x1_5 = _shufflenet("shufflenet_v2_x1_5", 1.5)
shufflenet_v2_x2_0 = _shufflenet("shufflenet_v2_x2_0", 2.0)


def _regnet(title: str, design: str | regnet.Design) -> Any:
    excited = title.startswith("regnet_y")
    numbers = design if isinstance(design, regnet.Design) else regnet.DESIGNS[design]
    summary = f"""RegNet{"Y" if excited else "X"} (Radosavovic, Kosaraju, Girshick, He and Dollár 2020,
    arXiv 2003.13678)."""
    return network(title, summary, lambda x: regnet.regnet(MAKE, x, numbers, excited), _TOP, __name__)


regnet_x_400mf = _regnet("regnet_x_400mf", "X004")
regnet_x_800mf = _regnet("regnet_x_800mf", "X008")
regnet_x_1_6gf = _regnet("regnet_x_1_6gf", "X016")
regnet_x_3_2gf = _regnet("regnet_x_3_2gf", "X032")
regnet_x_8gf = _regnet("regnet_x_8gf", "X080")
regnet_x_16gf = _regnet("regnet_x_16gf", "X160")
regnet_x_32gf = _regnet("regnet_x_32gf", "X320")
regnet_y_400mf = _regnet("regnet_y_400mf", "Y004")
regnet_y_800mf = _regnet("regnet_y_800mf", "Y008")
regnet_y_1_6gf = _regnet("regnet_y_1_6gf", "Y016")
regnet_y_3_2gf = _regnet("regnet_y_3_2gf", "Y032")
regnet_y_8gf = _regnet("regnet_y_8gf", "Y080")
regnet_y_16gf = _regnet("regnet_y_16gf", "Y160")
regnet_y_32gf = _regnet("regnet_y_32gf", "Y320")
# Goyal, Duval, Sessa and others 2022, arXiv 2202.08360, trained it.
regnet_y_128gf = _regnet("regnet_y_128gf", regnet.Design(27, 456, 160.83, 2.52, 264))

_VIT_TOP = vit.top(MAKE)


def _vit(title: str, design: vit.Design) -> Any:
    summary = f"""A vision transformer: {design.depth} blocks of {design.channels} channels and {design.heads}
    heads, patches of {design.patch_size} x {design.patch_size} (Dosovitskiy, Beyer, Kolesnikov and others
    2021, table 1). Embeddings of positions of another size of images are interpolated."""
    return network(title, summary, lambda x: vit.vit(MAKE, x, design, title=title), _VIT_TOP, __name__)


vit_b_16 = _vit("vit_b_16", vit.Design(768, 12, 12))
vit_b_32 = _vit("vit_b_32", vit.Design(768, 12, 12, 32))
vit_l_16 = _vit("vit_l_16", vit.Design(1024, 24, 16))
vit_l_32 = _vit("vit_l_32", vit.Design(1024, 24, 16, 32))
vit_h_14 = _vit("vit_h_14", vit.Design(1280, 32, 16, 14))
