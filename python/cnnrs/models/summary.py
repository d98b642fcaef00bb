"""The table that `model.summary()` prints."""

from __future__ import annotations

import math
import sys
from typing import Any, NamedTuple

from cnnrs import config
from cnnrs.base.suggest import did_you_mean
from cnnrs.layers.base import Layer

__all__ = ["FurtherColumns", "size_text", "summarize"]


def summarize(
    model: Any,
    line_length: int | None = None,
    positions: Any = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Any = None,
    further: FurtherColumns | None = None,
) -> str:
    """The table as text. Arguments are those of `Model.summary`, and further columns."""
    layers = _range(model, layer_range)
    titles = ["Layer (type)", "Output Shape", "Param #"]
    branching = _branches(model)
    if branching:
        titles.append("Connected to")
    if show_trainable:
        titles.append("Trainable")
    numbers = {2}
    if further is not None:
        numbers.update(range(len(titles), len(titles) + len(further.titles)))
        titles += further.titles
    columns = _Columns(branching, show_trainable, expand_nested, further)
    rows: list[list[str]] = []
    for layer in layers:
        rows += _rows(layer, model, columns, "", "")
    widths = _widths(titles, rows, line_length, positions)
    lines = [f'Model: "{model.name}"', *_table(titles, rows, widths, numbers)]
    lines += _totals(model)
    lines += [] if further is None else further.totals
    lines += _held()
    text = "\n".join(lines)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        text = _ascii(text)
    return text


def _range(model: Any, layer_range: Any) -> list[Layer]:
    layers: list[Layer] = model.layers
    if layer_range is None:
        return layers
    names = [layer.name for layer in layers]
    if len(layer_range) != 2:
        raise ValueError(f"summary: layer_range: expected two names, received {layer_range}")
    for name in layer_range:
        if name not in names:
            raise ValueError(f"summary: layer_range: no layer is called {name!r}{did_you_mean(name, names)}")
    first, last = sorted(names.index(name) for name in layer_range)
    return layers[first : last + 1]


def _branches(model: Any) -> bool:
    """Whether a layer has several inputs, or an output goes to several layers."""
    graph = model._graph
    if graph is None:
        return False
    used: dict[int, int] = {}
    for node in graph.nodes:
        if len(node.inputs) > 1:
            return True
        for x in node.inputs:
            used[id(x)] = used.get(id(x), 0) + 1
    return any(count > 1 for count in used.values())


class FurtherColumns(NamedTuple):
    """Columns behind those of Keras, and lines below the table.

    Attributes:
        titles: Of the columns.
        cells: For each column, its cells by the paths of the layers.
        totals: The lines.
    """

    titles: list[str]
    cells: list[dict[str, str]]
    totals: list[str]

    def row(self, path: str) -> list[str]:
        """The cells of a layer; "-" where there is nothing to say."""
        return [cells.get(path) or "-" for cells in self.cells]


class _Columns(NamedTuple):
    """Which columns there are behind the first three, and whether models inside are listed."""

    branching: bool
    show_trainable: bool
    expand_nested: bool
    further: FurtherColumns | None


def _rows(layer: Layer, model: Any, columns: _Columns, indent: str, prefix: str) -> list[list[str]]:
    row = [f"{indent}{layer.name} ({type(layer).__name__})", _output_shape(layer), _params(layer)]
    if columns.branching:
        row.append(_sources(layer, model))
    if columns.show_trainable:
        weighty = layer.built and layer.weights
        row.append(("Y" if layer.trainable else "N") if weighty else "-")
    if columns.further is not None:
        row += columns.further.row(f"{prefix}{layer.name}")
    rows = [row]
    if columns.expand_nested and hasattr(layer, "layers"):
        for inner in layer.layers:
            rows += _rows(inner, layer, columns, indent + "    ", f"{prefix}{layer.name}/")
    return rows


def _output_shape(layer: Layer) -> str:
    if not layer._inbound_nodes:
        graph = getattr(layer, "_graph", None)
        return str(graph.outputs[0].shape) if graph is not None else "?"
    shapes = [x.shape for x in layer._inbound_nodes[-1].outputs]
    return str(shapes[0]) if len(shapes) == 1 else ", ".join(map(str, shapes))


def _params(layer: Layer) -> str:
    return f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"


def _sources(layer: Layer, model: Any) -> str:
    graph = getattr(model, "_graph", None)
    if graph is None:
        return "-"
    kept = [node for node in layer._inbound_nodes if any(node is n for n in graph.nodes)]
    names = [x._keras_history[0].name for node in kept for x in node.inputs if x._keras_history]
    return ", ".join(names) or "-"


def _widths(titles: list[str], rows: list[list[str]], line_length: int | None, positions: Any) -> list[int]:
    if positions is not None:
        total = line_length or 98
        ends = [math.ceil(p * total) if p <= 1 else int(p) for p in positions]
        if len(ends) < len(titles):
            raise ValueError(f"summary: positions: expected {len(titles)} numbers, received {positions}")
        starts = [0, *ends]
        return [max(4, b - a - 3) for a, b in zip(starts, ends, strict=False)][: len(titles)]
    widths = [max(len(row[i]) for row in [titles, *rows]) for i in range(len(titles))]
    widths = [min(w, 60) for w in widths]
    if line_length is not None:
        spare = line_length - (sum(widths) + 3 * len(widths) + 1)
        if spare >= 0:
            return [w + spare // len(widths) for w in widths]
        # The widest columns give way, so that titles and numbers stay on one line as long as they can.
        for _ in range(-spare):
            widest = max(range(len(widths)), key=widths.__getitem__)
            widths[widest] = max(8, widths[widest] - 1)
    return widths


def _table(titles: list[str], rows: list[list[str]], widths: list[int], numbers: set[int]) -> list[str]:
    def rule(left: str, middle: str, right: str, line: str) -> str:
        return left + middle.join(line * (w + 2) for w in widths) + right

    def line(cells: list[str], bar: str) -> list[str]:
        wrapped = [
            [c[i : i + w] for i in range(0, max(len(c), 1), w)] for c, w in zip(cells, widths, strict=True)
        ]
        height = max(map(len, wrapped))
        texts = []
        for k in range(height):
            parts = []
            for i, (piece, w) in enumerate(zip(wrapped, widths, strict=True)):
                text = piece[k] if k < len(piece) else ""
                parts.append(f" {text:>{w}} " if i in numbers else f" {text:<{w}} ")
            texts.append(bar + bar.join(parts) + bar)
        return texts

    lines = [rule("┏", "┳", "┓", "━"), *line(titles, "┃"), rule("┡", "╇", "┩", "━")]
    for i, row in enumerate(rows):
        if i:
            lines.append(rule("├", "┼", "┤", "─"))
        lines += line(row, "│")
    lines.append(rule("└", "┴", "┘", "─"))
    return lines


def size_text(count: int, of: int = 4) -> str:
    """The memory of `count` elements of so many bytes."""
    size = float(count * of)
    for unit in ("B", "KB", "MB"):
        if size < 1024:
            return f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} GB"


def _totals(model: Any) -> list[str]:
    def count(weights: list[Any]) -> int:
        return sum(math.prod(w.shape) for w in weights)

    trainable, frozen = count(model.trainable_weights), count(model.non_trainable_weights)
    lines = [
        f" Total params: {trainable + frozen:,} ({size_text(trainable + frozen)})",
        f" Trainable params: {trainable:,} ({size_text(trainable)})",
        f" Non-trainable params: {frozen:,} ({size_text(frozen)})",
    ]
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and getattr(optimizer, "built", False):
        own = count(optimizer.variables)
        lines.append(f" Optimizer params: {own:,} ({size_text(own)})")
    return lines


def _held() -> list[str]:
    """What folded and packed filters of all models take, if there are any."""
    info = config.memory_info()
    held, bound = info["packed"], info["packed_limit"]
    if not held:
        return []
    return [
        f" Packed filters in this process: {held:,} bytes ({size_text(held, 1)}), at most "
        f"{size_text(bound, 1)}"
    ]


def _ascii(text: str) -> str:
    for characters, plain in (("─━", "-"), ("│┃", "|"), ("┌┬┐├┼┤└┴┘┏┳┓┡╇┩", "+")):
        for character in characters:
            text = text.replace(character, plain)
    return text
