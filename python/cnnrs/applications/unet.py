"""U-Net, as it was published and as it is built today."""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.applications.building import check_weights, given_shape, inputs_of, sources_of
from cnnrs.base.arguments import flag, integer, named, number
from cnnrs.models import Model

__all__ = ["UNet"]


def _convolutions(x: Any, filters: int, padding: str, is_normed: bool, name: str) -> Any:
    for k in (1, 2):
        conv = layers.Conv2D(
            filters,
            3,
            padding=padding,
            use_bias=not is_normed,
            kernel_initializer="he_normal",
            name=f"{name}_conv{k}",
        )
        x = conv(x)
        if is_normed:
            x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn{k}")(x)
        x = layers.ReLU(name=f"{name}_relu{k}")(x)
    return x


def _up(x: Any, filters: int, upsampling: str, is_normed: bool, name: str) -> Any:
    if upsampling == "transposed":
        return layers.Conv2DTranspose(filters, 2, 2, name=f"{name}_up")(x)
    x = layers.UpSampling2D(2, interpolation=upsampling, name=f"{name}_resize")(x)
    x = layers.Conv2D(filters, 3, padding="same", use_bias=not is_normed, name=f"{name}_up")(x)
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_up_bn")(x) if is_normed else x


def _beside(skip: Any, x: Any, name: str) -> Any:
    """The middle of a map of the way down, in the size of one of the way up, before it."""
    down, across = (a - b for a, b in zip(skip.shape[1:3], x.shape[1:3], strict=True))
    crop = ((down // 2, down - down // 2), (across // 2, across - across // 2))
    return layers.Concatenate(name=f"{name}_concat")([layers.Cropping2D(crop, name=f"{name}_crop")(skip), x])


def _check_size(input_shape: Any, depth: int, padding: str) -> None:
    for extent in input_shape[:2]:
        if extent is None:
            if padding == "valid":
                raise ValueError(
                    "UNet: input_shape: expected known height and width, by which padding='valid' crops, "
                    f"received {input_shape!r}"
                )
            continue
        size = extent
        for level in range(depth):
            size -= 0 if padding == "same" else 4
            if size % 2 or size <= 0:
                raise ValueError(
                    f"UNet: input_shape: expected extents that can be halved {depth} times"
                    f"{' less 4 each' if padding == 'valid' else ''}, received {input_shape!r}: level "
                    f"{level} has {size}"
                )
            size //= 2
        if padding == "valid" and size <= 4:
            raise ValueError(f"UNet: input_shape: expected larger extents, received {input_shape!r}")


@named
def UNet(
    input_shape: Any = None,
    classes: int = 2,
    filters: int = 64,
    depth: int = 4,
    padding: str = "same",
    batch_norm: bool = True,
    dropout: float = 0.0,
    upsampling: str = "transposed",
    classifier_activation: Any = "softmax",
    weights: Any = None,
    name: str = "unet",
    input_tensor: Any = None,
) -> Model:
    """U-Net: a way down to coarse maps, and one up, on which each map meets its counterpart.

    `UNet((572, 572, 1), padding="valid", batch_norm=False, dropout=0.5)` is the network as published:
    unpadded convolutions, 23 of them, 31,030,658 parameters, and a map of 388 x 388. The default pads, and
    normalizes each convolution.

    Args:
        input_shape: Height, width and channels; None for (256, 256, 3). With padding "same" height and
            width may be None, and images then have multiples of `2**depth`.
        classes: Number of classes.
        filters: Channels of the first level; each level below has twice as many.
        depth: How often the map is halved.
        padding: "same", or "valid" as published.
        batch_norm: Whether each convolution is followed by batch normalization, and has no bias.
        dropout: Rate at the end of the way down.
        upsampling: "transposed" for a transposed 2 x 2 convolution; "nearest" or "bilinear" for resizing and
            a 3 x 3 convolution, which leaves no chessboard.
        classifier_activation: Activation of the result; None for logits.
        weights: Path of a file of weights; None for random ones.
        name: Name.
        input_tensor: A symbolic tensor to build on, which has the shape; None for a new input.

    Returns:
        A model that gives float32 tensors of shape (batch, height, width, classes), smaller than the images
        with padding "valid".

    Raises:
        ValueError: An argument does not fit.

    Reference:
        Ronneberger, Fischer and Brox 2015, "U-Net: Convolutional Networks for Biomedical Image Segmentation",
        arXiv:1505.04597, figure 1.

    >>> from cnnrs.applications import UNet
    >>> UNet((64, 64, 3), classes=3, filters=8, depth=2).output_shape
    (None, 64, 64, 3)
    """
    owner = "UNet"
    for argument, value in (("classes", classes), ("filters", filters), ("depth", depth)):
        integer(value, owner, argument, least=1)
    number(dropout, owner, "dropout", least=0, below=1)
    flag(batch_norm, owner, "batch_norm")
    if padding not in ("same", "valid"):
        raise ValueError(f"UNet: padding: expected 'same' or 'valid', received {padding!r}")
    if upsampling not in ("transposed", "nearest", "bilinear"):
        raise ValueError(
            f"UNet: upsampling: expected 'transposed', 'nearest' or 'bilinear', received {upsampling!r}"
        )
    check_weights(weights, True, classes, classifier_activation, owner, published=False)
    inputs = inputs_of(input_tensor, input_shape, given_shape(input_shape, (256, 256, 3), owner), owner)
    _check_size(inputs.shape[1:], depth, padding)
    x, skips = inputs, []
    for level in range(depth):
        x = _convolutions(x, filters * 2**level, padding, batch_norm, f"down{level}")
        skips.append(x)
        x = layers.MaxPooling2D(2, name=f"down{level}_pool")(x)
    x = _convolutions(x, filters * 2**depth, padding, batch_norm, "middle")
    if dropout:
        x = layers.Dropout(dropout, name="middle_dropout")(x)
    for level in reversed(range(depth)):
        x = _up(x, filters * 2**level, upsampling, batch_norm, f"up{level}")
        if padding == "valid":
            x = _beside(skips[level], x, f"up{level}")
        else:
            x = layers.Concatenate(name=f"up{level}_concat")([skips[level], x])
        x = _convolutions(x, filters * 2**level, padding, batch_norm, f"up{level}")
    x = layers.Conv2D(classes, 1, name="logits")(x)
    outputs = layers.Activation(classifier_activation or "linear", name="out", dtype="float32")(x)
    model = Model(sources_of(inputs), outputs, name=name)
    if weights is not None:
        model.load_weights(weights)
    return model
