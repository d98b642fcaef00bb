"""Networks with names."""

from cnnrs.applications.lenet import LeNet5
from cnnrs.applications.mobilenet_v2 import MobileNetV2
from cnnrs.applications.resnet import ResNet18, ResNet34
from cnnrs.applications.resnet_bottleneck import ResNet50, ResNet101, ResNet152

__all__ = ["LeNet5", "MobileNetV2", "ResNet18", "ResNet34", "ResNet50", "ResNet101", "ResNet152"]


def __getattr__(name: str) -> object:
    from cnnrs.base.suggest import did_you_mean, no_attribute

    raise no_attribute("cnnrs.applications", name, did_you_mean(name, __all__))
