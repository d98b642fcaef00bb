"""A model as notebooks show it."""

from __future__ import annotations

from typing import Any

from cnnrs.charts import html
from cnnrs.charts.html import Markup, tag
from cnnrs.models.summary import _output_shape, _params, size_text

__all__ = ["html_of"]

# Layers that are shown at once; longer tables are folded.
_MANY = 25


def html_of(model: Any) -> Markup:
    """The layers, their shapes and parameters.

    >>> import cnnrs
    >>> model = cnnrs.Sequential([cnnrs.Input((4,)), cnnrs.layers.Dense(2, name="scores")])
    >>> "<td style=\\"text-align:left\\">scores</td>" in html_of(model)
    True
    """
    rows = [
        [layer.name, type(layer).__name__, _output_shape(layer), _params(layer)] for layer in model.layers
    ]
    if model.built:
        count = model.count_params()
        text = f"{len(rows)} layers, {count:,} parameters ({size_text(count)})"
    else:
        text = f"{len(rows)} layers, not built yet"
    head = tag("p", tag("b", model.name), f" ({type(model).__name__}): {text}")
    table = html.table(["Layer", "Type", "Output shape", "Parameters"], rows, numbers=[3])
    if len(rows) > _MANY:
        table = tag("details", tag("summary", "Layers"), table)
    return tag("div", head, table)
