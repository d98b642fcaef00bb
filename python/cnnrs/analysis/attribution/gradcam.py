"""Grad-CAM and Grad-CAM++: a layer's feature maps, weighted by what they do for a class."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.analysis.attribution.scores import Attribution, Scorer, gradient, image_of
from cnnrs.analysis.receptive_fields import spatial_axes
from cnnrs.analysis.recording import find_layer, input_facts, record
from cnnrs.analysis.watching import Run, result_of
from cnnrs.base.arguments import named
from cnnrs.ops import image as image_ops

__all__ = ["grad_cam", "grad_cam_plus_plus", "last_convolution"]

_CONVOLUTIONS = ("conv2d", "conv2d_input_grad")


def last_convolution(model: Any, x: np.ndarray, owner: str) -> Any:
    """The layer that ends the last convolution over an image: it, or the norm and activation behind it.

    Raises:
        ValueError: The model has no convolution.
    """
    recording = record(model, input_facts(model, x[:1], 1, owner))

    def places(i: int) -> int:
        return math.prod(recording.nodes[i]["shape"][:-1])

    found = [i for i, node in enumerate(recording.nodes) if node["op"] in _CONVOLUTIONS and places(i) > 1]
    names = dict.fromkeys(call.path for call in recording.calls)
    if not found:
        raise ValueError(
            f"{owner}: layer: expected a layer with feature maps; {model.name} has no convolution: "
            f"{', '.join(list(names)[:12])}"
        )
    last = None
    for call in recording.calls:
        shape = recording.nodes[call.outputs[0]]["shape"] if call.outputs else ()
        axes = spatial_axes(model, len(shape))
        if axes and call.outputs[0] >= found[-1] and math.prod(shape[a] for a in axes) == places(found[-1]):
            last = call.layer
    if last is None:
        raise ValueError(
            f"{owner}: layer: expected the name of a layer with feature maps, one of "
            f"{', '.join(list(names)[:12])}"
        )
    return last


@named
def grad_cam(
    model: Any, x: Any, class_index: Any = None, layer: Any = None, *, output: Any = None, resize: bool = True
) -> Attribution:
    """Where a layer's feature maps speak for a class.

    With the score y of the class, before the softmax, and the maps A of the layer, channel k weighs
    `a_k = mean over places of dy / dA_k`, and the result is `relu(sum over k of a_k A_k)`.

    Args:
        model: A model of one input.
        x: Images.
        class_index: The class, or one for each image; None for the predicted ones.
        layer: The layer or its name; None takes what ends the last convolution.
        output: Which of several outputs: its number, or the name of the layer that makes it.
        resize: Whether the map is brought to the image's size, bilinearly.

    Returns:
        The maps: `found.values`, `found.plot()`.

    Raises:
        ValueError: The model has no convolution, or an argument is none of these.

    Reference: R. R. Selvaraju, M. Cogswell, A. Das, R. Vedantam, D. Parikh, D. Batra (2017), "Grad-CAM:
    Visual Explanations from Deep Networks via Gradient-based Localization", arXiv:1610.02391, equations 1 and
    2.

    >>> import numpy as np
    >>> import cnnrs
    >>> from cnnrs import layers
    >>> model = cnnrs.Sequential([
    ...     cnnrs.Input((16, 16, 1)), layers.Conv2D(4, 3, strides=2, activation="relu", name="conv"),
    ...     layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax"),
    ... ])
    >>> found = cnnrs.analysis.grad_cam(model, np.random.default_rng(0).normal(size=(2, 16, 16, 1)), 1)
    >>> found.layer, found.values.shape, found.raw.shape
    ('conv', (2, 16, 16), (2, 7, 7))
    """
    return _cam("grad_cam", "Grad-CAM", False, model, x, class_index, layer, output, resize)


@named
def grad_cam_plus_plus(
    model: Any, x: Any, class_index: Any = None, layer: Any = None, *, output: Any = None, resize: bool = True
) -> Attribution:
    """Grad-CAM with weights for each place, which find several objects of a class.

    With gradients g of the score by the maps A, place (i, j) of channel k weighs `g² / (2 g² + sum of A_k
    g³)`, and the channel weighs the sum of these times `relu(g)`. The paper takes the exponential of the
    score, by which all weights of a sample are multiplied; it is left out here.

    Args:
        model: A model of one input.
        x: Images.
        class_index: The class, or one for each image; None for the predicted ones.
        layer: The layer or its name; None takes what ends the last convolution.
        output: Which of several outputs: its number, or the name of the layer that makes it.
        resize: Whether the map is brought to the image's size, bilinearly.

    Returns:
        The maps: `found.values`, `found.plot()`.

    Raises:
        ValueError: The model has no convolution, or an argument is none of these.

    Reference: A. Chattopadhyay, A. Sarkar, P. Howlader, V. N. Balasubramanian (2018), "Grad-CAM++: Improved
    Visual Explanations for Deep Convolutional Networks", arXiv:1710.11063, equations 10 and 19.

    >>> import numpy as np
    >>> import cnnrs
    >>> from cnnrs import layers
    >>> model = cnnrs.Sequential([
    ...     cnnrs.Input((16, 16, 1)), layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(3),
    ... ])
    >>> cnnrs.analysis.grad_cam_plus_plus(model, np.ones((2, 16, 16, 1))).values.shape
    (2, 16, 16)
    """
    return _cam("grad_cam_plus_plus", "Grad-CAM++", True, model, x, class_index, layer, output, resize)


def _cam(
    owner: str,
    method: str,
    plus: bool,
    model: Any,
    x: Any,
    class_index: Any,
    layer: Any,
    output: Any,
    resize: bool,
) -> Attribution:
    images = image_of(model, x, owner)
    target = last_convolution(model, images, owner) if layer is None else find_layer(model, layer, owner)
    scorer = Scorer(model, images, class_index, output, owner)
    axes = spatial_axes(model, images.ndim)

    def compute(found: Run, scores: Any) -> list[Any]:
        maps = result_of(found, target, owner)
        if len(maps.shape) != images.ndim:
            raise ValueError(
                f"{owner}: layer: expected one that makes feature maps, received {target.name!r} "
                f"of shape {tuple(maps.shape)}"
            )
        gradients = ops.cast(gradient(scores.sum(), maps, owner, f"layer {target.name!r}"), "float32")
        maps = ops.cast(maps, "float32")
        if plus:
            squares = gradients * gradients
            bottom = 2.0 * squares + maps.sum(axis=axes, keepdims=True) * squares * gradients
            shares = squares / ops.where(bottom == 0.0, 1.0, bottom)
            weights = (shares * ops.relu(gradients)).sum(axis=axes, keepdims=True)
        else:
            weights = gradients.mean(axis=axes, keepdims=True)
        channels = 1 if axes[0] == 2 else images.ndim - 1
        heat = ops.relu((weights * maps).sum(axis=channels))
        size = tuple(images.shape[a] for a in axes)
        if not resize or len(size) != 2:
            return [heat, heat]
        large = image_ops.resize(heat[..., None], size, data_format="channels_last")
        return [heat, large[..., 0]]

    raw, values = scorer.recorded(images, [target], compute)(images, scorer.mask())
    return Attribution(method, values, scorer.classes, scorer.scores, images, raw, target.name)
