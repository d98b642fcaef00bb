"""Networks that take torchvision's weights: its architectures, names of layers and constants, with the
arguments of the other networks.

Torchvision publishes pickles. Where it and safetensors are installed, `safetensors.torch.save_file` writes
the arrays of `state_dict()` into a file that `weights=` takes:

    from torchvision.models import resnet18
    save_file(resnet18(weights="DEFAULT").state_dict(), "resnet18.safetensors")

Images go in as `preprocess_input` makes them, which is what torchvision's transforms do after resizing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing
from cnnrs.applications.torchvision.state_dicts import load_state_dict, load_weights, state_dict
from cnnrs.base import suggest
from cnnrs.base.late import late, names_of

# The modules are loaded when a network of theirs is first used.
_LATE: Mapping[str, str] = {
    "convnext": "convnext_base convnext_large convnext_small convnext_tiny",
    "dense": "densenet121 densenet161 densenet169 densenet201",
    "efficientnet": (
        "efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 "
        "efficientnet_b5 efficientnet_b6 efficientnet_b7 efficientnet_v2_l efficientnet_v2_m "
        "efficientnet_v2_s"
    ),
    "inception": "inception_v3",
    "inverted": (
        "mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3 mobilenet_v2 mobilenet_v3_large mobilenet_v3_small"
    ),
    "plain": (
        "alexnet squeezenet1_0 squeezenet1_1 vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn"
    ),
    "resnet": (
        "resnet18 resnet34 resnet50 resnet101 resnet152 resnext50_32x4d resnext101_32x8d "
        "resnext101_64x4d wide_resnet50_2 wide_resnet101_2"
    ),
    "shared": (
        "googlenet regnet_x_1_6gf regnet_x_3_2gf regnet_x_8gf regnet_x_16gf regnet_x_32gf "
        "regnet_x_400mf regnet_x_800mf regnet_y_1_6gf regnet_y_3_2gf regnet_y_8gf "
        "regnet_y_16gf regnet_y_32gf regnet_y_128gf regnet_y_400mf regnet_y_800mf "
        "shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0 vit_b_16 "
        "vit_b_32 vit_h_14 vit_l_16 vit_l_32"
    ),
}

if TYPE_CHECKING:
    from cnnrs.applications.torchvision.convnext import convnext_base as convnext_base
    from cnnrs.applications.torchvision.convnext import convnext_large as convnext_large
    from cnnrs.applications.torchvision.convnext import convnext_small as convnext_small
    from cnnrs.applications.torchvision.convnext import convnext_tiny as convnext_tiny
    from cnnrs.applications.torchvision.dense import densenet121 as densenet121
    from cnnrs.applications.torchvision.dense import densenet161 as densenet161
    from cnnrs.applications.torchvision.dense import densenet169 as densenet169
    from cnnrs.applications.torchvision.dense import densenet201 as densenet201
    from cnnrs.applications.torchvision.efficientnet import efficientnet_b0 as efficientnet_b0
    from cnnrs.applications.torchvision.efficientnet import efficientnet_b1 as efficientnet_b1
    from cnnrs.applications.torchvision.efficientnet import efficientnet_b2 as efficientnet_b2
    from cnnrs.applications.torchvision.efficientnet import efficientnet_b3 as efficientnet_b3
    from cnnrs.applications.torchvision.efficientnet import efficientnet_b4 as efficientnet_b4
    from cnnrs.applications.torchvision.efficientnet import efficientnet_b5 as efficientnet_b5
    from cnnrs.applications.torchvision.efficientnet import efficientnet_b6 as efficientnet_b6
    from cnnrs.applications.torchvision.efficientnet import efficientnet_b7 as efficientnet_b7
    from cnnrs.applications.torchvision.efficientnet import efficientnet_v2_l as efficientnet_v2_l
    from cnnrs.applications.torchvision.efficientnet import efficientnet_v2_m as efficientnet_v2_m
    from cnnrs.applications.torchvision.efficientnet import efficientnet_v2_s as efficientnet_v2_s
    from cnnrs.applications.torchvision.inception import inception_v3 as inception_v3
    from cnnrs.applications.torchvision.inverted import mnasnet0_5 as mnasnet0_5
    from cnnrs.applications.torchvision.inverted import mnasnet0_75 as mnasnet0_75
    from cnnrs.applications.torchvision.inverted import mnasnet1_0 as mnasnet1_0
    from cnnrs.applications.torchvision.inverted import mnasnet1_3 as mnasnet1_3
    from cnnrs.applications.torchvision.inverted import mobilenet_v2 as mobilenet_v2
    from cnnrs.applications.torchvision.inverted import mobilenet_v3_large as mobilenet_v3_large
    from cnnrs.applications.torchvision.inverted import mobilenet_v3_small as mobilenet_v3_small
    from cnnrs.applications.torchvision.plain import alexnet as alexnet
    from cnnrs.applications.torchvision.plain import squeezenet1_0 as squeezenet1_0
    from cnnrs.applications.torchvision.plain import squeezenet1_1 as squeezenet1_1
    from cnnrs.applications.torchvision.plain import vgg11 as vgg11
    from cnnrs.applications.torchvision.plain import vgg11_bn as vgg11_bn
    from cnnrs.applications.torchvision.plain import vgg13 as vgg13
    from cnnrs.applications.torchvision.plain import vgg13_bn as vgg13_bn
    from cnnrs.applications.torchvision.plain import vgg16 as vgg16
    from cnnrs.applications.torchvision.plain import vgg16_bn as vgg16_bn
    from cnnrs.applications.torchvision.plain import vgg19 as vgg19
    from cnnrs.applications.torchvision.plain import vgg19_bn as vgg19_bn
    from cnnrs.applications.torchvision.resnet import resnet18 as resnet18
    from cnnrs.applications.torchvision.resnet import resnet34 as resnet34
    from cnnrs.applications.torchvision.resnet import resnet50 as resnet50
    from cnnrs.applications.torchvision.resnet import resnet101 as resnet101
    from cnnrs.applications.torchvision.resnet import resnet152 as resnet152
    from cnnrs.applications.torchvision.resnet import resnext50_32x4d as resnext50_32x4d
    from cnnrs.applications.torchvision.resnet import resnext101_32x8d as resnext101_32x8d
    from cnnrs.applications.torchvision.resnet import resnext101_64x4d as resnext101_64x4d
    from cnnrs.applications.torchvision.resnet import wide_resnet50_2 as wide_resnet50_2
    from cnnrs.applications.torchvision.resnet import wide_resnet101_2 as wide_resnet101_2
    from cnnrs.applications.torchvision.shared import googlenet as googlenet
    from cnnrs.applications.torchvision.shared import regnet_x_1_6gf as regnet_x_1_6gf
    from cnnrs.applications.torchvision.shared import regnet_x_3_2gf as regnet_x_3_2gf
    from cnnrs.applications.torchvision.shared import regnet_x_8gf as regnet_x_8gf
    from cnnrs.applications.torchvision.shared import regnet_x_16gf as regnet_x_16gf
    from cnnrs.applications.torchvision.shared import regnet_x_32gf as regnet_x_32gf
    from cnnrs.applications.torchvision.shared import regnet_x_400mf as regnet_x_400mf
    from cnnrs.applications.torchvision.shared import regnet_x_800mf as regnet_x_800mf
    from cnnrs.applications.torchvision.shared import regnet_y_1_6gf as regnet_y_1_6gf
    from cnnrs.applications.torchvision.shared import regnet_y_3_2gf as regnet_y_3_2gf
    from cnnrs.applications.torchvision.shared import regnet_y_8gf as regnet_y_8gf
    from cnnrs.applications.torchvision.shared import regnet_y_16gf as regnet_y_16gf
    from cnnrs.applications.torchvision.shared import regnet_y_32gf as regnet_y_32gf
    from cnnrs.applications.torchvision.shared import regnet_y_128gf as regnet_y_128gf
    from cnnrs.applications.torchvision.shared import regnet_y_400mf as regnet_y_400mf
    from cnnrs.applications.torchvision.shared import regnet_y_800mf as regnet_y_800mf
    from cnnrs.applications.torchvision.shared import shufflenet_v2_x0_5 as shufflenet_v2_x0_5
    from cnnrs.applications.torchvision.shared import shufflenet_v2_x1_0 as shufflenet_v2_x1_0
    from cnnrs.applications.torchvision.shared import shufflenet_v2_x1_5 as shufflenet_v2_x1_5
    from cnnrs.applications.torchvision.shared import shufflenet_v2_x2_0 as shufflenet_v2_x2_0
    from cnnrs.applications.torchvision.shared import vit_b_16 as vit_b_16
    from cnnrs.applications.torchvision.shared import vit_b_32 as vit_b_32
    from cnnrs.applications.torchvision.shared import vit_h_14 as vit_h_14
    from cnnrs.applications.torchvision.shared import vit_l_16 as vit_l_16
    from cnnrs.applications.torchvision.shared import vit_l_32 as vit_l_32

__all__ = [
    *names_of(_LATE),
    "decode_predictions",
    "load_state_dict",
    "load_weights",
    "preprocess_input",
    "state_dict",
]

preprocess_input = preprocessing("resnet18")

__getattr__, __dir__ = late(
    "cnnrs.applications.torchvision", _LATE, suggest.without("cnnrs.applications.torchvision", {}, __all__)
)
