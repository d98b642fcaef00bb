"""Backbones with a finer map: strides become dilations, and weights stay what they are."""

from __future__ import annotations

from typing import Any

from cnnrs import layers, tree
from cnnrs.models import Model, clone_model

__all__ = ["dilated"]

_SPATIAL = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)
_POOLING = (layers.MaxPooling2D, layers.AveragePooling2D)


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _strides(layer: Any) -> int:
    """By how much a layer makes a map coarser; 1 for what keeps its size."""
    if isinstance(layer, _SPATIAL + _POOLING) and not isinstance(layer, layers.Conv2DTranspose):
        return max(_pair(layer.strides))
    return 1


def _graph(model: Model) -> Any:
    return model._graph


def _walk(model: Model) -> dict[int, int]:
    """The output stride of each tensor of a functional model, by its identity."""
    found = {id(x): 1 for x in _graph(model).inputs}
    for node in _graph(model).nodes:
        if id(node.outputs[0]) in found:
            continue
        stride = max((found[id(x)] for x in node.inputs), default=1) * _strides(node.operation)
        found.update((id(x), stride) for x in node.outputs)
    return found


def _stages(model: Model) -> dict[int, Any]:
    """The last map of each output stride through which all that follows goes: no shortcut leads past it."""
    strides, nodes = _walk(model), _graph(model).nodes
    last_use = {id(x): k for k, node in enumerate(nodes) for x in node.inputs}
    open_: set[int] = set()
    found: dict[int, Any] = {}
    for k, node in enumerate(nodes):
        open_ = {x for x in open_ if last_use[x] > k} | {id(x) for x in node.outputs if id(x) in last_use}
        for x in node.outputs:
            if len(x.shape) == 4 and (open_ == {id(x)} or x is model.outputs[0]):
                found[strides[id(x)]] = x
    return found


def _check(backbone: Any, owner: str) -> None:
    if not isinstance(backbone, Model) or getattr(backbone, "_graph", None) is None:
        raise ValueError(f"{owner}: backbone: expected a functional model, received {backbone!r}")
    outputs = tree.flatten(backbone.outputs)
    if len(outputs) != 1 or len(outputs[0].shape) != 4:
        raise ValueError(
            f"{owner}: backbone: expected one map of shape (batch, height, width, channels) as its output, "
            f"as include_top=False gives, received {[tuple(x.shape) for x in outputs]}"
        )


def dilated(backbone: Model, output_stride: int, owner: str = "dilated") -> tuple[Model, dict[int, Any]]:
    """A backbone whose last map has the given output stride: later strides become dilations.

    A convolution that would go beyond the stride has stride 1, and those behind it are dilated by what was
    left out, so that each filter sees what it saw before ("atrous" convolution). Weights are those of the
    backbone.

    Args:
        backbone: A functional model of layers, from images to one map.
        output_stride: 8, 16 or 32, say.
        owner: What errors call the function.

    Returns:
        The model, and its maps by the output strides that they had in the backbone: of each, the last one
        past which no shortcut leads.

    Raises:
        ValueError: The backbone is no such model, or does not reach the stride.

    Reference:
        Chen, Papandreou, Schroff and Adam 2017, "Rethinking Atrous Convolution for Semantic Image
        Segmentation", arXiv:1706.05587, section 3.1.

    >>> from cnnrs.applications import MobileNetV2
    >>> from cnnrs.applications.dilation import dilated
    >>> backbone = MobileNetV2((64, 64, 3), include_top=False, weights=None)
    >>> dilated(backbone, 8)[0].output_shape
    (None, 8, 8, 1280)
    """
    _check(backbone, owner)
    strides = _walk(backbone)
    if output_stride not in {*strides.values()}:
        raise ValueError(
            f"{owner}: output_stride: expected one that {backbone.name} has, of "
            f"{sorted({*strides.values()})}, received {output_stride!r}"
        )
    changes: dict[int, dict[str, Any]] = {}
    pads: dict[int, Any] = {}
    for node in _graph(backbone).nodes:
        layer = node.operation
        before = max((strides[id(x)] for x in node.inputs), default=1)
        after = strides[id(node.outputs[0])]
        rate, is_cut = max(before // output_stride, 1), after > output_stride
        if isinstance(layer, layers.ZeroPadding2D):
            pads[id(node.outputs[0])] = layer
        if not is_cut or not isinstance(layer, _SPATIAL + _POOLING):
            continue
        change: dict[str, Any] = {"strides": 1} if _strides(layer) > 1 else {}
        if isinstance(layer, _POOLING):
            change["padding"] = "same"
        else:
            change["dilation_rate"] = tuple(rate * d for d in _pair(layer.dilation_rate))
        pad = pads.get(id(node.inputs[0]))
        window = max(_pair(getattr(layer, "kernel_size", getattr(layer, "pool_size", 1))))
        if pad is not None and window > 1:
            around = window // 2 * (rate if "dilation_rate" in change else 1)
            if "padding" in change:
                around = 0
            changes[id(pad)] = {"padding": ((around, around), (around, around))}
        changes[id(layer)] = change

    def again(layer: Any) -> Any:
        config = layer.get_config()
        config.update(changes.get(id(layer), {}))
        return type(layer).from_config(config)

    made = clone_model(backbone, clone_function=again)
    made.set_weights(backbone.get_weights())
    # Nodes of the copy stand in the order of the backbone's.
    twins = {
        id(x): y
        for node, new in zip(_graph(backbone).nodes, _graph(made).nodes, strict=True)
        for x, y in zip(node.outputs, new.outputs, strict=True)
    }
    return made, {stride: twins[id(x)] for stride, x in _stages(backbone).items()}
