"""NASNet-A (Zoph, Vasudevan, Shlens and Le 2018, figure 4 and table 2), as Keras builds it."""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.applications.arguments import shape_first
from cnnrs.applications.building import Top, classifier, correct_pad, network_of
from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing
from cnnrs.base.naming import name_scope
from cnnrs.ops.spatial import only_channels_last

__all__ = ["NASNetLarge", "NASNetMobile", "decode_predictions", "preprocess_input"]


def _norm(x: Any, name: str) -> Any:
    return layers.BatchNormalization(momentum=0.9997, epsilon=1e-3, name=name)(x)


def _pointwise(x: Any, filters: int, name: str) -> Any:
    make = layers.Conv2D(
        filters, 1, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
    )
    return make(x)


def _separable(x: Any, filters: int, kernel_size: int, strides: int, block: str) -> Any:
    """Twice ReLU, a separable convolution, and normalization; the first convolution strides."""
    with name_scope(f"separable_conv_block_{block}"):
        x = layers.Activation("relu")(x)
        if strides == 2:
            border = correct_pad(x, kernel_size)
            x = layers.ZeroPadding2D(border, name=f"separable_conv_1_pad_{block}")(x)
        x = _separable_conv(x, filters, kernel_size, strides, "1", block)
        return _separable_conv(layers.Activation("relu")(x), filters, kernel_size, 1, "2", block)


def _separable_conv(x: Any, filters: int, kernel_size: int, strides: int, number: str, block: str) -> Any:
    name, padding = f"separable_conv_{number}", "valid" if strides == 2 else "same"
    make = layers.SeparableConv2D(
        filters, kernel_size, strides, padding, use_bias=False, name=f"{name}_{block}"
    )
    return _norm(make(x), f"{name}_bn_{block}")


def _adjusted(previous: Any, x: Any, filters: int, block: str) -> Any:
    """The output of the cell before the last, with the height and width of `x` and `filters` channels."""
    if previous is None:
        return x
    if previous.shape[-2] != x.shape[-2]:
        with name_scope(f"adjust_reduction_block_{block}"):
            return _halved(previous, filters, block)
    if previous.shape[-1] != filters:
        with name_scope(f"adjust_projection_block_{block}"):
            previous = layers.Activation("relu")(previous)
            previous = _pointwise(previous, filters, f"adjust_conv_projection_{block}")
            return _norm(previous, f"adjust_bn_{block}")
    return previous


def _halved(x: Any, filters: int, block: str) -> Any:
    """Every second row and column, and beside them those one further; half of `filters` channels each."""
    x = layers.Activation("relu", name=f"adjust_relu_1_{block}")(x)
    further = layers.Cropping2D(((1, 0), (1, 0)))(layers.ZeroPadding2D(((0, 1), (0, 1)))(x))
    parts = []
    for number, y in ((1, x), (2, further)):
        y = layers.AveragePooling2D(1, 2, name=f"adjust_avg_pool_{number}_{block}")(y)
        parts.append(_pointwise(y, filters // 2, f"adjust_conv_{number}_{block}"))
    return _norm(layers.concatenate(parts), f"adjust_bn_{block}")


def _inputs(x: Any, previous: Any, filters: int, kind: str, block: str) -> tuple[Any, Any]:
    """The two inputs of a cell with `filters` channels each."""
    with name_scope("adjust_block"):
        p = _adjusted(previous, x, filters, block)
    h = _pointwise(layers.Activation("relu")(x), filters, f"{kind}_conv_1_{block}")
    return _norm(h, f"{kind}_bn_1_{block}"), p


def _normal_cell(x: Any, previous: Any, filters: int, block: str) -> Any:
    """A cell that keeps height and width: six times `filters` channels."""

    def separable(y: Any, kernel_size: int, side: str) -> Any:
        return _separable(y, filters, kernel_size, 1, f"normal_{side}_{block}")

    def pool(y: Any, side: str) -> Any:
        return layers.AveragePooling2D(3, 1, "same", name=f"normal_{side}_{block}")(y)

    def add(first: Any, second: Any, number: int) -> Any:
        return layers.add([first, second], name=f"normal_add_{number}_{block}")

    with name_scope(f"normal_A_block_{block}"):
        h, p = _inputs(x, previous, filters, "normal", block)
        with name_scope("block_1"):
            x1 = add(separable(h, 5, "left1"), separable(p, 3, "right1"), 1)
        with name_scope("block_2"):
            x2 = add(separable(p, 5, "left2"), separable(p, 3, "right2"), 2)
        with name_scope("block_3"):
            x3 = add(pool(h, "left3"), p, 3)
        with name_scope("block_4"):
            x4 = add(pool(p, "left4"), pool(p, "right4"), 4)
        with name_scope("block_5"):
            x5 = add(separable(h, 3, "left5"), h, 5)
        return layers.concatenate([p, x1, x2, x3, x4, x5], name=f"normal_concat_{block}")


def _reduction_cell(x: Any, previous: Any, filters: int, block: str) -> Any:
    """A cell that halves height and width: four times `filters` channels."""

    def separable(y: Any, kernel_size: int, strides: int, side: str) -> Any:
        return _separable(y, filters, kernel_size, strides, f"reduction_{side}_{block}")

    def pool(kind: Any, y: Any, strides: int, padding: str, side: str) -> Any:
        return kind(3, strides, padding, name=f"reduction_{side}_{block}")(y)

    def add(first: Any, second: Any, name: str) -> Any:
        return layers.add([first, second], name=f"reduction_{name}_{block}")

    average, largest = layers.AveragePooling2D, layers.MaxPooling2D
    with name_scope(f"reduction_A_block_{block}"):
        h, p = _inputs(x, previous, filters, "reduction", block)
        padded = layers.ZeroPadding2D(correct_pad(h, 3), name=f"reduction_pad_1_{block}")(h)
        with name_scope("block_1"):
            x1 = add(separable(h, 5, 2, "left1"), separable(p, 7, 2, "right1"), "add_1")
        with name_scope("block_2"):
            x2 = add(pool(largest, padded, 2, "valid", "left2"), separable(p, 7, 2, "right2"), "add_2")
        with name_scope("block_3"):
            x3 = add(pool(average, padded, 2, "valid", "left3"), separable(p, 5, 2, "right3"), "add3")
        with name_scope("block_4"):
            x4 = layers.add([x2, pool(average, x1, 1, "same", "left4")])
        with name_scope("block_5"):
            x5 = add(separable(x1, 3, 1, "left4"), pool(largest, padded, 2, "valid", "right5"), "add4")
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
