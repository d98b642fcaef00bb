"""Networks with names."""

from cnnrs.applications.lenet import LeNet5
from cnnrs.applications.resnet import ResNet18, ResNet34

__all__ = ["LeNet5", "ResNet18", "ResNet34"]


def __getattr__(name: str) -> object:
    from cnnrs.naming import did_you_mean

    raise AttributeError(f"cnnrs.applications has no {name!r}{did_you_mean(name, __all__)}")
