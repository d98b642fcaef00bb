"""Sections on where a run comes from: its command, versions, seed, data, settings and search."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from cnnrs.charts import html
from cnnrs.charts.html import Markup, tag
from cnnrs.reporting.page import wide
from cnnrs.reporting.run import Missing, Run

__all__ = ["origin", "search", "settings"]


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
            yield name, str(value)


def settings(run: Run) -> Markup:
    """`run.toml`, which repeats the run."""
    text = run.text("run.toml", "all settings")
    return Markup(tag("p", "This file repeats the run.", class_="faint") + tag("pre", text))


def search(run: Run) -> Markup:
    """The trials of a search, the best first."""
    text = run.text("search.json", "the trials of a search")
    try:
        found = json.loads(text)
    except ValueError as error:
        raise Missing(f"search.json is damaged: {error}") from None
    trials = found.get("trials") if isinstance(found, dict) else None
    if not isinstance(trials, list) or not trials or not all(isinstance(t, dict) for t in trials):
        raise Missing("search.json lists no trials")
    rows = [dict(_flat(trial)) for trial in trials]
    titles = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[row.get(name, "") for name in titles] for row in rows[:200]]
    best = {k: v for k, v in found.items() if k != "trials"}
    listed = html.table(["", ""], list(_flat(best))) if best else Markup("")
    return Markup(listed + wide(html.table(titles, cells, caption=f"{len(trials)} trials")))
