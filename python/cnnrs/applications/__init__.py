"""Networks with names: those of Keras, with its layers, and small ones for small images.

Each network of Keras has a module, which has `preprocess_input` and `decode_predictions` too.
"""

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

__all__ = [
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

__getattr__ = suggest.without("cnnrs.applications", {}, __all__)
