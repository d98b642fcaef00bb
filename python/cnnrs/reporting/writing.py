"""`write`: a run's folder as one HTML file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from cnnrs.base.arguments import flag, named
from cnnrs.charts.html import Markup
from cnnrs.evaluation.run_files import write_file
from cnnrs.reporting import insight, origin, results
from cnnrs.reporting.page import Section, page
from cnnrs.reporting.run import Missing, Run

__all__ = ["html_of", "write"]


class _Part(NamedTuple):
    name: str
    title: str
    make: Callable[[Run], Markup]
    # Whether the model has to be loaded and run for it.
    explains: bool = False
    # The file without which a run lacks nothing.
    optional: str = ""
    # What a run predicts that has this part; "" for all.
    kind: str = ""


PARTS = [
    _Part("figures", "Figures", results.figures),
    _Part("curves", "Training", results.curves),
    _Part("classes", "Classes", results.classes, kind="classes"),
    _Part("mistakes", "Worst mistakes", results.mistakes, kind="classes"),
    _Part("confidence", "Confidence", results.confidence, kind="classes"),
    _Part("errors", "Errors", results.errors, kind="regression"),
    _Part("attention", "What decisions rest on", insight.attention, True, kind="classes"),
    _Part("maps", "Feature maps", insight.maps, True),
    _Part("filters", "Filters of the first layer", insight.filters, True),
    _Part("layers", "Layers", insight.layers, True),
    _Part("search", "Search", origin.search, optional="search.json"),
    _Part("origin", "Origin", origin.origin),
    _Part("settings", "Settings", origin.settings),
]


@named
def write(run_directory: Any, path: Any = None, *, title: str | None = None, explain: bool = True) -> Path:
    """Writes the report of a run: one HTML file that opens without network, on phones and on paper.

    It has what the folder has: curves of `history.csv`; classes, the confusion matrix, the worst mistakes
    with their pictures, calibration and ROC of `predictions.npz` and `samples.npz`; layers with their cost
    and time, filters, feature maps and Grad-CAM of `model.keras`; the command, versions, seed and hash of the
    data of `environment.json`; settings of `run.toml`. What is not there is named at the end.

    Args:
        run_directory: The folder, as `cnnrs train` and `RunReport` write it.
        path: The file; None for `report.html` in the folder.
        title: Of the page; None takes the folder's name.
        explain: Whether the model is run to show what it looks at, and how long its layers take.

    Returns:
        The path of the file.

    Raises:
        FileNotFoundError: There is no such folder.
        OSError: The file cannot be written.

    >>> import tempfile
    >>> from cnnrs import evaluation, reporting
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     evaluation.Evaluation([0, 1], [[0.9, 0.1], [0.2, 0.8]], ["cat", "dog"]).save(folder)
    ...     text = reporting.write(folder, title="Pets").read_text("utf-8")
    >>> "<title>Pets</title>" in text, "Confusion matrix" in text
    (True, True)
    """
    run = Run(run_directory)
    target = run.folder / "report.html" if path is None else Path(path)
    text = html_of(run, title, flag(explain, "write", "explain"))
    write_file(target, text.encode("utf-8", "replace"))
    return target


def html_of(run: Run, title: str | None = None, explain: bool = True, script: str = "") -> str:
    """The report as text.

    Args:
        run: The run.
        title: Of the page.
        explain: Whether the model is run.
        script: Of a page that is served while it changes.
    """
    sections, missing = [], []
    for part in PARTS:
        if part.explains and not explain or part.optional and not (run.folder / part.optional).is_file():
            continue
        if part.kind not in ("", run.kind):
            continue
        try:
            content = part.make(run)
        except Missing as error:
            missing.append(f"{part.title}: {error}")
        except Exception as error:
            # The other sections are worth having: what a model of the user's raises must not cost them.
            missing.append(f"{part.title}: {type(error).__name__}: {error}")
        else:
            sections.append(Section(part.name, part.title, content))
    try:
        started = str(run.environment.get("started", ""))
    except Missing:
        started = ""
    name = title or run.folder.resolve().name or "run"
    below = " · ".join(filter(None, [str(run.folder), started]))
    return page(name, below, sections, missing, script)
