"""The arguments of Keras's networks, in the orders in which these have them, and their documentation."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from cnnrs.applications.further_networks import ALL, public_name

__all__ = [
    "auxiliary",
    "documentation",
    "grouped",
    "patched",
    "scaled_width",
    "scaling_last",
    "scaling_second",
    "shape_first",
    "small_images",
    "transforming",
    "untrained",
    "usual",
    "versioned",
    "wide",
]


def usual(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "",
) -> Any:
    """The arguments of most networks."""


def untrained(
    include_top: bool = True,
    weights: Any = None,
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "",
) -> Any:
    """The usual arguments of networks of which nobody publishes weights in a format of Keras."""


def small_images(
    include_top: bool = True,
    weights: Any = None,
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 10,
    classifier_activation: Any = "softmax",
    name: str = "",
) -> Any:
    """The arguments of networks for images of 32 x 32, of which there are ten classes."""


def wide(
    depth: int = 28,
    widen_factor: int = 10,
    dropout_rate: float = 0.0,
    include_top: bool = True,
    weights: Any = None,
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 10,
    classifier_activation: Any = "softmax",
    name: str = "",
) -> Any:
    """The arguments of `WideResNet`."""


def grouped(
    include_top: bool = True,
    weights: Any = None,
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    cardinality: int = 32,
    bottleneck_width: int = 4,
    name: str = "",
) -> Any:
    """The arguments of networks with groups of channels."""


def versioned(
    version: str = "1.1",
    include_top: bool = True,
    weights: Any = None,
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "",
) -> Any:
    """The arguments of `SqueezeNet`."""


def scaled_width(
    alpha: float = 1.0,
    include_top: bool = True,
    weights: Any = None,
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "",
) -> Any:
    """The arguments of `ShuffleNetV2`."""


def auxiliary(
    include_top: bool = True,
    weights: Any = None,
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    aux_heads: bool = False,
    name: str = "",
) -> Any:
    """The arguments of `GoogLeNet`."""


def transforming(
    include_top: bool = True,
    weights: Any = None,
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    aux_heads: bool = False,
    transform_input: bool = False,
    name: str = "",
) -> Any:
    """The arguments of torchvision's GoogLeNet and Inception v3, whose images may be scaled another way."""


def patched(
    include_top: bool = True,
    weights: Any = None,
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    patch_size: int = 16,
    grid: Any = None,
    dropout_rate: float = 0.0,
    drop_path_rate: float = 0.0,
    name: str = "",
) -> Any:
    """The arguments of vision transformers."""


def shape_first(
    input_shape: Any = None,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "",
) -> Any:
    """The arguments in the order of NASNet."""


def scaling_last(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    include_preprocessing: bool = True,
    name: str = "",
) -> Any:
    """The arguments of EfficientNetV2, which scales images if it is asked to."""


def scaling_second(
    include_top: bool = True,
    include_preprocessing: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "",
) -> Any:
    """The arguments of ConvNeXt, which scales images if it is asked to."""


_ENTRIES = {
    "include_top": "Whether the classifier stands at the end.",
    "include_preprocessing": """Whether the network scales pixels from 0 to 255 itself, each channel on its
            own where there are three.""",
    "weights": """"imagenet" for weights trained on ImageNet, which are fetched once; None for random ones; or
            the path of a file for `load_weights`.""",
    "input_tensor": "A symbolic tensor to build on, as a result of `Input`; by default a new one.",
    "input_shape": """Height and width of at least {least}, and channels; by default ({size}, {size}, 3).
            {unknown} Channels stand first where `config.image_data_format()` says so.""",
    "pooling": """Without the classifier: None for features of shape (batch, height, width, {channels}), "avg"
            or "max" for (batch, {channels}).""",
    "classes": 'Number of classes; 1000 with the classifier of "imagenet".',
    "classifier_activation": "Activation of the classifier; None for logits.",
    "name": "Name of the model.",
}


# Of networks of which there are no published weights in a format of Keras.
_UNTRAINED = {
    "weights": "None for random weights, or the path of a file{format}.",
    "classes": "Number of classes.",
}

# Of single networks.
_OF_NETWORKS = {
    "alpha": "Factor of the channels: 0.5, 1.0, 1.5 or 2.0.",
    "aux_heads": """Whether two more classifiers stand on inner features: the model has the outputs of "
    "the last
            classifier, of the second auxiliary one and of the first.""",
    "cardinality": "Groups of the 3 x 3 convolutions.",
    "bottleneck_width": "Channels of each group in the first stage.",
    "depth": "Number of layers: 6 n + 4 of them for 3 stages of n blocks.",
    "drop_path_rate": "Part of the images for which training leaves out the last block; 0 for the first, "
    "linearly.",
    "dropout_rate": "Rate of the dropout.",
    "grid": """Rows and columns of patches of which positions have embeddings; those of the images by "
    "default, and
            of 224 x 224 where their size is unknown. Images of other sizes get interpolated ones.""",
    "patch_size": "Height and width of a patch.",
    "transform_input": """Whether images that are normalised by mean and deviation of ImageNet are scaled "
    "to -1 to 1
            first, as torchvision's trained weights expect.""",
    "version": '"1.0" or "1.1", which computes 2.4 times less.',
    "widen_factor": "Factor of the channels of the blocks.",
}

_RAISES = """
        OSError: Weights cannot be fetched; the message has the address, and where to put the file."""

_DOC = """{summary}

    Args:
        {entries}

    Returns:
        The model. Images go in as `cnnrs.applications.{module}.preprocess_input` makes them.

    Raises:
        ValueError: An argument does not fit, or there is no such file.{raises}

    >>> from cnnrs import applications
    >>> model = applications.{example}(include_top=False, weights=None, pooling="avg")
    >>> model.output_shape
    (None, {example_channels})
    """


def documentation(title: str, summary: Any, arguments: Mapping[str, inspect.Parameter], sized: bool) -> str:
    """The docstring of a network.

    Args:
        title: Name in the table.
        summary: What the network is.
        arguments: Its arguments by their names.
        sized: Whether height and width must be known without the classifier, too.
    """
    row = ALL[title]
    # The smallest network of a module stands first: examples run.
    example = next(network for network, other in ALL.items() if other.module == row.module)
    unknown = (
        "Both must be known."
        if sized
        else """Without the classifier height and width may be None, and are
            by default."""
    )
    stored = (
        " of torchvision's `state_dict()`, `.safetensors`"
        if row.module == "torchvision"
        else " for `load_weights`"
    )
    facts = {**row._asdict(), "unknown": unknown, "format": stored}
    published = row.weights is not None or arguments["weights"].default is not None
    words = _ENTRIES if published else {**_ENTRIES, **_UNTRAINED, **_OF_NETWORKS}
    entries = [f"{name}: {words[name].format(**facts)}" for name in arguments]
    return _DOC.format(
        summary=summary,
        entries="\n        ".join(entries),
        module=row.module,
        raises=_RAISES if published else "",
        example=public_name(example),
        example_channels=ALL[example].channels,
    )
