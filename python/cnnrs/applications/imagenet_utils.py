"""Images as networks trained on ImageNet expect them, and the names of their classes."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from cnnrs import config, ops, symbolic, utils
from cnnrs.applications.further_networks import ALL
from cnnrs.base import suggest
from cnnrs.base.arguments import integer, named
from cnnrs.base.dtypes import FLOATS, dtype_name

__all__ = ["decode_predictions", "preprocess_input"]

_INDEX = "imagenet_class_index.json"
_INDEX_ADDRESS = "https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json"
_INDEX_CHECKSUM = "c2c37ea517e94d9795004a39431a14cb"
_CLASSES = 1000


class _Mode:
    """A way to scale images: channels turned around or not, divided by `scale`, less `mean`, over `std`."""

    def __init__(self, words: str, scale: float = 1.0, mean: Any = None, std: Any = None, bgr: bool = False):
        self.words = words
        self.scale = scale
        self.mean = mean
        self.std = std
        self.bgr = bgr


_MODES = {
    "caffe": _Mode(
        "makes BGR of RGB and subtracts the mean of ImageNet from each channel, without scaling",
        mean=(103.939, 116.779, 123.68),
        bgr=True,
    ),
    "tf": _Mode("scales pixels from 0 to 255 to -1 to 1", scale=127.5, mean=1.0),
    "torch": _Mode(
        "scales pixels from 0 to 255 to 0 to 1, and normalizes channels by mean and deviation of ImageNet",
        scale=255.0,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    ),
    "none": _Mode("gives images back as they are: the network scales pixels from 0 to 255 itself"),
}


def _channel_axis(x: Any, data_format: Any, per_channel: bool) -> int:
    """The axis of the channels, which must be three where each has numbers of its own."""
    if data_format is None:
        data_format = config.image_data_format()
    if data_format not in ("channels_first", "channels_last"):
        raise ValueError(
            "preprocess_input: data_format: expected 'channels_first', 'channels_last' or None, received "
            f"{data_format!r}"
        )
    axis = -1 if data_format == "channels_last" else -3
    if per_channel and (len(x.shape) not in (3, 4) or x.shape[axis] != 3):
        where = "(…, height, width, 3)" if axis == -1 else "(…, 3, height, width)"
        raise ValueError(
            f"preprocess_input: x: expected an image or a batch of them of shape {where}, received shape "
            f"{tuple(x.shape)}"
        )
    return axis


def _of_array(x: np.ndarray, mode: _Mode, axis: int) -> np.ndarray:
    """The scaled array: written over `x`, if that has floats."""
    if not np.issubdtype(x.dtype, np.floating):
        x = x.astype(config.floatx())
    elif not x.flags.writeable:
        x = x.copy()
    if mode.bgr:
        x = np.flip(x, axis)

    def by_channel(values: Any) -> Any:
        return np.reshape(np.asarray(values, x.dtype), (-1,) + (1,) * (-1 - axis))

    if mode.scale != 1.0:
        x /= mode.scale
    if mode.mean is not None:
        x -= by_channel(mode.mean)
    if mode.std is not None:
        x /= by_channel(mode.std)
    return x


def _of_tensor(x: Any, mode: _Mode, axis: int) -> Any:
    if dtype_name(x.dtype) not in FLOATS:
        x = ops.cast(x, config.floatx())
    if mode.bgr:
        x = ops.flip(x, axis)

    def by_channel(values: Any) -> Any:
        return np.reshape(np.asarray(values, np.float32), (-1,) + (1,) * (-1 - axis))

    if mode.scale != 1.0:
        x = x / mode.scale
    if mode.mean is not None:
        x = x - ops.cast(by_channel(mode.mean), x.dtype)
    if mode.std is not None:
        x = x / ops.cast(by_channel(mode.std), x.dtype)
    return x


@named
def preprocess_input(x: Any, data_format: Any = None, mode: str = "caffe") -> Any:
    """Images scaled as networks trained on ImageNet expect them. Each network's module has its own mode.

    Args:
        x: Pixels from 0 to 255 in the order RGB: an image or a batch of images, as an array or a tensor,
            symbolic or not. An array of floats is overwritten; copy it if it is needed later.
        data_format: Where the channels are: "channels_last" or "channels_first"; by default
            `config.image_data_format()`.
        mode: "caffe" makes BGR of RGB and subtracts the mean of ImageNet from each channel; "tf" scales
            pixels to -1 to 1; "torch" scales them to 0 to 1, and normalizes channels by mean and deviation of
            ImageNet.

    Returns:
        The scaled images, in the shape of `x`. Floats keep their dtype; integers become `config.floatx()`.

    Raises:
        ValueError: There is no such mode or data format, or `x` does not have three channels.

    >>> import numpy as np
    >>> from cnnrs.applications.imagenet_utils import preprocess_input
    >>> images = np.array([[[[0, 127.5, 255]]]])
    >>> preprocess_input(images, mode="tf").tolist()
    [[[[-1.0, 0.0, 1.0]]]]
    """
    if mode not in _MODES or mode == "none":
        raise ValueError(f"preprocess_input: mode: expected 'caffe', 'tf' or 'torch', received {mode!r}")
    return _scaled(x, data_format, _MODES[mode])


def _scaled(x: Any, data_format: Any, mode: _Mode) -> Any:
    is_tensor = symbolic.is_keras_tensor(x) or ops.is_tensor(x)
    if not is_tensor:
        x = np.asarray(x)
    axis = _channel_axis(x, data_format, isinstance(mode.mean, tuple))
    if mode is _MODES["none"]:
        return x
    return _of_tensor(x, mode, axis) if is_tensor else _of_array(x, mode, axis)


def preprocessing(network: str) -> Callable[..., Any]:
    """The function `preprocess_input` of the module that has a network."""
    mode = _MODES[ALL[network].mode]

    def preprocess_input(x: Any, data_format: Any = None) -> Any:
        return _scaled(x, data_format, mode)

    preprocess_input.__module__ = f"cnnrs.applications.{ALL[network].module}"
    preprocess_input.__doc__ = f"""Images as the networks of this module expect them: {mode.words}.

    Args:
        x: Pixels from 0 to 255 in the order RGB: an image or a batch of images, as an array or a tensor,
            symbolic or not. An array of floats is overwritten; copy it if it is needed later.
        data_format: Where the channels are: "channels_last" or "channels_first"; by default
            `config.image_data_format()`.

    Returns:
        The images, in the shape of `x`. Floats keep their dtype; integers that are scaled become
        `config.floatx()`.

    Raises:
        ValueError: There is no such data format, or `x` does not have the channels that the mode needs.
    """
    return named(preprocess_input)


@functools.cache
def _class_index() -> list[tuple[str, str]]:
    """WordNet's number and the name of each class; the file is fetched once."""
    path = utils.get_file(_INDEX, _INDEX_ADDRESS, cache_subdir="models", file_hash=_INDEX_CHECKSUM)
    with open(path, encoding="utf-8") as file:
        index = json.load(file)
    return [(index[str(number)][0], index[str(number)][1]) for number in range(_CLASSES)]


@named
def decode_predictions(preds: Any, top: int = 5) -> list[list[tuple[str, str, float]]]:
    """The likeliest classes of ImageNet by name.

    The names are fetched once, about 35 kB.

    Args:
        preds: Probabilities or scores of the 1000 classes, (batch, 1000): an array or a tensor.
        top: How many classes to name, at most 1000.

    Returns:
        For each row `top` tuples of the class's number in WordNet, its name and its score, the best first.

    Raises:
        ValueError: `preds` is no batch of 1000 scores, or `top` is out of range.
        OSError: The names cannot be fetched; the message has the address, and where to put the file.
    """
    scores = np.asarray(ops.convert_to_numpy(preds))
    if scores.ndim != 2 or scores.shape[1] != _CLASSES:
        raise ValueError(
            f"decode_predictions: preds: expected shape (batch, {_CLASSES}), the classes of ImageNet, "
            f"received shape {scores.shape}"
        )
    top = integer(top, "decode_predictions", "top", least=1, most=_CLASSES)
    names = _class_index()
    best = np.argsort(scores, axis=1, kind="stable")[:, : -top - 1 : -1]
    return [[(*names[c], row[c]) for c in classes] for row, classes in zip(scores, best, strict=True)]


__getattr__ = suggest.without("cnnrs.applications.imagenet_utils", {}, __all__)
