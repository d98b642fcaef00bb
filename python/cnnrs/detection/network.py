"""The network of YOLOX: a backbone of cross-stage partial blocks, a pyramid up and down, heads apart."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from cnnrs import layers
from cnnrs.initializers import Constant
from cnnrs.models import Model

__all__ = ["SIZES", "Scale", "network"]


class Scale(NamedTuple):
    """How deep and wide a network is.

    Attributes:
        depth: Factor of the numbers of blocks.
        width: Factor of the channels.
        is_depthwise: Whether 3 x 3 convolutions are depthwise, with a 1 x 1 behind.
    """

    depth: float
    width: float
    is_depthwise: bool = False


# Table 3 of the paper, and its appendix.
SIZES = {
    "nano": Scale(1 / 3, 0.25, True),
    "tiny": Scale(1 / 3, 0.375),
    "small": Scale(1 / 3, 0.5),
    "medium": Scale(2 / 3, 0.75),
    "large": Scale(1.0, 1.0),
    "xlarge": Scale(4 / 3, 1.25),
}

STRIDES = (8, 16, 32)


def _unit(
    x: Any, filters: int, kernel_size: int, name: str, strides: int = 1, depthwise: bool = False
) -> Any:
    """A convolution, batch normalization and SiLU."""
    padding = "same" if strides == 1 else "valid"
    if strides > 1:
        x = layers.ZeroPadding2D((kernel_size - 1) // 2, name=f"{name}_pad")(x)
    options: dict[str, Any] = {
        "strides": strides,
        "padding": padding,
        "use_bias": False,
        "name": f"{name}_conv",
    }
    x = (
        layers.DepthwiseConv2D(kernel_size, **options)(x)
        if depthwise
        else layers.Conv2D(filters, kernel_size, **options)(x)
    )
    x = layers.BatchNormalization(momentum=0.97, epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.Activation("silu", name=f"{name}_silu")(x)


class _Builder:
    """The parts of the network, at one scale."""

    def __init__(self, scale: Scale):
        self.scale = scale

    def filters(self, count: int) -> int:
        return int(count * self.scale.width)

    def blocks(self, count: int) -> int:
        return max(round(count * self.scale.depth), 1)

    def wide(self, x: Any, filters: int, name: str, strides: int = 1) -> Any:
        """A 3 x 3 convolution, or its two parts."""
        if not self.scale.is_depthwise:
            return _unit(x, filters, 3, name, strides)
        return _unit(_unit(x, filters, 3, f"{name}_dw", strides, True), filters, 1, f"{name}_pw")

    def csp(self, x: Any, filters: int, count: int, name: str, shortcut: bool = True) -> Any:
        """A cross-stage partial block: half of the channels go through residual blocks, half go past."""
        half = filters // 2
        inner, past = (_unit(x, half, 1, f"{name}_{part}") for part in ("in", "past"))
        for k in range(count):
            y = self.wide(_unit(inner, half, 1, f"{name}_{k}_1"), half, f"{name}_{k}_2")
            inner = layers.Add(name=f"{name}_{k}_add")([inner, y]) if shortcut else y
        both = layers.Concatenate(name=f"{name}_concat")([inner, past])
        return _unit(both, filters, 1, f"{name}_out")

    def pyramid_pooling(self, x: Any, filters: int, name: str) -> Any:
        x = _unit(x, x.shape[-1] // 2, 1, f"{name}_in")
        pools = [layers.MaxPooling2D(k, 1, "same", name=f"{name}_pool{k}")(x) for k in (5, 9, 13)]
        return _unit(layers.Concatenate(name=f"{name}_concat")([x, *pools]), filters, 1, f"{name}_out")

    def backbone(self, x: Any) -> list[Any]:
        """CSPDarknet: maps of strides 8, 16 and 32."""
        # A 6 x 6 window of stride 2 is the paper's slicing to 12 channels with a 3 x 3 window behind.
        x, maps = _unit(x, self.filters(64), 6, "stem", 2), []
        for stage, (filters, count) in enumerate(((128, 3), (256, 9), (512, 9), (1024, 3)), 2):
            name, width = f"dark{stage}", self.filters(filters)
            x = self.wide(x, width, f"{name}_down", 2)
            if stage == 5:
                x = self.pyramid_pooling(x, width, f"{name}_spp")
            x = self.csp(x, width, self.blocks(count), f"{name}_csp", shortcut=stage < 5)
            maps.append(x)
        return maps[1:]

    def neck(self, fine: Any, middle: Any, coarse: Any) -> list[Any]:
        """Path aggregation: down to the finest map and up again."""

        def join(a: Any, b: Any, filters: int, name: str) -> Any:
            both = layers.Concatenate(name=f"{name}_concat")([a, b])
            return self.csp(both, self.filters(filters), self.blocks(3), f"{name}_csp", shortcut=False)

        def larger(x: Any, name: str) -> Any:
            return layers.UpSampling2D(2, name=f"{name}_up")(x)

        coarse_in = _unit(coarse, self.filters(512), 1, "neck_lateral")
        x = join(larger(coarse_in, "neck_p4"), middle, 512, "neck_p4")
        middle_in = _unit(x, self.filters(256), 1, "neck_reduce")
        out3 = join(larger(middle_in, "neck_p3"), fine, 256, "neck_p3")
        down = self.wide(out3, self.filters(256), "neck_down3", 2)
        out4 = join(down, middle_in, 512, "neck_n3")
        down = self.wide(out4, self.filters(512), "neck_down4", 2)
        return [out3, out4, join(down, coarse_in, 1024, "neck_n4")]

    def head(self, x: Any, classes: int, name: str) -> Any:
        """Scores of classes in one branch; box and object in another. (batch, places, 4 + 1 + classes)."""
        width = self.filters(256)
        x = _unit(x, width, 1, f"{name}_stem")
        of_class = of_box = x
        for k in range(2):
            of_class = self.wide(of_class, width, f"{name}_class{k}")
            of_box = self.wide(of_box, width, f"{name}_box{k}")
        # Scores begin at 1%.
        rare = Constant(-math.log(99.0))
        parts = [
            layers.Conv2D(4, 1, name=f"{name}_box")(of_box),
            layers.Conv2D(1, 1, bias_initializer=rare, name=f"{name}_object")(of_box),
            layers.Conv2D(classes, 1, bias_initializer=rare, name=f"{name}_class")(of_class),
        ]
        joined = layers.Concatenate(name=f"{name}_concat")(parts)
        return layers.Reshape((-1, 5 + classes), name=f"{name}_flat")(joined)


def network(input_shape: tuple[int, int, int], classes: int, scale: Scale) -> Model:
    """From images to raw predictions, finest map first: (x, y, ln width, ln height, object, classes).

    Args:
        input_shape: Height and width, multiples of 32, and channels.
        classes: Number of classes.
        scale: How deep and wide it is.
    """
    build = _Builder(scale)
    inputs = layers.Input(input_shape)
    maps = build.neck(*build.backbone(inputs))
    heads = [build.head(x, classes, f"head{stride}") for x, stride in zip(maps, STRIDES, strict=True)]
    joined = layers.Concatenate(axis=1, name="predictions")(heads)
    return Model(inputs, layers.Activation("linear", dtype="float32", name="raw")(joined))
