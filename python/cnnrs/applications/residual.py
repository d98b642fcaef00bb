"""Residual networks: what those of basic and bottleneck blocks share, whatever their groups, widths and
attention.

He, Zhang, Ren and Sun, Deep residual learning for image recognition, CVPR 2016, arXiv 1512.03385; bottleneck
blocks stride in their 3 x 3 convolution, as Xie, Girshick, Dollár, Tu and He 2017, arXiv 1611.05431, have it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from cnnrs.applications.builder import Builder
from cnnrs.applications.building import Top, channel_axis

__all__ = ["DEPTHS", "Design", "residual", "resnet", "shortcut", "stem", "top"]

# Blocks of the four stages (table 1 of the paper), and whether they are bottlenecks.
DEPTHS = {
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True),
    152: ((3, 8, 36, 3), True),
}


class Design(NamedTuple):
    """What residual networks differ in.

    Attributes:
        depth: Number of layers, a key of `DEPTHS`.
        groups: Groups of the 3 x 3 convolutions of bottlenecks.
        width: Channels of a group in the first stage.
        attend: What is done to a block's output before it joins the shortcut; None for nothing.
    """

    depth: int
    groups: int = 1
    width: int = 64
    attend: Callable[[Builder, Any], Any] | None = None


def shortcut(make: Builder, x: Any, filters: int, strides: int) -> Any:
    """The input of a block, projected where its output has another shape."""
    if strides == 1 and x.shape[channel_axis()] == filters:
        return x
    names = (("downsample.0", "0_conv"), ("downsample.1", "0_bn"))
    return make.conv_norm(x, filters, 1, names, strides=strides)


def _names(number: int, activated: bool = True) -> tuple[tuple[str, str], ...]:
    """Names of a convolution of a block, its normalisation and its activation."""
    names = tuple((f"{part}{number}", f"{number}_{part}") for part in ("conv", "bn", "relu"))
    return names if activated else names[:2]


def residual(make: Builder, x: Any, filters: int, strides: int, design: Design) -> Any:
    """A block: two 3 x 3 convolutions, or 1 x 1, 3 x 3 and 1 x 1 ones, beside a shortcut."""
    is_bottleneck = DEPTHS[design.depth][1]
    inner = filters * design.width // 64 * design.groups
    filters *= 4 if is_bottleneck else 1
    beside = shortcut(make, x, filters, strides)
    if is_bottleneck:
        y = make.conv_norm(x, inner, 1, _names(1))
        y = make.conv_norm(y, inner, 3, _names(2), strides=strides, groups=design.groups)
        y = make.conv_norm(y, filters, 1, _names(3, False))
    else:
        y = make.conv_norm(x, filters, 3, _names(1), strides=strides)
        y = make.conv_norm(y, filters, 3, _names(2, False))
    if design.attend is not None:
        y = design.attend(make, y)
    y = make.add([beside, y], "add")
    return make.act(y, ("relu", "out"))


def stem(make: Builder, x: Any) -> Any:
    """A 7 x 7 convolution and pooling, which make 56 x 56 of 224 x 224."""
    names = (("conv1", "conv1_conv"), ("bn1", "conv1_bn"), ("relu", "conv1_relu"))
    x = make.conv_norm(x, 64, 7, names, strides=2)
    return make.max_pool(x, 3, ("maxpool", "pool1_pool"), padding=1)


def resnet(make: Builder, x: Any, design: Design, small: bool = False) -> Any:
    """The features of a residual network.

    Args:
        make: What makes its layers.
        x: Images, symbolic.
        design: The network.
        small: Whether a 3 x 3 convolution that keeps the size stands in place of `stem`, for small images.
    """
    if small:
        x = make.conv_norm(x, 64, 3, ("conv1_conv", "conv1_bn", "conv1_relu"))
    else:
        x = stem(make, x)
    for stage, depth in enumerate(DEPTHS[design.depth][0], 1):
        for block in range(depth):
            strides = 2 if block == 0 and stage > 1 else 1
            part = make.under((f"layer{stage}.{block}", f"conv{stage + 1}_block{block + 1}"))
            x = residual(part, x, 32 * 2**stage, strides, design)
    return x


def top(make: Builder) -> Top:
    """Average pooling and the classes."""

    def classify(x: Any, classes: int, activation: Any) -> Any:
        return make.dense(make.average(x), classes, activation=activation)

    return Top(classify, make.name(("avgpool", "avg_pool")), make.name(("globalmaxpool", "max_pool")))
