"""Sections on how well the model does: figures, curves, classes, mistakes."""

from __future__ import annotations

import math

import numpy as np

from cnnrs.analysis.tables import figure
from cnnrs.charts import HeatMap, LineChart, data_url, html, training_charts
from cnnrs.charts.html import Markup, tag
from cnnrs.evaluation import Evaluation
from cnnrs.reporting.page import wide
from cnnrs.reporting.run import Example, Missing, Run

__all__ = ["classes", "confidence", "curves", "errors", "figures", "mistakes", "picture"]

# Beyond so many classes, a table is folded and curves are those of the classes that need them most.
_MANY = 30


def figures(run: Run) -> Markup:
    """The figures that are asked for first."""
    found: list[tuple[str, str, str]] = []
    if run.kind == "regression":
        found += _of_numbers(run)
    try:
        evaluation = run.evaluation
        low, high = evaluation.intervals["accuracy"][1:3]
        found.append(("Accuracy", f"{evaluation.accuracy:.2%}", f"95% interval {low:.2%} to {high:.2%}"))
        if len(evaluation.class_names) > 5:
            found.append(("Top 5", f"{evaluation.top_k(5):.2%}", "class among the five best"))
        found.append(("Macro F1", figure(evaluation.report.macro.f1), "mean over classes"))
        found.append(("Loss", f"{evaluation.loss:.4f}", f"on {len(evaluation.labels):,} samples"))
    except Missing:
        pass
    try:
        columns = run.history
        epochs = f"{len(columns['epoch'])}"
        seconds = columns.get("seconds")
        spent = "" if seconds is None else f"{duration(float(np.nansum(seconds)))} in all"
        found.append(("Epochs", epochs, spent))
        for name in ("val_accuracy", "val_loss"):
            if name in columns and np.isfinite(columns[name]).any():
                best = np.nanargmin if name.endswith("loss") else np.nanargmax
                place = int(best(columns[name]))
                text = f"at epoch {columns['epoch'][place]:.0f}"
                found.append((f"Best {name}", f"{columns[name][place]:.4f}", text))
    except Missing:
        pass
    try:
        found.append(("Parameters", f"{run.model.count_params():,}", run.model.name))
    except Missing:
        pass
    if not found:
        raise Missing("the run has no figures yet")
    boxes = [
        tag("div", tag("span", name, class_="faint"), tag("b", value), tag("span", note, class_="faint"))
        for name, value, note in found
    ]
    return tag("div", *boxes, class_="figures")


def _of_numbers(run: Run) -> list[tuple[str, str, str]]:
    try:
        found = run.regression
    except Missing:
        return []
    return [
        ("Mean absolute error", f"{found.mae:.4g}", f"on {len(found.targets):,} samples"),
        ("Root mean squared error", f"{found.rmse:.4g}", f"bias {found.bias:.3g}"),
        ("R²", figure(found.r2), "1 is perfect, 0 is what the mean does"),
    ]


def errors(run: Run) -> Markup:
    """Predictions by targets, figures, and the samples of the largest errors with their pictures."""
    found = run.regression
    listed = html.table(["Figure", "Value"], found.rows(), numbers=[1])
    parts = [tag("div", tag("figure", found.chart().svg()), tag("div", listed), class_="charts")]
    parts.append(tag("h3", "Largest errors"))
    if run.farthest:
        cards = []
        for example in run.farthest:
            m = example.mistake
            name = m.path.replace("\\", "/").rsplit("/", 1)[-1] or f"sample {m.index}"
            caption = [tag("b", f"{m.target:.4g}"), f" predicted {m.predicted:.4g}", tag("br"), name]
            cards.append(tag("figure", shown(example), tag("figcaption", *caption)))
        parts.append(tag("div", *cards, class_="pictures"))
        return Markup("".join(parts))
    rows = [
        [m.index, f"{m.target:.6g}", f"{m.predicted:.6g}", f"{m.error:.6g}", m.path] for m in found.worst(24)
    ]
    titles = ["Sample", "Target", "Predicted", "Error", "File"]
    parts.append(wide(html.table(titles, rows, numbers=[0, 1, 2, 3])))
    return Markup("".join(parts))


def duration(seconds: float) -> str:
    """Time as people read it.

    >>> duration(7.04), duration(75), duration(3725)
    ('7.0 s', '1:15 min', '1:02:05 h')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    hours, rest = divmod(round(seconds), 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02} h" if hours else f"{minutes}:{left:02} min"


def curves(run: Run) -> Markup:
    """Loss, metrics, learning rate and time by epoch."""
    columns = run.history
    charts = [tag("figure", chart.svg()) for chart in training_charts(columns)]
    if not charts:
        raise Missing("history.csv has no numbers yet")
    worst = [n for n in columns if not np.isfinite(columns[n][-1:]).all() and n != "epoch"]
    text = f"Without a number in the last epoch: {', '.join(worst)}."
    note = tag("p", text, class_="faint") if worst else ""
    return Markup(tag("div", *charts, class_="charts") + note)


def classes(run: Run) -> Markup:
    """The table of classes, the confusion matrix, and the pairs that are confused most often."""
    found = run.evaluation
    table = found.report._repr_html_()
    if len(found.class_names) > _MANY:
        order = sorted(found.report.classes, key=lambda f: (math.isnan(f.f1), f.f1))[:10]
        least = {f.name for f in order}
        rows = [row for row in found.report.rows() if row[0] in least]
        titles = ["Class", "Precision", "Recall", "F1", "Support"]
        first = html.table(titles, rows, numbers=range(1, 5), caption="The ten classes of the least F1")
        summary = tag("summary", f"All {len(found.class_names)} classes")
        shown = Markup(wide(first) + tag("details", summary, wide(Markup(table)), id="all-classes"))
    else:
        shown = wide(Markup(table))
    pairs = found.confusion.most_confused(10)
    matrix = tag("figure", wide(HeatMap(found.confusion.matrix, found.class_names).svg()))
    drawn = tag("div", tag("h3", "Confusion matrix"), matrix)
    parts: list[Markup] = [tag("div", tag("div", shown), drawn, class_="beside")]
    caption = "Rows are true classes, columns predicted ones; the colour is the share of the row."
    parts.append(tag("p", caption, class_="faint"))
    if pairs:
        rows = [[p.true, p.predicted, f"{p.count:,}", f"{p.share:.1%}"] for p in pairs]
        titles = ["True", "Taken for", "Samples", "Of its class"]
        listed = html.table(titles, rows, numbers=[2, 3], caption="Confused most often")
        parts.append(wide(listed))
    return Markup("".join(parts))


def confidence(run: Run) -> Markup:
    """Calibration, and curves over thresholds."""
    found = run.evaluation
    parts = [tag("figure", found.calibration.chart().svg())]
    if found.is_binary:
        parts.append(tag("figure", found.roc().chart().svg()))
        parts.append(tag("figure", found.precision_recall().chart().svg()))
        text = f"Curves count {found.class_names[1]!r} as positive."
    else:
        parts += [tag("figure", chart) for chart in _one_against_all(found)]
        text = "Curves are those of a class against all others"
        count = len(found.class_names)
        text += f"; of {count}, the six of the least area." if count > 6 else "."
    listed = [
        ["Expected calibration error", f"{found.calibration.expected_error:.4f}"],
        ["Largest calibration error", f"{found.calibration.largest_error:.4f}"],
        ["Brier score", f"{found.calibration.brier:.4f}"],
        ["AUC" if found.is_binary else "AUC, mean over classes", figure(found.auc)],
        ["Average precision", figure(found.average_precision)],
    ]
    return Markup(
        tag("div", *parts, class_="charts")
        + tag("p", text, class_="faint")
        + html.table(["Figure", "Value"], listed, numbers=[1])
    )


def _one_against_all(found: Evaluation) -> list[Markup]:
    roc = LineChart(
        "ROC", "false positive rate", "true positive rate", x_range=(0, 1), y_range=(0, 1), height=320
    )
    precision = LineChart(
        "Precision by recall", "recall", "precision", x_range=(0, 1), y_range=(0, 1), height=320
    )
    order = np.argsort(found.auc_by_class, kind="stable")
    for k in [int(k) for k in order if not np.isnan(found.auc_by_class[k])][:6]:
        name, curve = found.class_names[k], found.roc(k)
        roc.add(f"{name} {curve.auc:.3f}", curve.false_positive_rate, curve.true_positive_rate)
        other = found.precision_recall(k)
        precision.add(f"{name} {other.average_precision:.3f}", other.recall, other.precision)
    return [roc.svg(), precision.svg()]


def picture(pixels: np.ndarray, alt: str, scale: int = 1) -> Markup:
    """A picture as an element, small ones enlarged."""
    height, width = pixels.shape[:2]
    return tag(
        "img",
        src=data_url(pixels),
        alt=alt,
        width=width * scale,
        height=height * scale,
        class_="pixels" if scale > 1 else None,
    )


def shown(example: Example, pixels: np.ndarray | None = None) -> Markup:
    """The picture of an example."""
    pixels = example.picture if pixels is None else pixels
    scale = max(1, 112 // max(pixels.shape[:2]))
    m = example.mistake
    return picture(pixels, f"sample {m.index}, {getattr(m, 'true', None) or getattr(m, 'target', '')}", scale)


def mistakes(run: Run) -> Markup:
    """The samples of the largest loss, with their pictures."""
    every = run.evaluation.worst(len(run.evaluation.labels))
    if not every:
        return tag("p", f"None of {len(run.evaluation.labels):,} samples was taken for another class.")
    text = f"{len(every):,} of {len(run.evaluation.labels):,} samples were taken for another class"
    if not run.wrong:
        rows = [[m.index, m.true, m.predicted, f"{m.score:.1%}", f"{m.loss:.3f}", m.path] for m in every[:24]]
        titles = ["Sample", "True", "Predicted", "Probability", "Loss", "File"]
        text += ". Their pictures are neither in samples.npz nor at their paths."
        note = tag("p", text, class_="faint")
        return Markup(note + wide(html.table(titles, rows, numbers=[0, 3, 4])))
    parts = [tag("p", f"{text}; here are those of the largest loss.", class_="faint")]
    cards = []
    for example in run.wrong:
        m = example.mistake
        caption = [
            tag("b", m.true),
            f" taken for {m.predicted} ({m.score:.0%})",
            tag("br"),
            f"loss {m.loss:.2f}, " + (m.path.replace("\\", "/").rsplit("/", 1)[-1] or f"sample {m.index}"),
        ]
        cards.append(tag("figure", shown(example), tag("figcaption", *caption)))
    parts.append(tag("div", *cards, class_="pictures"))
    return Markup("".join(parts))
