"""Charts of what `fit` logged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cnnrs.charts.line_chart import LineChart

__all__ = ["training_charts"]


def training_charts(columns: Mapping[str, Any]) -> list[LineChart]:
    """A chart for each log, with that of the validation beside it, by epoch.

    Args:
        columns: The values of each log; "epoch" has the numbers of the epochs, "seconds" how long they took.

    Returns:
        Charts of the logs that have finite values. A learning rate that falls far has a logarithmic axis.

    >>> [chart.title for chart in training_charts({"loss": [2.0, 1.0], "val_loss": [2.0, 1.5]})]
    ['Loss']
    """
    values = {name: np.asarray(column, np.float64) for name, column in columns.items()}
    longest = max((len(column) for column in values.values()), default=0)
    epochs = values.get("epoch", np.arange(1.0, longest + 1))
    names = [n for n in values if n not in ("epoch", "seconds") and not n.startswith("val_")]
    # What only the validation has, has a chart, too.
    names += [n[4:] for n in values if n.startswith("val_") and n[4:] not in values]
    charts = []
    for name in [*names, "seconds"]:
        is_plain = name.startswith("learning_rate") or name == "seconds"
        series = {name.replace("_", " ") if is_plain else "training": name, "validation": f"val_{name}"}
        found = {label: values[key] for label, key in series.items() if key in values}
        found = {label: column for label, column in found.items() if np.isfinite(column).any()}
        if not found:
            continue
        every = np.concatenate([column[np.isfinite(column)] for column in found.values()])
        falls = name.startswith("learning_rate") and every.min() > 0 and every.max() / every.min() > 100
        title = "Seconds per epoch" if name == "seconds" else name.replace("_", " ").capitalize()
        chart = LineChart(title, "epoch", "", log_y=bool(falls))
        for label, column in found.items():
            # Logs of the validation may begin later, or come in some epochs alone.
            chart.add(label, epochs[len(epochs) - len(column) :], column)
        charts.append(chart)
    return charts
