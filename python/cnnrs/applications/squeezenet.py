"""SqueezeNet (Iandola, Han, Moskewicz, Ashraf, Dally and Keutzer, SqueezeNet: AlexNet-level accuracy with 50x
fewer parameters and <0.5MB model size, 2016, arXiv 1602.07360)."""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.applications.arguments import versioned
from cnnrs.applications.builder import KERAS, Builder
from cnnrs.applications.building import Top, network_of
from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing

__all__ = ["SqueezeNet", "classify", "decode_predictions", "preprocess_input", "squeezenet"]

# For each version channels and size of the first windows, and for each fire module channels between and
# channels of each branch; None is pooling.
_Modules = tuple[tuple[int, int] | None, ...]
_FIRST: _Modules = (None, (16, 64), (16, 64), (32, 128), None, (32, 128), (48, 192), (48, 192), (64, 256))
_LATER: _Modules = (None, (16, 64), (16, 64), None, (32, 128), (32, 128), None, (48, 192), (48, 192))
_DESIGNS: dict[str, tuple[int, int, _Modules]] = {
    "1.0": (96, 7, (*_FIRST, None, (64, 256))),
    "1.1": (64, 3, (*_LATER, (64, 256), (64, 256))),
}


def _fire(make: Builder, x: Any, squeezed: int, expanded: int) -> Any:
    """A 1 x 1 convolution to few channels, and beside each other 1 x 1 and 3 x 3 ones to many."""
    x = make.conv(x, squeezed, 1, "squeeze", use_bias=True, activation="relu")
    branches = [
        make.conv(x, expanded, size, name, use_bias=True, activation="relu")
        for size, name in ((1, "expand1x1"), (3, "expand3x3"))
    ]
    return make.concatenate(branches, "concat")


def squeezenet(make: Builder, x: Any, version: str) -> Any:
    """The features of a version. The last windows of pooling reach over the edge, as in Caffe."""
    filters, size, modules = _DESIGNS[version]
    options: dict[str, Any] = {"strides": 2, "padding": 0, "use_bias": True, "activation": "relu"}
    x = make.conv(x, filters, size, ("features.0", "conv1"), **options)
    pools, fires = 0, 1
    for place, module in enumerate(modules, 2):
        if module is None:
            pools += 1
            x = make.ceil_max_pool(x, 3, (f"features.{place}", f"pool{pools}"))
        else:
            fires += 1
            x = _fire(make.under((f"features.{place}", f"fire{fires}")), x, *module)
    return x


def classify(make: Builder, x: Any, classes: int, activation: Any, *, rate: float) -> Any:
    """Dropout, a 1 x 1 convolution to the classes with a ReLU, and the means of what it finds."""
    x = make.dropout(x, rate, ("classifier.0", "dropout"))
    x = make.conv(x, classes, 1, ("classifier.1", "conv10"), use_bias=True, activation="relu")
    x = make.average(x)
    return layers.Activation(activation, name=make.name(("activation", "predictions")))(x)


_MAKE = Builder(KERAS)


@network_of(
    versioned, lambda name: Top(lambda *given: classify(_MAKE, *given, rate=0.5), "avg_pool", "max_pool")
)
def SqueezeNet(x: Any, version: str) -> Any:
    """SqueezeNet (Iandola, Han, Moskewicz, Ashraf, Dally and Keutzer 2016, table 1), and its version 1.1."""
    if version not in _DESIGNS:
        raise ValueError(f"SqueezeNet: version: expected '1.0' or '1.1', received {version!r}")
    return squeezenet(_MAKE, x, version)


preprocess_input = preprocessing("SqueezeNet")
