"""Sections on the model: its layers, what they cost, what they look at."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from cnnrs import analysis, utils
from cnnrs.analysis.pictures import filter_tiles, map_tiles
from cnnrs.charts import html
from cnnrs.charts.html import Markup, tag
from cnnrs.reporting.page import wide
from cnnrs.reporting.results import picture, shown
from cnnrs.reporting.run import Example, Missing, Run, small

__all__ = ["attention", "filters", "layer_times", "layers", "maps"]

# A line of `utils.profile`: milliseconds first, behind the mark the layers.
_TIME = re.compile(r"^\s*(\d+\.\d+)\s.*?(?:#\s*(.*))?$")


def _sample(run: Run) -> np.ndarray:
    """A sample for the model: one of the evaluation, else zeros.

    Raises:
        Missing: There is none, and the model does not say of what shape one would be.
    """
    for name in ("right", "wrong"):
        try:
            for example in getattr(run, name):
                if example.sample is not None:
                    return example.sample
        except Missing:
            continue
    shape = getattr(run.model, "input_shape", None)
    if not isinstance(shape, tuple) or None in shape[1:]:
        raise Missing("the model does not say of what shape its input is, and no sample was kept")
    return np.zeros((1, *shape[1:]), np.float32)


def layer_times(model: Any, x: Any, repeats: int = 5) -> dict[str, float]:
    """Milliseconds of a prediction by layer, as `utils.profile` measures kernels.

    A kernel that computes several layers at once counts for the first of them; the others have 0.

    Args:
        model: The model.
        x: Samples of one batch.
        repeats: How often it runs; the fastest time counts.

    Returns:
        By the paths of layers; "" for what belongs to none.

    >>> import cnnrs
    >>> from cnnrs import layers
    >>> model = cnnrs.Sequential([cnnrs.Input((8, 8, 3)), layers.Conv2D(4, 3, name="conv")])
    >>> list(layer_times(model, np.zeros((1, 8, 8, 3))))
    ['conv']
    """
    found: dict[str, float] = {}
    for line in utils.profile(model, x, repeats=repeats).splitlines()[1:-1]:
        match = _TIME.match(line)
        if match is None:
            continue
        own = [_below(re.sub(r" ×\d+$", "", path.strip()), model) for path in (match[2] or "").split(",")]
        found[own[0]] = found.get(own[0], 0.0) + float(match[1])
        for path in own[1:]:
            found.setdefault(path, 0.0)
    return found


def _below(path: str, model: Any) -> str:
    """The path of a layer in the model.

    The first part of `path` is the name of the model that compiled such a graph first, be it another of equal
    layers: plans are shared.
    """
    inside = path.removeprefix(f"{model.name}/")
    return path.partition("/")[2] if inside == path and "/" in path else inside


def layers(run: Run) -> Markup:
    """A table of layers: shapes, parameters, work, memory, receptive field and time."""
    model, sample = run.model, _sample(run)
    costs = analysis.costs(model, sample)
    try:
        fields = {f.path: f for f in analysis.receptive_field(model, input_shape=sample.shape[1:])}
    except ValueError:
        # The model takes no images.
        fields = {}
    times = layer_times(model, sample)
    total = sum(times.values())
    rows = []
    for cost in costs:
        field = fields.get(cost.path)
        own = [t for path, t in times.items() if path == cost.path or path.startswith(f"{cost.path}/")]
        time = f"{sum(own):.3f}" if sum(own) else ("fused" if own else "")
        rows.append(
            [
                cost.path,
                cost.type,
                f"{cost.parameters:,}",
                f"{cost.macs:,}",
                _bytes(cost.activation_bytes),
                field.text if field is not None else "",
                time,
            ]
        )
    titles = ["Layer", "Type", "Parameters", "Multiply-adds", "Result", "Receptive field", "ms"]
    caption = (
        f"{model.name}: {costs.parameters:,} parameters, {costs.macs:,} multiply-adds for a sample of "
        f"{' × '.join(map(str, sample.shape[1:]))}, {_bytes(costs.inference_bytes)} beside the weights; "
        f"{total:.2f} ms in kernels for one sample. fused: in the kernel of another layer."
    )
    table = html.table(titles, rows, numbers=[2, 3, 4, 6])
    note = tag("p", caption, class_="faint")
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    # The last line of a summary may tell of the memory of this process, which is not the run's.
    kept = [line for line in "\n".join(lines).splitlines() if not line.startswith(" Packed filters")]
    text = tag("details", tag("summary", "Summary"), tag("pre", "\n".join(kept)), id="summary-text")
    if len(rows) <= 40:
        return Markup(note + wide(table) + text)
    folded = tag("details", tag("summary", f"All {len(rows)} layers"), wide(table), id="all-layers")
    slow = sorted(rows, key=lambda row: -float(row[6] or 0) if row[6] not in ("", "fused") else 0.0)[:10]
    first = html.table(titles, slow, numbers=[2, 3, 4, 6], caption="The ten slowest layers")
    return Markup(note + wide(first) + folded + text)


def _bytes(count: float) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GB"


def filters(run: Run) -> Markup:
    """The filters of the first convolution."""
    found = analysis.filters(run.model)
    rows, columns, channels, count = found.weights.shape
    text = f"{found.layer}: {count} filters of {rows} × {columns} × {channels}"
    text += ", in colours" if channels == 3 else ", of the first channel"
    text += "; the first 48." if count > 48 else "."
    return tag("figure", picture(filter_tiles(found.weights), text), tag("figcaption", text))


def maps(run: Run) -> Markup:
    """What layers make of a sample."""
    example = next((e for e in [*run.right, *run.wrong] if e.sample is not None), None)
    if example is None:
        raise Missing("no sample is there to show feature maps of")
    found = analysis.feature_maps(run.model, example.sample)
    images = [(n, a) for n, a in found.items() if a.ndim == 4 and _is_new(a, found.channel_axis)]
    if not images:
        raise Missing("no layer of the model makes images")
    places = np.unique(np.linspace(0, len(images) - 1, min(8, len(images))).round().astype(int))
    rows = []
    for name, array in [images[i] for i in places]:
        channels = np.moveaxis(array[0], found.channel_axis - 1, 0)
        shape = " × ".join(map(str, array.shape[1:]))
        drawn = picture(map_tiles(channels), f"feature maps of {name}")
        rows.append(tag("figure", drawn, tag("figcaption", f"{name}, {shape}")))
    first = tag(
        "figure", shown(example), tag("figcaption", f"Sample {example.mistake.index}, {example.mistake.true}")
    )
    note = tag("p", "The first eight channels of layers, each brought to its own range.", class_="faint")
    return Markup(note + tag("div", first, *rows, class_="charts"))


def _is_new(array: np.ndarray, channel_axis: int) -> bool:
    places = [n for axis, n in enumerate(array.shape[1:], 1) if axis != channel_axis]
    return min(places) > 1


def attention(run: Run) -> Markup:
    """Grad-CAM of wrong and right samples."""
    parts = []
    for title, examples, both in (("Taken for another class", run.wrong, True), ("Right", run.right, False)):
        chosen = [e for e in examples if e.sample is not None][:4]
        if chosen:
            parts.append(tag("h3", title))
            parts.append(tag("div", *_heats(run, chosen, both), class_="charts"))
    if not parts:
        raise Missing("no sample is there to show Grad-CAM of")
    note = "Grad-CAM: bright is what speaks for the class named below (arXiv:1610.02391)."
    return Markup(tag("p", note, class_="faint") + "".join(parts))


def _heats(run: Run, examples: list[Example], both: bool) -> list[Markup]:
    x = np.concatenate([e.sample for e in examples if e.sample is not None])
    names = run.evaluation.class_names
    outputs = getattr(run.model, "output_shape", (None, None))[-1]

    def overlays(classes: list[str]) -> np.ndarray:
        numbers = np.array([names.index(name) for name in classes])
        # One output stands for the second of two classes.
        return analysis.grad_cam(run.model, x, None if outputs == 1 else numbers).overlay()

    predicted = overlays([e.mistake.predicted for e in examples])
    true = overlays([e.mistake.true for e in examples]) if both and outputs != 1 else None
    cards = []
    for i, example in enumerate(examples):
        m = example.mistake
        pictures = [shown(example), shown(example, small(predicted[i]))]
        text = f"{m.predicted} ({m.score:.0%})"
        if true is not None:
            pictures.append(shown(example, small(true[i])))
            text = f"the picture; for {text}; for {m.true} ({m.true_score:.0%})"
        cards.append(tag("figure", tag("div", *pictures, class_="row"), tag("figcaption", text)))
    return cards
