"""Sections on where a run comes from: its command, versions, seed, data, settings and search."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from cnnrs.charts import LineChart, html
from cnnrs.charts.html import Markup, tag
from cnnrs.reporting.page import wide
from cnnrs.reporting.run import Missing, Run

__all__ = ["origin", "search", "settings"]

# Trials that are listed; the others are in the file.
_TRIALS = 200
# Values of a setting that is no number, as words or lists, which one axis has room for.
_VALUES = 8
# Characters beyond which a cell is a sentence.
_LONG = 40


def origin(run: Run) -> Markup:
    """The command that made the run, and all that its bits may depend on."""
    environment = dict(run.environment)
    command = environment.pop("command", None)
    parts = []
    if command:
        text = command if isinstance(command, str) else " ".join(map(str, command))
        parts += [tag("p", "The command:"), tag("pre", text)]
    rows = [[key, value] for key, value in _flat(environment)]
    return Markup("".join(parts) + html.table(["", ""], rows))


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Names and texts of nested values."""
    for key, value in values.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(value, dict):
            yield from _flat(value, f"{name}: ")
        elif isinstance(value, list):
            yield name, ", ".join(map(str, value))
        else:
            yield name, f"{value:.6g}" if isinstance(value, float) else str(value)


def settings(run: Run) -> Markup:
    """`run.toml`, which repeats the run."""
    text = run.text("run.toml", "all settings")
    return Markup(tag("p", "This file repeats the run.", class_="faint") + tag("pre", text))


def search(run: Run) -> Markup:
    """The trials of a search: what each setting did, how they went, and all of them, the best first."""
    try:
        found = json.loads(run.text("search.json", "the trials of a search"))
    except ValueError as error:
        raise Missing(f"search.json is damaged: {error}") from None
    trials = found.get("trials") if isinstance(found, dict) else None
    if not isinstance(trials, list) or not trials or not all(isinstance(t, dict) for t in trials):
        raise Missing("search.json lists no trials")
    upward = found.get("direction") != "minimize"
    metric = str(found.get("metric", "value"))
    done = [t for t in trials if isinstance(t.get("value"), (int, float)) and math.isfinite(t["value"])]
    done.sort(key=lambda t: -t["value"] if upward else t["value"])
    rest = [t for t in trials if not any(t is one for one in done)]
    rows = [_row(trial, metric) for trial in [*done, *rest][:_TRIALS]]
    titles = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[_cell(row.get(name, "")) for name in titles] for row in rows]
    text = f"{len(trials)} trials, {len(done)} of them with a value of {metric}"
    if done:
        text += f"; the best is trial {done[0].get('number', '?')} with {done[0]['value']:.6g}"
    charts = [tag("figure", chart.svg()) for chart in _charts(done, metric, upward)]
    return Markup(
        tag("p", f"{text}.")
        + tag("div", *charts, class_="charts")
        + wide(html.table(titles, cells, caption="The best first"))
    )


def _cell(text: str) -> Any:
    """Sentences, such as errors, are broken into lines that fit a phone."""
    return tag("div", text, class_="long") if len(text) > _LONG else text


def _row(trial: dict[str, Any], metric: str) -> dict[str, str]:
    """The cells of a trial by their titles."""
    own = {key: value for key, value in trial.items() if key not in ("settings", "epochs", "value")}
    cells = {"trial": str(own.pop("number", ""))}
    value = trial.get("value")
    cells[metric] = f"{value:.6g}" if isinstance(value, (int, float)) else ""
    cells.update(_flat(trial.get("settings") or {}))
    cells.update(_flat(own))
    return cells


def _charts(done: list[dict[str, Any]], metric: str, upward: bool) -> list[LineChart]:
    """The metric by trial, by epoch for the best ones, and by each setting."""
    if not done:
        return []
    best = np.maximum.accumulate if upward else np.minimum.accumulate
    ordered = sorted(done, key=lambda trial: trial.get("number", 0))
    values = np.array([trial["value"] for trial in ordered], np.float64)
    numbers = [trial.get("number", i) for i, trial in enumerate(ordered)]
    by_trial = LineChart(f"{metric} by trial", "trial", "")
    by_trial.add("best so far", numbers, best(values), dashed=True)
    by_trial.add("trial", numbers, values, joined=False)
    charts = [by_trial]
    curves = [trial for trial in done if len(trial.get("epochs") or []) > 1][:6]
    if curves:
        by_epoch = LineChart(f"{metric} of the best trials", "epoch", "")
        for trial in curves:
            epochs = trial["epochs"]
            by_epoch.add(f"trial {trial.get('number', '?')}", range(1, len(epochs) + 1), epochs)
        charts.append(by_epoch)
    names = dict.fromkeys(name for trial in ordered for name in trial.get("settings") or {})
    for name in list(names)[:6]:
        places = [(trial.get("settings") or {}).get(name) for trial in ordered]
        is_number = [isinstance(p, (int, float)) and not isinstance(p, bool) for p in places]
        notes = [f"trial {number}" for number in numbers]
        if all(is_number) and len(set(places)) > 1:
            x = np.array(places, np.float64)
            # Rates are looked for over powers of ten.
            wide_apart = bool(x.min() > 0 and x.max() / x.min() > 20)
            chart = LineChart(f"{metric} by {name}", f"log10 {name}" if wide_apart else name, "")
            chart.add("trial", np.log10(x) if wide_apart else x, values, joined=False, notes=notes)
            charts.append(chart)
            continue
        texts = [place if isinstance(place, str) else json.dumps(place) for place in places]
        known = sorted(set(texts), key=texts.index)
        if 1 < len(known) <= _VALUES:
            chart = LineChart(f"{metric} by {name}", name, "", x_names=known)
            chart.add("trial", [known.index(text) for text in texts], values, joined=False, notes=notes)
            charts.append(chart)
    return charts
