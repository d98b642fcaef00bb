"""GoogLeNet (Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke and Rabinovich, Going deeper with
convolutions, CVPR 2015, arXiv 1409.4842).

The network of the paper normalises responses twice and has biases; torchvision's, as TensorFlow's before it,
has batch normalisation instead, and 3 x 3 windows where the paper's are 5 x 5.
"""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.applications.arguments import auxiliary
from cnnrs.applications.builder import KERAS, Builder
from cnnrs.applications.building import Top, network_of
from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing

__all__ = ["GoogLeNet", "decode_predictions", "googlenet", "preprocess_input", "top"]

# Table 1: for each module the channels of its 1 x 1, 3 x 3, 5 x 5 and pooling branches, the second and third
# behind a reduction.
_MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def conv(make: Builder, x: Any, filters: int, size: int, name: Any, strides: int = 1) -> Any:
    """A convolution with a ReLU: torchvision's with batch normalisation, the paper's with a bias."""
    if make.kind == KERAS:
        return make.conv(x, filters, size, name, strides=strides, use_bias=True, activation="relu")
    part = make.under(name)
    return part.conv_norm(x, filters, size, ("conv", "bn", "relu"), strides=strides)


def _inception(make: Builder, x: Any, filters: tuple[int, ...]) -> Any:
    one, three_reduced, three, five_reduced, five, pooled = filters
    branches = [conv(make, x, one, 1, ("branch1", "1x1"))]
    y = conv(make, x, three_reduced, 1, ("branch2.0", "3x3_reduce"))
    branches.append(conv(make, y, three, 3, ("branch2.1", "3x3")))
    y = conv(make, x, five_reduced, 1, ("branch3.0", "5x5_reduce"))
    branches.append(conv(make, y, five, 5 if make.kind == KERAS else 3, ("branch3.1", "5x5")))
    y = layers.MaxPooling2D(3, 1, "same", name=make.name(("branch4.0", "pool")))(x)
    branches.append(conv(make, y, pooled, 1, ("branch4.1", "pool_proj")))
    return make.concatenate(branches, ("concat", "output"))


def googlenet(make: Builder, x: Any, include_top: Any, aux_heads: Any) -> Any:
    """The features, and those that the auxiliary classifiers read, if there are any.

    Raises:
        ValueError: There are to be auxiliary classifiers without the last one.
    """
    if aux_heads and not include_top:
        raise ValueError(
            "GoogLeNet: aux_heads: expected False with include_top=False, which leaves classifiers out, "
            "received "
            f"{aux_heads!r}"
        )
    paper = make.kind == KERAS
    inner = []
    x = conv(make, x, 64, 7, ("conv1", "conv1_7x7_s2"), strides=2)
    x = make.ceil_max_pool(x, 3, ("maxpool1", "pool1_3x3_s2"))
    if paper:
        x = layers.LocalResponseNormalization(name="pool1_norm1")(x)
    x = conv(make, x, 64, 1, ("conv2", "conv2_3x3_reduce"))
    x = conv(make, x, 192, 3, ("conv3", "conv2_3x3"))
    if paper:
        x = layers.LocalResponseNormalization(name="conv2_norm2")(x)
    x = make.ceil_max_pool(x, 3, ("maxpool2", "pool2_3x3_s2"))
    for title, filters in _MODULES.items():
        x = _inception(make.under((f"inception{title}", f"inception_{title}")), x, filters)
        if title in ("4a", "4d"):
            inner.append(x)
        if title == "3b":
            x = make.ceil_max_pool(x, 3, ("maxpool3", "pool3_3x3_s2"))
        elif title == "4e":
            x = make.ceil_max_pool(x, 3 if paper else 2, ("maxpool4", "pool4_3x3_s2"))
    return (x, *inner) if aux_heads else x


def _auxiliary(make: Builder, x: Any, classes: int, activation: Any) -> Any:
    """A classifier on inner features: pooling, a 1 x 1 convolution and two dense layers."""
    if make.kind == KERAS:
        x = layers.AveragePooling2D(5, 3, name=make.name("ave_pool"))(x)
    else:
        x = layers.AdaptiveAveragePooling2D(4, name=make.name("avgpool"))(x)
    x = conv(make, x, 128, 1, "conv")
    x = layers.Flatten(name=make.name("flatten"))(x)
    x = make.dense(x, 1024, ("fc1", "fc"), "relu")
    x = make.dropout(x, 0.7, "dropout")
    return make.dense(x, classes, ("fc2", "predictions"), activation)


def top(make: Builder) -> Top:
    """Average pooling, dropout and the classes, and the auxiliary classifiers where there are inner
    features."""
    rate = 0.4 if make.kind == KERAS else 0.2

    def classify(x: Any, classes: int, activation: Any) -> Any:
        x, *inner = x if isinstance(x, tuple) else (x,)
        x = make.dropout(make.average(x), rate, "dropout")
        found = [make.dense(x, classes, activation=activation)]
        # Behind the last classifier the second auxiliary one, as in torchvision.
        for number, features in reversed(list(enumerate(inner, 1))):
            found.append(_auxiliary(make.under(f"aux{number}"), features, classes, activation))
        return found if inner else found[0]

    return Top(classify, make.name(("avgpool", "avg_pool")), make.name(("globalmaxpool", "max_pool")))


_MAKE = Builder(KERAS)
_TOP = top(_MAKE)


@network_of(auxiliary, lambda name: _TOP)
def GoogLeNet(x: Any, include_top: Any, aux_heads: bool) -> Any:
    """GoogLeNet (Szegedy, Liu, Jia and others 2015, table 1), with 1 x 1, 3 x 3 and 5 x 5 windows beside each
    other.

    With `aux_heads` train it with `loss_weights=[1, 0.3, 0.3]`; for predictions take the first output:
    `Model(model.inputs, model.outputs[0])`."""
    return googlenet(_MAKE, x, include_top, aux_heads)


preprocess_input = preprocessing("GoogLeNet")
