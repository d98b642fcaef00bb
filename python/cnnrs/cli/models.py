"""Models as commands take them: by the name of a network, as the folder of a run, or as a file."""

from __future__ import annotations

import argparse
import os
from typing import Any

from cnnrs.cli.options import completed_by

__all__ = ["add_model", "images_of", "is_model_file", "made", "names", "path_of"]

_ENDINGS = (".keras", ".h5", ".hdf5", ".safetensors")


def add_model(parser: argparse.ArgumentParser) -> None:
    """The argument for a model, which `made` takes."""
    action = parser.add_argument(
        "model", help="a network by its name, the folder of a run, or the file of a model"
    )
    completed_by(action, names)


def is_model_file(text: str) -> bool:
    """Whether a text is a path of a model, and not the name of a network."""
    return text.endswith(_ENDINGS) or os.path.isdir(text)


def path_of(text: str) -> Any:
    """The file of a model: itself, or the best model of a run.

    Raises:
        FileNotFoundError: There is no such file, and no such run.
    """
    from cnnrs.runs import RunFolder

    if os.path.isdir(text):
        return RunFolder(text).require_model().best
    if not os.path.exists(text):
        raise FileNotFoundError(f"{text!r}: no such file")
    return text


def names() -> list[str]:
    """Names of networks, those with small stems among them."""
    from cnnrs.runs import networks

    return sorted([*networks.names(), "resnet18-cifar", "resnet34-cifar"])


def made(text: str, logits: bool = False) -> Any:
    """A model.

    Args:
        text: Name, folder of a run or file.
        logits: Whether a network that is made by its name gives logits.

    Raises:
        ValueError: There is no such network.
        FileNotFoundError: There is no such file.
    """
    from cnnrs import applications
    from cnnrs.runs import networks
    from cnnrs.saving import load_model

    if is_model_file(text):
        return load_model(path_of(text), compile=False)
    name, _, stem = text.lower().partition("-cifar")
    options: dict[str, Any] = {} if text.lower() == name and not stem else {"stem": "cifar"}
    network = getattr(applications, networks.found(name))
    if "weights" in networks.arguments_of(network):
        options["weights"] = None
    if logits:
        options["classifier_activation"] = None
    return network(**options)


def images_of(model: Any, count: int) -> Any:
    """Random images that a model takes, the same ones each time.

    Raises:
        ValueError: It takes no images.
    """
    import numpy as np

    shape = model.input_shape
    if not isinstance(shape, tuple) or len(shape) != 4:
        raise ValueError(f"model: expected one that takes images, received one of inputs {shape}")
    extents = [extent or default for extent, default in zip(shape[1:], (224, 224, 3), strict=True)]
    return np.random.default_rng(0).standard_normal((count, *extents), dtype=np.float32)
