"""Wide residual networks (Zagoruyko and Komodakis, Wide residual networks, BMVC 2016, arXiv 1605.07146)."""

from __future__ import annotations

from typing import Any

from cnnrs.applications import residual
from cnnrs.applications.arguments import wide
from cnnrs.applications.builder import KERAS, Builder
from cnnrs.applications.building import channel_axis, network_of
from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing
from cnnrs.base.arguments import integer, number

__all__ = ["WideResNet", "decode_predictions", "preprocess_input"]

_MAKE = Builder(KERAS)
_TOP = residual.top(_MAKE)


def _norm_act(make: Builder, x: Any, number: int) -> Any:
    return make.act(make.norm(x, f"{number}_bn"), f"{number}_relu")


def _block(make: Builder, x: Any, filters: int, strides: int, rate: float) -> Any:
    """Normalisation, then two 3 x 3 convolutions with dropout between them (figure 1d).

    A shortcut that is projected starts behind the normalisation, others before it.
    """
    before = _norm_act(make, x, 1)
    if strides > 1 or x.shape[channel_axis()] != filters:
        x = make.conv(before, filters, 1, "0_conv", strides=strides)
    y = _norm_act(make, make.conv(before, filters, 3, "1_conv", strides=strides), 2)
    y = make.conv(make.dropout(y, rate, "dropout"), filters, 3, "2_conv")
    return make.add([x, y], "out")


@network_of(wide, lambda name: _TOP)
def WideResNet(x: Any, depth: int, widen_factor: int, dropout_rate: float) -> Any:
    """WRN-28-10 by default, of networks with three stages for images of 32 x 32 (Zagoruyko and Komodakis
    2016, table 1): 28 convolutions, ten times as wide as those of He, Zhang, Ren and Sun. The paper's other
    networks are WRN-40-4, WRN-16-8, WRN-22-8, WRN-40-8 and WRN-28-12."""
    integer(depth, "WideResNet", "depth", least=10)
    if depth % 6 != 4:
        raise ValueError(f"WideResNet: depth: expected 6 n + 4, such as 16, 22, 28 or 40, received {depth}")
    integer(widen_factor, "WideResNet", "widen_factor", least=1)
    number(dropout_rate, "WideResNet", "dropout_rate", least=0, below=1)
    x = _MAKE.conv(x, 16, 3, "conv1_conv")
    for stage, filters in enumerate((16, 32, 64), 2):
        for block in range(1, (depth - 4) // 6 + 1):
            strides = 2 if block == 1 and stage > 2 else 1
            make = _MAKE.under(f"conv{stage}_block{block}")
            x = _block(make, x, filters * widen_factor, strides, dropout_rate)
    return _MAKE.act(_MAKE.norm(x, "post_bn"), "post_relu")


preprocess_input = preprocessing("WideResNet")
