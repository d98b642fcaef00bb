"""Networks that give each pixel a class: FCN and DeepLab heads on a backbone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnrs import layers
from cnnrs.applications import resnet, torchvision, vgg16
from cnnrs.applications.building import check_weights, given_shape, inputs_of, sources_of
from cnnrs.applications.dilation import dilated
from cnnrs.base import suggest
from cnnrs.base.arguments import flag, integer, named, number
from cnnrs.models import Model
from cnnrs.models.cloning import layers_on
from cnnrs.ops.spatial import only_channels_last

__all__ = ["FCN", "FCN8s", "FCN16s", "FCN32s", "DeepLabV3", "DeepLabV3Plus"]


def _mobile(shape: Any, weights: Any) -> Model:
    from cnnrs.applications.mobilenet_v2 import MobileNetV2

    return MobileNetV2(shape, include_top=False, weights=weights)


_BACKBONES = {
    "resnet50": lambda shape, weights: torchvision.resnet50(False, weights, input_shape=shape),
    "resnet101": lambda shape, weights: torchvision.resnet101(False, weights, input_shape=shape),
    "keras_resnet50": lambda shape, weights: resnet.ResNet50(
        input_shape=shape, include_top=False, weights=weights
    ),
    "mobilenet_v2": _mobile,
    "vgg16": lambda shape, weights: vgg16.VGG16(input_shape=shape, include_top=False, weights=weights),
}
# Those of which Keras has trained weights.
_TRAINED = ("keras_resnet50", "mobilenet_v2", "vgg16")


def _backbone(backbone: Any, input_shape: Any, weights: Any, owner: str) -> Model:
    """A backbone by its name, or the one that was given."""
    if not isinstance(backbone, str):
        if weights is not None:
            raise ValueError(
                f"{owner}: backbone_weights: expected None beside a model, which has weights, received "
                f"{weights!r}"
            )
        return backbone
    if backbone not in _BACKBONES:
        hint = suggest.did_you_mean(backbone, list(_BACKBONES))
        raise ValueError(
            f"{owner}: backbone: expected a model or one of {', '.join(_BACKBONES)}, received "
            f"{backbone!r}{hint}"
        )
    if weights == "imagenet" and backbone not in _TRAINED:
        raise ValueError(
            f"{owner}: backbone_weights: expected None or the path of a file of torchvision's weights for "
            f"{backbone!r}, of which Keras has no trained weights; it has for {', '.join(_TRAINED)}; "
            f"received {weights!r}"
        )
    check_weights(weights, False, 1000, None, owner)
    return _BACKBONES[backbone](input_shape, weights)


def _dilated(
    owner: str, input_tensor: Any, input_shape: Any, backbone: Any, weights: Any, output_stride: int
) -> tuple[Model, dict[int, Any]]:
    """A dilated backbone by its name, or of the one that was given, and its maps by the strides they had."""
    only_channels_last(owner)
    if input_tensor is not None:
        input_shape = inputs_of(input_tensor, input_shape, (), owner).shape[1:]
    made = _backbone(backbone, given_shape(input_shape, (512, 512, 3), owner), weights, owner)
    return dilated(made, output_stride, owner)


def _norm(x: Any, name: str) -> Any:
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _conv(x: Any, filters: int, kernel_size: int, name: str, rate: int = 1) -> Any:
    conv = layers.Conv2D(
        filters, kernel_size, padding="same", dilation_rate=rate, use_bias=False, name=f"{name}_conv"
    )
    return _norm(conv(x), name)


def _to_size(x: Any, like: Any, factor: int, name: str) -> Any:
    """A map in the size of another; of unknown sizes, `factor` times finer."""
    height, width = like.shape[1:3]
    if x.shape[1:3] == (height, width) and height is not None:
        return x
    if None in (height, width, *x.shape[1:3]):
        return layers.UpSampling2D(factor, interpolation="bilinear", name=name)(x)
    return layers.Resizing(height, width, interpolation="bilinear", name=name)(x)


def _fcn_head(x: Any, classes: int, name: str) -> Any:
    y = _conv(x, x.shape[-1] // 4, 3, name)
    y = layers.Dropout(0.1, name=f"{name}_dropout")(y)
    return layers.Conv2D(classes, 1, name=f"{name}_logits")(y)


def _finish(
    backbone: Model,
    input_tensor: Any,
    maps: dict[str, tuple[Any, int]],
    activation: Any,
    name: str,
    weights: Any,
) -> Model:
    """The model of logits at some strides: in the images' size, with the activation."""
    images = backbone.inputs[0]
    outputs = {}
    for key, (x, stride) in maps.items():
        x = _to_size(x, images, stride, f"{key}_resize")
        outputs[key] = layers.Activation(activation or "linear", name=key, dtype="float32")(x)
    made = Model(images, outputs if len(outputs) > 1 else outputs["out"], name=name)
    if input_tensor is not None:
        made = Model(sources_of(input_tensor), layers_on(made, [input_tensor]), name=name)
    if weights is not None:
        made.load_weights(weights)
    return made


def _aspp(x: Any, rates: Any, filters: int, dropout: float) -> Any:
    """Atrous spatial pyramid pooling with the normalisation of the heads."""
    norm = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
    return layers.ASPP(filters, rates, dropout, norm=norm, name="aspp")(x)


def _rates(output_stride: int, rates: Any, owner: str) -> tuple[int, ...]:
    """The rates of the paper for an output stride, unless others are given."""
    if rates is None:
        return tuple(rate * 16 // output_stride for rate in (6, 12, 18))
    if not isinstance(rates, (tuple, list)) or not rates:
        raise ValueError(f"{owner}: atrous_rates: expected integers >= 1, received {rates!r}")
    return tuple(integer(rate, owner, "atrous_rates", least=1) for rate in rates)


@named
def FCN(
    input_shape: Any = None,
    classes: int = 21,
    backbone: Any = "resnet50",
    backbone_weights: Any = None,
    output_stride: int = 8,
    aux_loss: bool = False,
    classifier_activation: Any = "softmax",
    weights: Any = None,
    name: str = "fcn",
    input_tensor: Any = None,
) -> Model:
    """A fully convolutional head on a dilated backbone, as torchvision builds it (`fcn_resnet50`).

    With the backbone "resnet50", 21 classes and `aux_loss=True` it has torchvision's 35,322,218 trainable
    parameters.

    Args:
        input_shape: Height, width and channels; None for (512, 512, 3). Height and width may be None, and
            images then have multiples of the output stride.
        classes: Number of classes.
        backbone: "resnet50", "resnet101" (those of torchvision, with the stride in the 3 x 3 convolutions),
            "keras_resnet50", "mobilenet_v2", "vgg16", or a functional model from images to one map.
        backbone_weights: None; the path of a file, for "resnet50" and "resnet101" one of torchvision's
            weights (see `applications.torchvision`); or "imagenet" for backbones that Keras has.
        output_stride: How many pixels one of the last map stands for: 8, 16 or 32. Strides beyond become
            dilations.
        aux_loss: Whether a second head on the map before the last stage helps training: the model then gives
            a dict of "out" and "aux".
        classifier_activation: Activation of the result; None for logits.
        weights: Path of a file of weights of the whole network; None for random ones.
        name: Name.
        input_tensor: A symbolic tensor to build on, which has the shape; None for a new input.

    Returns:
        A model that gives float32 tensors of shape (batch, height, width, classes).

    Raises:
        ValueError: An argument does not fit.

    Reference:
        Long, Shelhamer and Darrell 2015, "Fully Convolutional Networks for Semantic Segmentation",
        arXiv:1411.4038.

    >>> from cnnrs.applications import FCN
    >>> FCN((64, 64, 3), classes=2, backbone="mobilenet_v2").output_shape
    (None, 64, 64, 2)
    """
    integer(classes, "FCN", "classes", least=1)
    check_weights(weights, True, classes, classifier_activation, "FCN", published=False)
    model, maps = _dilated("FCN", input_tensor, input_shape, backbone, backbone_weights, output_stride)
    stride = max(maps)
    found = {"out": (_fcn_head(maps[stride], classes, "head"), output_stride)}
    if flag(aux_loss, "FCN", "aux_loss"):
        found["aux"] = (_fcn_head(maps[stride // 2], classes, "aux_head"), min(output_stride, stride // 2))
    return _finish(model, input_tensor, found, classifier_activation, name, weights)


_DOC = """{title}: scores of the map of stride 32{what}.

    Maps are resized bilinearly, with which the paper begins its upsampling.

    Args:
        input_shape: As in `FCN`.
        classes: Number of classes.
        backbone: As in `FCN`, with maps of strides {strides}.
        backbone_weights: As in `FCN`.
        classifier_activation: Activation of the result; None for logits.
        weights: Path of a file of weights of the whole network; None for random ones.
        name: Name.
        input_tensor: As in `FCN`.

    Returns:
        A model that gives float32 tensors of shape (batch, height, width, classes).

    Raises:
        ValueError: An argument does not fit.

    Reference:
        Long, Shelhamer and Darrell 2015, "Fully Convolutional Networks for Semantic Segmentation",
        arXiv:1411.4038, figure 3.

    >>> from cnnrs.applications import {name}
    >>> {name}((64, 64, 3), classes=3, backbone="mobilenet_v2").output_shape
    (None, 64, 64, 3)
    """


def _skips(owner: str, levels: tuple[int, ...], title: str, what: str) -> Callable[..., Model]:
    """The function that makes scores of the coarsest map, finer step by step, with those of finer maps added.

    Args:
        owner: Its name.
        levels: Strides of the finer maps.
        title: The network's name in the paper.
        what: What its documentation says of the levels.
    """

    def build(
        input_shape: Any = None,
        classes: int = 21,
        backbone: Any = "vgg16",
        backbone_weights: Any = None,
        classifier_activation: Any = "softmax",
        weights: Any = None,
        name: str = owner.lower(),
        input_tensor: Any = None,
    ) -> Model:
        integer(classes, owner, "classes", least=1)
        check_weights(weights, True, classes, classifier_activation, owner, published=False)
        model, maps = _dilated(owner, input_tensor, input_shape, backbone, backbone_weights, 32)
        x = _fcn_head(maps[32], classes, "score_32")
        stride = 32
        for stride in levels:
            score = layers.Conv2D(classes, 1, name=f"score_{stride}")(maps[stride])
            x = _to_size(x, score, 2, f"up_{stride}")
            x = layers.Add(name=f"sum_{stride}")([x, score])
        return _finish(model, input_tensor, {"out": (x, stride)}, classifier_activation, name, weights)

    strides = ", ".join(str(stride) for stride in (*reversed(levels), 32))
    build.__name__ = build.__qualname__ = owner
    build.__doc__ = _DOC.format(title=title, name=owner, what=what, strides=strides)
    return named(build)


FCN32s = _skips("FCN32s", (), "FCN-32s", ", resized")
FCN16s = _skips("FCN16s", (16,), "FCN-16s", ", to which those of stride 16 are added")
FCN8s = _skips("FCN8s", (16, 8), "FCN-8s", ", to which those of strides 16 and 8 are added")


@named
def DeepLabV3(
    input_shape: Any = None,
    classes: int = 21,
    backbone: Any = "resnet50",
    backbone_weights: Any = None,
    output_stride: int = 8,
    atrous_rates: Any = None,
    aspp_filters: int = 256,
    dropout: float = 0.5,
    aux_loss: bool = False,
    classifier_activation: Any = "softmax",
    weights: Any = None,
    name: str = "deeplab_v3",
    input_tensor: Any = None,
) -> Model:
    """DeepLabV3: atrous spatial pyramid pooling on a dilated backbone, as torchvision builds it.

    With the backbone "resnet50", 21 classes and `aux_loss=True` it has torchvision's 42,004,074 trainable
    parameters.

    Args:
        input_shape: As in `FCN`.
        classes: Number of classes.
        backbone: As in `FCN`.
        backbone_weights: As in `FCN`.
        output_stride: 8, 16 or 32.
        atrous_rates: Dilations of the 3 x 3 branches; None for 6, 12, 18 at stride 16 and twice that at 8.
        aspp_filters: Channels of each branch.
        dropout: Rate behind the branches.
        aux_loss: As in `FCN`.
        classifier_activation: Activation of the result; None for logits.
        weights: Path of a file of weights of the whole network; None for random ones.
        name: Name.
        input_tensor: As in `FCN`.

    Returns:
        A model that gives float32 tensors of shape (batch, height, width, classes).

    Raises:
        ValueError: An argument does not fit.

    Reference:
        Chen, Papandreou, Schroff and Adam 2017, "Rethinking Atrous Convolution for Semantic Image
        Segmentation", arXiv:1706.05587.

    >>> from cnnrs.applications import DeepLabV3
    >>> DeepLabV3((64, 64, 3), classes=2, backbone="mobilenet_v2", aspp_filters=32).output_shape
    (None, 64, 64, 2)
    """
    owner = "DeepLabV3"
    integer(classes, owner, "classes", least=1)
    integer(aspp_filters, owner, "aspp_filters", least=1)
    number(dropout, owner, "dropout", least=0, below=1)
    check_weights(weights, True, classes, classifier_activation, owner, published=False)
    model, maps = _dilated(owner, input_tensor, input_shape, backbone, backbone_weights, output_stride)
    stride = max(maps)
    x = _aspp(maps[stride], _rates(output_stride, atrous_rates, owner), aspp_filters, dropout)
    x = _conv(x, aspp_filters, 3, "head")
    found = {"out": (layers.Conv2D(classes, 1, name="head_logits")(x), output_stride)}
    if flag(aux_loss, owner, "aux_loss"):
        found["aux"] = (_fcn_head(maps[stride // 2], classes, "aux_head"), min(output_stride, stride // 2))
    return _finish(model, input_tensor, found, classifier_activation, name, weights)


@named
def DeepLabV3Plus(
    input_shape: Any = None,
    classes: int = 21,
    backbone: Any = "resnet50",
    backbone_weights: Any = None,
    output_stride: int = 16,
    atrous_rates: Any = None,
    aspp_filters: int = 256,
    low_level_filters: int = 48,
    dropout: float = 0.5,
    classifier_activation: Any = "softmax",
    weights: Any = None,
    name: str = "deeplab_v3_plus",
    input_tensor: Any = None,
) -> Model:
    """DeepLabV3+: DeepLabV3 with a decoder that reads the map of stride 4, too.

    Args:
        input_shape: As in `FCN`.
        classes: Number of classes.
        backbone: As in `FCN`.
        backbone_weights: As in `FCN`.
        output_stride: 8, 16 or 32.
        atrous_rates: Dilations of the 3 x 3 branches; None for 6, 12, 18 at stride 16 and twice that at 8.
        aspp_filters: Channels of each branch, and of the decoder.
        low_level_filters: Channels to which the map of stride 4 is reduced.
        dropout: Rate behind the branches.
        classifier_activation: Activation of the result; None for logits.
        weights: Path of a file of weights of the whole network; None for random ones.
        name: Name.
        input_tensor: As in `FCN`.

    Returns:
        A model that gives float32 tensors of shape (batch, height, width, classes).

    Raises:
        ValueError: An argument does not fit.

    Reference:
        Chen, Zhu, Papandreou, Schroff and Adam 2018, "Encoder-Decoder with Atrous Separable Convolution for
        Semantic Image Segmentation", arXiv:1802.02611, figure 2.

    >>> from cnnrs.applications import DeepLabV3Plus
    >>> DeepLabV3Plus((64, 64, 3), classes=2, backbone="mobilenet_v2", aspp_filters=32).output_shape
    (None, 64, 64, 2)
    """
    owner = "DeepLabV3Plus"
    integer(classes, owner, "classes", least=1)
    integer(aspp_filters, owner, "aspp_filters", least=1)
    integer(low_level_filters, owner, "low_level_filters", least=1)
    number(dropout, owner, "dropout", least=0, below=1)
    check_weights(weights, True, classes, classifier_activation, owner, published=False)
    model, maps = _dilated(owner, input_tensor, input_shape, backbone, backbone_weights, output_stride)
    x = _aspp(maps[max(maps)], _rates(output_stride, atrous_rates, owner), aspp_filters, dropout)
    low = _conv(maps[4], low_level_filters, 1, "low_level")
    x = layers.Concatenate(name="decoder_concat")([_to_size(x, low, output_stride // 4, "decoder_up"), low])
    for k in (1, 2):
        x = _conv(x, aspp_filters, 3, f"decoder_{k}")
    x = layers.Conv2D(classes, 1, name="head_logits")(x)
    return _finish(model, input_tensor, {"out": (x, 4)}, classifier_activation, name, weights)
