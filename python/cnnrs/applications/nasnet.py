"""NASNet-A (Zoph, Vasudevan, Shlens and Le 2018, figure 4 and table 2), as Keras builds it."""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.applications.arguments import shape_first
from cnnrs.applications.building import Top, classifier, correct_pad, network_of, only_channels_last
from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing

__all__ = ["NASNetLarge", "NASNetMobile", "decode_predictions", "preprocess_input"]


def _norm(x: Any, name: str) -> Any:
    return layers.BatchNormalization(momentum=0.9997, epsilon=1e-3, name=name)(x)


def _pointwise(x: Any, filters: int, name: str) -> Any:
    make = layers.Conv2D(
        filters, 1, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
    )
    return make(x)


def _separable(x: Any, filters: int, kernel_size: int, strides: int, block: str) -> Any:
    """Twice ReLU, a separable convolution, and normalisation; the first convolution strides."""
    x = layers.Activation("relu")(x)
    if strides == 2:
        padding = correct_pad(x, kernel_size)
        x = layers.ZeroPadding2D(padding, name=f"separable_conv_1_pad_{block}")(x)
    for number, step in ((1, strides), (2, 1)):
        if number == 2:
            x = layers.Activation("relu")(x)
        make = layers.SeparableConv2D(
            filters,
            kernel_size,
            step,
            "valid" if step == 2 else "same",
            use_bias=False,
            name=f"separable_conv_{number}_{block}",
        )
        x = _norm(make(x), f"separable_conv_{number}_bn_{block}")
    return x


def _every_second(x: Any, name: str) -> Any:
    """Every second row and column."""
    return layers.AveragePooling2D(1, 2, name=name)(x)


def _adjusted(previous: Any, x: Any, filters: int, block: str) -> Any:
    """The output of the cell before the last, with the height and width of `x` and `filters` channels."""
    if previous is None:
        return x
    if previous.shape[-2] != x.shape[-2]:
        previous = layers.Activation("relu", name=f"adjust_relu_1_{block}")(previous)
        even = _every_second(previous, f"adjust_avg_pool_1_{block}")
        even = _pointwise(even, filters // 2, f"adjust_conv_1_{block}")
        odd = layers.ZeroPadding2D(((0, 1), (0, 1)))(previous)
        odd = layers.Cropping2D(((1, 0), (1, 0)))(odd)
        odd = _every_second(odd, f"adjust_avg_pool_2_{block}")
        odd = _pointwise(odd, filters // 2, f"adjust_conv_2_{block}")
        return _norm(layers.concatenate([even, odd]), f"adjust_bn_{block}")
    if previous.shape[-1] != filters:
        previous = layers.Activation("relu")(previous)
        previous = _pointwise(previous, filters, f"adjust_conv_projection_{block}")
        return _norm(previous, f"adjust_bn_{block}")
    return previous


def _squeezed(x: Any, filters: int, kind: str, block: str) -> Any:
    x = _pointwise(layers.Activation("relu")(x), filters, f"{kind}_conv_1_{block}")
    return _norm(x, f"{kind}_bn_1_{block}")


def _normal_cell(x: Any, previous: Any, filters: int, block: str) -> Any:
    """A cell that keeps height and width: six times `filters` channels."""

    def separable(y: Any, kernel_size: int, side: str) -> Any:
        return _separable(y, filters, kernel_size, 1, f"normal_{side}_{block}")

    def pool(y: Any, side: str) -> Any:
        return layers.AveragePooling2D(3, 1, "same", name=f"normal_{side}_{block}")(y)

    def add(first: Any, second: Any, number: int) -> Any:
        return layers.add([first, second], name=f"normal_add_{number}_{block}")

    p = _adjusted(previous, x, filters, block)
    h = _squeezed(x, filters, "normal", block)
    x1 = add(separable(h, 5, "left1"), separable(p, 3, "right1"), 1)
    x2 = add(separable(p, 5, "left2"), separable(p, 3, "right2"), 2)
    x3 = add(pool(h, "left3"), p, 3)
    x4 = add(pool(p, "left4"), pool(p, "right4"), 4)
    x5 = add(separable(h, 3, "left5"), h, 5)
    return layers.concatenate([p, x1, x2, x3, x4, x5], name=f"normal_concat_{block}")


def _reduction_cell(x: Any, previous: Any, filters: int, block: str) -> Any:
    """A cell that halves height and width: four times `filters` channels."""

    def separable(y: Any, kernel_size: int, strides: int, side: str) -> Any:
        return _separable(y, filters, kernel_size, strides, f"reduction_{side}_{block}")

    def max_pool(y: Any, side: str) -> Any:
        return layers.MaxPooling2D(3, 2, name=f"reduction_{side}_{block}")(y)

    p = _adjusted(previous, x, filters, block)
    h = _squeezed(x, filters, "reduction", block)
    padded = layers.ZeroPadding2D(correct_pad(h, 3), name=f"reduction_pad_1_{block}")(h)
    # Keras's names of the sums: with an underscore up to the second, without one from the third on.
    x1 = [separable(h, 5, 2, "left1"), separable(p, 7, 2, "right1")]
    x1 = layers.add(x1, name=f"reduction_add_1_{block}")
    x2 = [max_pool(padded, "left2"), separable(p, 7, 2, "right2")]
    x2 = layers.add(x2, name=f"reduction_add_2_{block}")
    x3 = [layers.AveragePooling2D(3, 2, name=f"reduction_left3_{block}")(padded)]
    x3 = layers.add([*x3, separable(p, 5, 2, "right3")], name=f"reduction_add3_{block}")
    x4 = layers.AveragePooling2D(3, 1, "same", name=f"reduction_left4_{block}")(x1)
    x4 = layers.add([x2, x4])
    x5 = [separable(x1, 3, 1, "left4"), max_pool(padded, "right5")]
    x5 = layers.add(x5, name=f"reduction_add4_{block}")
    return layers.concatenate([x2, x3, x4, x5], name=f"reduction_concat_{block}")


def _nasnet(x: Any, filters: int, repeats: int, stem_filters: int, skip_reduction: bool) -> Any:
    """Two cells that reduce, and three stages of cells that keep the size, with one that reduces between.

    Args:
        x: Images.
        filters: Of the cells of the first stage; each stage has twice those of the one before.
        repeats: Cells of a stage.
        stem_filters: Of the first convolution.
        skip_reduction: Whether the cell behind one that reduces reads what that one read from the cell before
            its input, and not its input.
    """
    only_channels_last("NASNet")
    make = layers.Conv2D(
        stem_filters, 3, 2, use_bias=False, kernel_initializer="he_normal", name="stem_conv1"
    )
    previous, x = None, _norm(make(x), "stem_bn1")
    for number, narrow in ((1, filters // 4), (2, filters // 2)):
        previous, x = x, _reduction_cell(x, previous, narrow, f"stem_{number}")
    for stage in range(3):
        first = stage * repeats + bool(stage)
        if stage:
            reduced = _reduction_cell(x, previous, filters * 2**stage, f"reduce_{stage * repeats}")
            if not skip_reduction:
                previous = x
            x = reduced
        for number in range(first, first + repeats):
            previous, x = x, _normal_cell(x, previous, filters * 2**stage, f"{number}")
    return layers.Activation("relu")(x)


@network_of(shape_first, lambda name: Top(classifier(None)), sized=True)
def NASNetMobile(x: Any) -> Any:
    """NASNet-A (4 @ 1056) (Zoph, Vasudevan, Shlens and Le 2018, table 2)."""
    return _nasnet(x, 44, 4, 32, skip_reduction=False)


@network_of(shape_first, lambda name: Top(classifier(None)), sized=True)
def NASNetLarge(x: Any) -> Any:
    """NASNet-A (6 @ 4032) (Zoph, Vasudevan, Shlens and Le 2018, table 2)."""
    return _nasnet(x, 168, 6, 96, skip_reduction=True)


preprocess_input = preprocessing("NASNetLarge")
