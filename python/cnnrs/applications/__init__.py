"""Networks with names."""

from cnnrs.applications.lenet import LeNet5
from cnnrs.applications.mobilenet_v2 import MobileNetV2
from cnnrs.applications.resnet import ResNet18, ResNet34
from cnnrs.applications.resnet_bottleneck import ResNet50, ResNet101, ResNet152
from cnnrs.base import absent, suggest

__all__ = ["LeNet5", "MobileNetV2", "ResNet18", "ResNet34", "ResNet50", "ResNet101", "ResNet152"]


__getattr__ = suggest.without("cnnrs.applications", absent.OF_APPLICATIONS, __all__)
