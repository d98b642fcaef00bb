"""The public functions of networks that a table or a rule describes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnrs.applications.arguments import untrained
from cnnrs.applications.building import Top, network_of
from cnnrs.models import Model

__all__ = ["variant"]


def variant(
    title: str,
    summary: str,
    features: Callable[..., Any],
    top: Top,
    module: str,
    form: Callable[..., Any] = untrained,
    load: Callable[[Model, Any], None] = Model.load_weights,
) -> Callable[..., Model]:
    """The public function of a network.

    Args:
        title: Name in the table of networks.
        summary: First lines of its documentation, with the source.
        features: From images to features, and by their names those arguments that it needs.
        top: What stands behind the features.
        module: Name of the module that has the function.
        form: A function with the network's arguments.
        load: Gives a model the weights of a file.
    """
    features.__name__ = title
    features.__doc__ = summary
    features.__module__ = module
    return network_of(form, lambda name: top, load=load)(features)
