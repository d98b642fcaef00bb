"""Networks with names: those of Keras, with its layers, those of papers that Keras has not, and, in
`torchvision`, those that take torchvision's weights.

Each network has a module, which has `preprocess_input` and `decode_predictions` too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cnnrs.applications import imagenet_utils as imagenet_utils
from cnnrs.applications import resnet50 as resnet50
from cnnrs.applications.convnext import (
    ConvNeXtBase,
    ConvNeXtLarge,
    ConvNeXtSmall,
    ConvNeXtTiny,
    ConvNeXtXLarge,
)
from cnnrs.applications.densenet import DenseNet121, DenseNet169, DenseNet201
from cnnrs.applications.efficientnet import (
    EfficientNetB0,
    EfficientNetB1,
    EfficientNetB2,
    EfficientNetB3,
    EfficientNetB4,
    EfficientNetB5,
    EfficientNetB6,
    EfficientNetB7,
)
from cnnrs.applications.efficientnet_v2 import (
    EfficientNetV2B0,
    EfficientNetV2B1,
    EfficientNetV2B2,
    EfficientNetV2B3,
    EfficientNetV2L,
    EfficientNetV2M,
    EfficientNetV2S,
)
from cnnrs.applications.inception_resnet_v2 import InceptionResNetV2
from cnnrs.applications.inception_v3 import InceptionV3
from cnnrs.applications.lenet import LeNet5
from cnnrs.applications.mobilenet import MobileNet
from cnnrs.applications.mobilenet_v2 import MobileNetV2
from cnnrs.applications.mobilenet_v3 import MobileNetV3Large, MobileNetV3Small
from cnnrs.applications.nasnet import NASNetLarge, NASNetMobile
from cnnrs.applications.resnet import ResNet18, ResNet34, ResNet50, ResNet101, ResNet152
from cnnrs.applications.resnet_v2 import ResNet50V2, ResNet101V2, ResNet152V2
from cnnrs.applications.segmentation import FCN, DeepLabV3, DeepLabV3Plus, FCN8s, FCN16s, FCN32s
from cnnrs.applications.unet import UNet
from cnnrs.applications.vgg16 import VGG16
from cnnrs.applications.vgg19 import VGG19
from cnnrs.applications.xception import Xception
from cnnrs.base import suggest
from cnnrs.base.late import late, names_of

# Networks that Keras has not, by the modules that have them, which are loaded when they are first used. Type
# checkers read the same names under TYPE_CHECKING.
_LATE: Mapping[str, str] = {
    "alexnet": "AlexNet",
    "cbam_resnet": "CBAMResNet18 CBAMResNet34 CBAMResNet50 CBAMResNet101",
    "googlenet": "GoogLeNet",
    "regnet": (
        "RegNetX002 RegNetX004 RegNetX006 RegNetX008 RegNetX016 RegNetX032 "
        "RegNetX040 RegNetX064 RegNetX080 RegNetX120 RegNetX160 RegNetX320 "
        "RegNetY002 RegNetY004 RegNetY006 RegNetY008 RegNetY016 RegNetY032 "
        "RegNetY040 RegNetY064 RegNetY080 RegNetY120 RegNetY160 RegNetY320"
    ),
    "resnet_cifar": "ResNet20 ResNet32 ResNet44 ResNet56 ResNet110",
    "resnext": "ResNeXt50 ResNeXt101",
    "se_resnet": "SEResNet18 SEResNet34 SEResNet50 SEResNet101 SEResNet152",
    "shufflenet_v2": "ShuffleNetV2",
    "squeezenet": "SqueezeNet",
    "torchvision": "",
    "vgg": "VGG11 VGG13 VGG11BN VGG13BN VGG16BN VGG19BN",
    "vit": "ViTTiny ViTSmall ViTBase ViTLarge",
    "wide_resnet": "WideResNet",
}

if TYPE_CHECKING:
    from cnnrs.applications import torchvision as torchvision
    from cnnrs.applications.alexnet import AlexNet as AlexNet
    from cnnrs.applications.cbam_resnet import CBAMResNet18 as CBAMResNet18
    from cnnrs.applications.cbam_resnet import CBAMResNet34 as CBAMResNet34
    from cnnrs.applications.cbam_resnet import CBAMResNet50 as CBAMResNet50
    from cnnrs.applications.cbam_resnet import CBAMResNet101 as CBAMResNet101
    from cnnrs.applications.googlenet import GoogLeNet as GoogLeNet
    from cnnrs.applications.regnet import RegNetX002 as RegNetX002
    from cnnrs.applications.regnet import RegNetX004 as RegNetX004
    from cnnrs.applications.regnet import RegNetX006 as RegNetX006
    from cnnrs.applications.regnet import RegNetX008 as RegNetX008
    from cnnrs.applications.regnet import RegNetX016 as RegNetX016
    from cnnrs.applications.regnet import RegNetX032 as RegNetX032
    from cnnrs.applications.regnet import RegNetX040 as RegNetX040
    from cnnrs.applications.regnet import RegNetX064 as RegNetX064
    from cnnrs.applications.regnet import RegNetX080 as RegNetX080
    from cnnrs.applications.regnet import RegNetX120 as RegNetX120
    from cnnrs.applications.regnet import RegNetX160 as RegNetX160
    from cnnrs.applications.regnet import RegNetX320 as RegNetX320
    from cnnrs.applications.regnet import RegNetY002 as RegNetY002
    from cnnrs.applications.regnet import RegNetY004 as RegNetY004
    from cnnrs.applications.regnet import RegNetY006 as RegNetY006
    from cnnrs.applications.regnet import RegNetY008 as RegNetY008
    from cnnrs.applications.regnet import RegNetY016 as RegNetY016
    from cnnrs.applications.regnet import RegNetY032 as RegNetY032
    from cnnrs.applications.regnet import RegNetY040 as RegNetY040
    from cnnrs.applications.regnet import RegNetY064 as RegNetY064
    from cnnrs.applications.regnet import RegNetY080 as RegNetY080
    from cnnrs.applications.regnet import RegNetY120 as RegNetY120
    from cnnrs.applications.regnet import RegNetY160 as RegNetY160
    from cnnrs.applications.regnet import RegNetY320 as RegNetY320
    from cnnrs.applications.resnet_cifar import ResNet20 as ResNet20
    from cnnrs.applications.resnet_cifar import ResNet32 as ResNet32
    from cnnrs.applications.resnet_cifar import ResNet44 as ResNet44
    from cnnrs.applications.resnet_cifar import ResNet56 as ResNet56
    from cnnrs.applications.resnet_cifar import ResNet110 as ResNet110
    from cnnrs.applications.resnext import ResNeXt50 as ResNeXt50
    from cnnrs.applications.resnext import ResNeXt101 as ResNeXt101
    from cnnrs.applications.se_resnet import SEResNet18 as SEResNet18
    from cnnrs.applications.se_resnet import SEResNet34 as SEResNet34
    from cnnrs.applications.se_resnet import SEResNet50 as SEResNet50
    from cnnrs.applications.se_resnet import SEResNet101 as SEResNet101
    from cnnrs.applications.se_resnet import SEResNet152 as SEResNet152
    from cnnrs.applications.shufflenet_v2 import ShuffleNetV2 as ShuffleNetV2
    from cnnrs.applications.squeezenet import SqueezeNet as SqueezeNet
    from cnnrs.applications.vgg import VGG11 as VGG11
    from cnnrs.applications.vgg import VGG11BN as VGG11BN
    from cnnrs.applications.vgg import VGG13 as VGG13
    from cnnrs.applications.vgg import VGG13BN as VGG13BN
    from cnnrs.applications.vgg import VGG16BN as VGG16BN
    from cnnrs.applications.vgg import VGG19BN as VGG19BN
    from cnnrs.applications.vit import ViTBase as ViTBase
    from cnnrs.applications.vit import ViTLarge as ViTLarge
    from cnnrs.applications.vit import ViTSmall as ViTSmall
    from cnnrs.applications.vit import ViTTiny as ViTTiny
    from cnnrs.applications.wide_resnet import WideResNet as WideResNet

__all__ = [
    *names_of(_LATE),
    "ConvNeXtBase",
    "ConvNeXtLarge",
    "ConvNeXtSmall",
    "ConvNeXtTiny",
    "ConvNeXtXLarge",
    "DenseNet121",
    "DenseNet169",
    "DenseNet201",
    "EfficientNetB0",
    "EfficientNetB1",
    "EfficientNetB2",
    "EfficientNetB3",
    "EfficientNetB4",
    "EfficientNetB5",
    "EfficientNetB6",
    "EfficientNetB7",
    "EfficientNetV2B0",
    "EfficientNetV2B1",
    "EfficientNetV2B2",
    "EfficientNetV2B3",
    "EfficientNetV2L",
    "EfficientNetV2M",
    "EfficientNetV2S",
    "FCN",
    "DeepLabV3",
    "DeepLabV3Plus",
    "FCN8s",
    "FCN16s",
    "FCN32s",
    "NASNetLarge",
    "NASNetMobile",
    "InceptionResNetV2",
    "InceptionV3",
    "LeNet5",
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Large",
    "MobileNetV3Small",
    "ResNet18",
    "ResNet34",
    "ResNet50",
    "ResNet50V2",
    "ResNet101",
    "ResNet101V2",
    "ResNet152",
    "ResNet152V2",
    "UNet",
    "VGG16",
    "VGG19",
    "Xception",
]

__getattr__, __dir__ = late(
    "cnnrs.applications",
    _LATE,
    suggest.without(
        "cnnrs.applications",
        {},
        __all__,
        also={"YOLO YOLOX": "detection.YOLOX", "WRN": "applications.WideResNet"},
    ),
)
