"""Networks of `cnnrs.applications` by any spelling of their names, for images from 0 to 255."""

from __future__ import annotations

import inspect
import os
import re
from typing import Any

from cnnrs import applications, layers, models
from cnnrs.applications.further_networks import ALL
from cnnrs.applications.imagenet_utils import preprocess_input
from cnnrs.base.suggest import did_you_mean
from cnnrs.runs.settings import SettingsError

__all__ = ["arguments_of", "found", "is_file", "make", "names", "precision_of", "size_of"]

_FILES = (".keras", ".h5", ".safetensors")
_SMALL = 64


def names() -> list[str]:
    """Names of networks that classify, as `--model` lists them.

    >>> "resnet18" in names() and "mobilenetv2" in names()
    True
    """
    return sorted(_known())


def _plain(name: str) -> str:
    return re.sub(r"[-_ ]", "", name).lower()


def _known() -> dict[str, str]:
    public = frozenset(applications.__all__)
    found = {_plain(name): name for name in ALL if name in public}
    return {**found, "lenet5": "LeNet5"}


def arguments_of(network: Any) -> list[str]:
    """Names of the arguments of a network."""
    return list(inspect.signature(network).parameters)


def is_file(model: str) -> bool:
    """Whether a model is given as a file."""
    return model.endswith(_FILES)


def found(model: str) -> str:
    """The name that `cnnrs.applications` has for a network.

    Raises:
        SettingsError: There is no such network.

    >>> found("mobilenet_v2")
    'MobileNetV2'
    """
    known = _known()
    if _plain(model) not in known:
        hint = did_you_mean(_plain(model), known) or "; `cnnrs train --list-models` lists them"
        raise SettingsError(f"model: no network {model!r}{hint}")
    return known[_plain(model)]


def size_of(model: str) -> list[int]:
    """Height and width of the images that a network was made for.

    Raises:
        SettingsError: There is no such network.

    >>> size_of("resnet18"), size_of("lenet5")
    ([224, 224], [28, 28])
    """
    if is_file(model):
        shape = models.load_model(model, compile=False).input_shape
        extents = shape[1:3] if isinstance(shape, tuple) and len(shape) == 4 else (None, None)
        return [int(extent) if extent else 224 for extent in extents]
    name = found(model)
    return [28, 28] if name == "LeNet5" else [ALL[name].size] * 2


def precision_of(model: str) -> str:
    """The precision that the layers of a file's model have."""
    made = models.load_model(model, compile=False)
    found = {layer.dtype_policy.name for layer in made._flatten_layers() if layer.weights}
    return next((name for name in sorted(found) if name.startswith("mixed")), "float32")


def make(model: str, classes: int, size: list[int], channels: int, weights: str, augment: str) -> Any:
    """A network that takes images from 0 to 255, augments them in training, scales them and classifies.

    Args:
        model: Name of the network, or a file of a whole model.
        classes: Number of classes.
        size: Height and width of the images.
        channels: Their channels.
        weights: "none", "imagenet" or a file of weights, of which those that fit are taken.
        augment: "none", "light", "standard" or "randaugment"; the model of a file has its own.

    Returns:
        A model, flat where the network is one of functions.

    Raises:
        SettingsError: There is no such network, or it cannot be made for such images or weights.
    """
    if is_file(model):
        made: Any = _of_file(model, classes, size, channels)
        if weights == "imagenet":
            raise SettingsError(
                "weights: expected none or a file beside the file of a model, received imagenet"
            )
        return _loaded(made, weights)
    name = found(model)
    if name == "LeNet5" and weights == "imagenet":
        raise SettingsError("weights: nobody publishes those of LeNet5; expected none or a file")
    inputs = layers.Input((*size, channels), name="images")
    try:
        x = _augmented(inputs, augment, size)
        if name == "LeNet5":
            outputs = layers.Rescaling(1 / 255, name="rescaling")(x)
            for layer in applications.LeNet5((*size, channels), classes).layers:
                outputs = layer(outputs)
            made = models.Model(inputs, outputs, name="lenet5")
        else:
            made = _application(name, x, inputs, classes, min(size), weights)
    except ValueError as error:
        raise SettingsError(f"model: {error}") from error
    return _loaded(made, weights)


def _loaded(made: Any, weights: str) -> Any:
    """A model with the weights of a file that fit."""
    if weights not in ("none", "imagenet"):
        if not os.path.exists(weights):
            raise SettingsError(f"weights: expected none, imagenet or a file, found no file {weights!r}")
        made.load_weights(weights, skip_mismatch=True)
    return made


def _of_file(path: str, classes: int, size: list[int], channels: int) -> Any:
    """The model of a file, if it takes such images and tells as many classes apart."""
    if not os.path.exists(path):
        raise SettingsError(f"model: no file {path!r}")
    made = models.load_model(path, compile=False)
    expected = (None, *size, channels)
    shape = made.input_shape
    fits = isinstance(shape, tuple) and len(shape) == 4
    if not fits or any(a not in (None, b) for a, b in zip(shape, expected, strict=True)):
        raise SettingsError(f"model: {path!r} takes images of shape {shape}, the data are of {expected}")
    if made.output_shape != (None, classes):
        raise SettingsError(
            f"model: {path!r} gives {made.output_shape}, the data have {classes} classes: {(None, classes)}"
        )
    return made


def _application(name: str, x: Any, inputs: Any, classes: int, least: int, weights: str) -> Any:
    network = getattr(applications, name)
    options: dict[str, Any] = {}
    if name in ("ResNet18", "ResNet34") and least <= _SMALL:
        options["stem"] = "cifar"
    mode = ALL[name].mode
    if weights != "imagenet":
        x = x if mode == "none" else layers.Rescaling(1 / 127.5, offset=-1, name="rescaling")(x)
        return network(weights=None, input_tensor=x, classes=classes, **options)
    if ALL[name].weights is None and not name.startswith(("MobileNet", "EfficientNet", "NASNet")):
        raise SettingsError(f"weights: nobody publishes those of {name} in a format of Keras; expected none")
    x = preprocess_input(x, mode=mode) if mode != "none" else x
    base = network(weights="imagenet", include_top=False, pooling="avg", input_tensor=x, **options)
    outputs = layers.Dense(classes, activation="softmax", name="predictions")(base.output)
    return models.Model(inputs, outputs, name=base.name)


def _augmented(x: Any, augment: str, size: list[int]) -> Any:
    """Layers of augmentation, which leave images as they are outside of training."""
    if augment == "none":
        return x
    if augment == "light":
        chain = [layers.RandomFlip("horizontal"), layers.RandomTranslation(0.1, 0.1, fill_mode="reflect")]
    elif augment == "standard":
        chain = [
            layers.RandomFlip("horizontal"),
            layers.RandomTranslation(0.1, 0.1, fill_mode="reflect"),
            layers.RandomRotation(0.04, fill_mode="reflect"),
            layers.RandomZoom((-0.2, 0.1), fill_mode="reflect"),
            layers.RandomBrightness(0.2),
            layers.RandomContrast(0.2),
        ]
    else:
        chain = [layers.RandomFlip("horizontal"), layers.RandAugment(value_range=(0, 255))]
    for layer in chain:
        x = layer(x)
    return x
