"""AlexNet (Krizhevsky 2014, arXiv 1404.5997), VGG (Simonyan and Zisserman 2015, arXiv 1409.1556) and
SqueezeNet (Iandola, Han, Moskewicz and others 2016, arXiv 1602.07360) with torchvision's names."""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.applications import squeezenet
from cnnrs.applications.building import Top, channel_axis
from cnnrs.applications.torchvision.making import MAKE, made, network
from cnnrs.applications.vgg import vgg

__all__ = [
    "alexnet",
    "squeezenet1_0",
    "squeezenet1_1",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
]


def _dense_top(size: int, places: tuple[int, int, int], dropouts: tuple[int, int]) -> Top:
    """Three dense layers on features pooled to `size` rows and columns, with dropout, at places of a list."""

    def classify(x: Any, classes: int, activation: Any) -> Any:
        axis = 2 if channel_axis() == 1 else 1
        if tuple(x.shape[axis : axis + 2]) != (size, size):
            x = layers.AdaptiveAveragePooling2D(size, name="avgpool")(x)
        x = layers.Flatten(name="flatten")(x)
        for place in range(places[2]):
            if place in places:
                x = MAKE.dense(x, 4096, f"classifier.{place}", "relu")
            elif place in dropouts:
                x = MAKE.dropout(x, 0.5, f"classifier.{place}")
        return MAKE.dense(x, classes, f"classifier.{places[2]}", activation)

    return made(classify)


_ALEXNET_TOP = _dense_top(6, (1, 4, 6), (0, 3))
_VGG_TOP = _dense_top(7, (0, 3, 6), (2, 5))


def _alexnet(x: Any) -> Any:
    options: dict[str, Any] = {"use_bias": True, "activation": "relu"}
    x = MAKE.conv(x, 64, 11, "features.0", strides=4, padding=2, **options)
    x = MAKE.max_pool(x, 3, "features.2")
    x = MAKE.max_pool(MAKE.conv(x, 192, 5, "features.3", **options), 3, "features.5")
    for filters, place in ((384, 6), (256, 8), (256, 10)):
        x = MAKE.conv(x, filters, 3, f"features.{place}", **options)
    return MAKE.max_pool(x, 3, "features.12")


alexnet = network(
    "alexnet", "AlexNet without groups (Krizhevsky 2014, arXiv 1404.5997).", _alexnet, _ALEXNET_TOP, __name__
)


def _squeezenet(title: str, version: str) -> Any:
    def classify(x: Any, classes: int, activation: Any) -> Any:
        return squeezenet.classify(MAKE, x, classes, activation, rate=0.5)

    summary = (
        f"SqueezeNet {version} (Iandola, Han, Moskewicz, Ashraf, Dally and Keutzer 2016, arXiv 1602.07360)."
    )
    return network(
        title, summary, lambda x: squeezenet.squeezenet(MAKE, x, version), made(classify), __name__
    )


squeezenet1_0 = _squeezenet("squeezenet1_0", "1.0")
squeezenet1_1 = _squeezenet("squeezenet1_1", "1.1")


def _vgg(title: str, depth: int, norm: bool = False) -> Any:
    summary = f"VGG of {depth} layers (Simonyan and Zisserman 2015, table 1)"
    summary += ", with batch normalisation." if norm else "."
    return network(title, summary, lambda x: vgg(x, depth, MAKE, norm), _VGG_TOP, __name__)


vgg11 = _vgg("vgg11", 11)
vgg13 = _vgg("vgg13", 13)
vgg16 = _vgg("vgg16", 16)
vgg19 = _vgg("vgg19", 19)
vgg11_bn = _vgg("vgg11_bn", 11, True)
vgg13_bn = _vgg("vgg13_bn", 13, True)
vgg16_bn = _vgg("vgg16_bn", 16, True)
vgg19_bn = _vgg("vgg19_bn", 19, True)
