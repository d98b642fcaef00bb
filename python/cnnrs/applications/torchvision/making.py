"""The public functions of torchvision's networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnrs import layers
from cnnrs.applications.arguments import untrained
from cnnrs.applications.builder import TORCHVISION, Builder
from cnnrs.applications.building import Top
from cnnrs.applications.torchvision.state_dicts import load_weights
from cnnrs.applications.variants import variant
from cnnrs.models import Model

__all__ = ["MAKE", "dropout_top", "made", "network", "transformed"]

MAKE = Builder(TORCHVISION)


def network(
    title: str, summary: str, features: Callable[..., Any], top: Top, module: str, form: Any = untrained
) -> Callable[..., Model]:
    """The public function of a network, whose weights are read as torchvision's.

    Args:
        title: Name in the table of networks, and in torchvision.
        summary: First lines of its documentation, with the source.
        features: From images to features, and by their names those arguments that it needs.
        top: What stands behind the features.
        module: Name of the module that has the function.
        form: A function with the network's arguments.
    """
    return variant(title, summary, features, top, module, form, load_weights)


def made(classify: Callable[[Any, int, Any], Any]) -> Top:
    """What stands behind the features of a network."""
    return Top(classify, "avgpool", "globalmaxpool")


def dropout_top(rate: float) -> Top:
    """Average pooling, dropout and the classes, where torchvision calls them `classifier`."""

    def classify(x: Any, classes: int, activation: Any) -> Any:
        x = MAKE.dropout(MAKE.average(x), rate, "classifier.0")
        return MAKE.dense(x, classes, "classifier.1", activation)

    return made(classify)


def transformed(x: Any, transform_input: Any) -> Any:
    """Images that are normalised by mean and deviation of ImageNet, from -1 to 1, if that is asked for."""
    if not transform_input:
        return x
    scale = [deviation / 0.5 for deviation in (0.229, 0.224, 0.225)]
    offset = [(mean - 0.5) / 0.5 for mean in (0.485, 0.456, 0.406)]
    return layers.Rescaling(scale, offset, name="transform_input")(x)
