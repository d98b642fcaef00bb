"""The arguments of Keras's networks, in the orders in which these have them, and their documentation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cnnrs.applications.networks import NETWORKS

__all__ = ["documentation", "scaling_last", "scaling_second", "shape_first", "usual"]


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


_DOC = """{summary}

    Args:
        {entries}

    Returns:
        The model. Images go in as `cnnrs.applications.{module}.preprocess_input` makes them.

    Raises:
        ValueError: An argument does not fit, or there is no such file.
        OSError: Weights cannot be fetched; the message has the address, and where to put the file.

    >>> from cnnrs import applications
    >>> model = applications.{example}(include_top=False, weights=None, pooling="avg")
    >>> model.output_shape
    (None, {example_channels})
    """


def documentation(title: str, summary: Any, arguments: Iterable[str], sized: bool) -> str:
    """The docstring of a network.

    Args:
        title: Name in the table.
        summary: What the network is.
        arguments: Names of its arguments.
        sized: Whether height and width must be known without the classifier, too.
    """
    row = NETWORKS[title]
    # The smallest network of a module stands first: examples run.
    example = next(network for network, other in NETWORKS.items() if other.module == row.module)
    unknown = (
        "Both must be known."
        if sized
        else """Without the classifier height and width may be None, and are
            by default."""
    )
    facts = {**row._asdict(), "unknown": unknown}
    entries = [f"{name}: {_ENTRIES[name].format(**facts)}" for name in arguments]
    return _DOC.format(
        summary=summary,
        entries="\n        ".join(entries),
        module=row.module,
        example=example,
        example_channels=NETWORKS[example].channels,
    )
