"""Networks of inverted residuals with torchvision's names: MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov and
Chen 2018, arXiv 1801.04381), MobileNetV3 (Howard, Sandler, Chu and others 2019, arXiv 1905.02244) and MnasNet
(Tan, Chen, Pang, Vasudevan, Sandler, Howard and Le 2019, arXiv 1807.11626)."""

from __future__ import annotations

from typing import Any, NamedTuple

from cnnrs.applications.builder import TORCHVISION, Builder, Name
from cnnrs.applications.building import Top, channel_axis, divisible
from cnnrs.applications.torchvision.making import dropout_top, made, network

__all__ = [
    "conv_norm_act",
    "mnasnet0_5",
    "mnasnet0_75",
    "mnasnet1_0",
    "mnasnet1_3",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "shortcut",
]


def conv_norm_act(
    make: Builder, x: Any, filters: int, kernel_size: int, place: str, active: bool = True, **options: Any
) -> Any:
    """A convolution, a normalisation and, if `active`, an activation, one behind the other at a place of a
    list."""
    names = [f"{place}.{number}" for number in range(3 if active else 2)]
    return make.conv_norm(x, filters, kernel_size, names, **options)


def shortcut(make: Builder, x: Any, y: Any, strides: int, rate: float = 0.0) -> Any:
    """The sum of a block's input and output where they have one shape, else the output."""
    if strides > 1 or x.shape[channel_axis()] != y.shape[channel_axis()]:
        return y
    return make.add([make.survive(y, rate, "stochastic_depth"), x], "add")


_V2 = Builder(TORCHVISION, activation="relu6")
# Expansion, channels, blocks and stride of each stage (table 2).
_V2_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def _v2_block(make: Builder, x: Any, expansion: int, filters: int, strides: int) -> Any:
    wide = expansion * x.shape[channel_axis()]
    inner = make.under("conv")
    y = conv_norm_act(inner, x, wide, 1, "0") if expansion > 1 else x
    place = 1 if expansion > 1 else 0
    y = conv_norm_act(inner, y, wide, 3, f"{place}", strides=strides, groups=wide)
    y = inner.conv_norm(y, filters, 1, [f"{place + 1}", f"{place + 2}"])
    return shortcut(make, x, y, strides)


def _mobilenet_v2(x: Any) -> Any:
    x = conv_norm_act(_V2, x, 32, 3, "features.0", strides=2)
    place = 1
    for expansion, filters, depth, strides in _V2_STAGES:
        for block in range(depth):
            x = _v2_block(_V2.under(f"features.{place}"), x, expansion, filters, strides if block == 0 else 1)
            place += 1
    return conv_norm_act(_V2, x, 1280, 1, f"features.{place}")


mobilenet_v2 = network(
    "mobilenet_v2",
    "MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov and Chen 2018, table 2, arXiv 1801.04381).",
    _mobilenet_v2,
    dropout_top(0.2),
    __name__,
)

_V3 = Builder(TORCHVISION, epsilon=1e-3, momentum=0.99, activation="hard_swish")


class _Block(NamedTuple):
    """A row of tables 1 and 2: size of the windows, expanded channels, channels of the output, whether
    channels are weighed, whether the activation is hard swish rather than ReLU, and the stride."""

    kernel_size: int
    expanded: int
    filters: int
    squeeze: bool
    swish: bool
    strides: int


_LARGE = (
    _Block(3, 16, 16, False, False, 1),
    _Block(3, 64, 24, False, False, 2),
    _Block(3, 72, 24, False, False, 1),
    _Block(5, 72, 40, True, False, 2),
    _Block(5, 120, 40, True, False, 1),
    _Block(5, 120, 40, True, False, 1),
    _Block(3, 240, 80, False, True, 2),
    _Block(3, 200, 80, False, True, 1),
    _Block(3, 184, 80, False, True, 1),
    _Block(3, 184, 80, False, True, 1),
    _Block(3, 480, 112, True, True, 1),
    _Block(3, 672, 112, True, True, 1),
    _Block(5, 672, 160, True, True, 2),
    _Block(5, 960, 160, True, True, 1),
    _Block(5, 960, 160, True, True, 1),
)
_SMALL = (
    _Block(3, 16, 16, True, False, 2),
    _Block(3, 72, 24, False, False, 2),
    _Block(3, 88, 24, False, False, 1),
    _Block(5, 96, 40, True, True, 2),
    _Block(5, 240, 40, True, True, 1),
    _Block(5, 240, 40, True, True, 1),
    _Block(5, 120, 48, True, True, 1),
    _Block(5, 144, 48, True, True, 1),
    _Block(5, 288, 96, True, True, 2),
    _Block(5, 576, 96, True, True, 1),
    _Block(5, 576, 96, True, True, 1),
)


def _v3_block(make: Builder, x: Any, block: _Block) -> Any:
    inner = make.under("block", "hard_swish" if block.swish else "relu")
    wide, place, y = block.expanded, 0, x
    if wide != x.shape[channel_axis()]:
        y = conv_norm_act(inner, y, wide, 1, f"{place}")
        place += 1
    y = conv_norm_act(inner, y, wide, block.kernel_size, f"{place}", strides=block.strides, groups=wide)
    if block.squeeze:
        place += 1
        y = inner.excite(y, divisible(wide // 4), f"{place}", gate="hard_sigmoid")
    y = conv_norm_act(inner, y, block.filters, 1, f"{place + 1}", active=False)
    return shortcut(make, x, y, block.strides)


def _mobilenet_v3(x: Any, blocks: tuple[_Block, ...]) -> Any:
    x = conv_norm_act(_V3, x, 16, 3, "features.0", strides=2)
    for place, block in enumerate(blocks, 1):
        x = _v3_block(_V3.under(f"features.{place}"), x, block)
    return conv_norm_act(_V3, x, 6 * blocks[-1].filters, 1, f"features.{len(blocks) + 1}")


def _v3_top(units: int) -> Top:
    def classify(x: Any, classes: int, activation: Any) -> Any:
        x = _V3.dense(_V3.average(x), units, "classifier.0", "hard_swish")
        x = _V3.dropout(x, 0.2, "classifier.2")
        return _V3.dense(x, classes, "classifier.3", activation)

    return made(classify)


def _v3_network(title: str, blocks: tuple[_Block, ...], units: int, table: int) -> Any:
    summary = f"MobileNetV3 (Howard, Sandler, Chu and others 2019, table {table}, arXiv 1905.02244)."
    return network(title, summary, lambda x: _mobilenet_v3(x, blocks), _v3_top(units), __name__)


mobilenet_v3_small = _v3_network("mobilenet_v3_small", _SMALL, 1024, 2)
mobilenet_v3_large = _v3_network("mobilenet_v3_large", _LARGE, 1280, 1)

_MNAS = Builder(TORCHVISION, momentum=0.9997)
# Channels, size of windows, stride, expansion and blocks of each stage (figure 7 without weighed channels,
# B1).
_MNAS_STAGES = (
    (24, 3, 2, 3, 3),
    (40, 5, 2, 3, 3),
    (80, 5, 2, 6, 3),
    (96, 3, 1, 6, 2),
    (192, 5, 2, 6, 4),
    (320, 3, 1, 6, 1),
)


def _in_list(start: int, count: int = 3) -> list[Name]:
    return [f"layers.{place}" for place in range(start, start + count)]


def _mnas_block(make: Builder, x: Any, filters: int, kernel_size: int, strides: int, expansion: int) -> Any:
    wide = expansion * x.shape[channel_axis()]
    y = make.conv_norm(x, wide, 1, _in_list(0))
    y = make.conv_norm(y, wide, kernel_size, _in_list(3), strides=strides, groups=wide)
    return shortcut(make, x, make.conv_norm(y, filters, 1, _in_list(6, 2)), strides)


def _mnasnet(x: Any, alpha: float) -> Any:
    first = divisible(32 * alpha)
    x = _MNAS.conv_norm(x, first, 3, _in_list(0), strides=2)
    x = _MNAS.conv_norm(x, first, 3, _in_list(3), groups=first)
    x = _MNAS.conv_norm(x, divisible(16 * alpha), 1, _in_list(6, 2))
    for place, (filters, kernel_size, strides, expansion, depth) in enumerate(_MNAS_STAGES, 8):
        for block in range(depth):
            make = _MNAS.under(f"layers.{place}.{block}")
            step = strides if block == 0 else 1
            x = _mnas_block(make, x, divisible(filters * alpha), kernel_size, step, expansion)
    return _MNAS.conv_norm(x, 1280, 1, _in_list(14))


def _mnas_network(title: str, alpha: float) -> Any:
    summary = (
        f"MnasNet-B1, {alpha} times as wide (Tan, Chen, Pang and others 2019, figure 7, arXiv 1807.11626)."
    )
    return network(title, summary, lambda x: _mnasnet(x, alpha), dropout_top(0.2), __name__)


mnasnet0_5 = _mnas_network("mnasnet0_5", 0.5)
mnasnet0_75 = _mnas_network("mnasnet0_75", 0.75)
mnasnet1_0 = _mnas_network("mnasnet1_0", 1.0)
mnasnet1_3 = _mnas_network("mnasnet1_3", 1.3)
