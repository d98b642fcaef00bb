"""Pictures of models: `plot_model` draws the graph of layers as SVG, `model_to_dot` gives it to graphviz."""

from __future__ import annotations

import html
import os
from dataclasses import dataclass, field
from typing import Any

from cnnrs import tree
from cnnrs.base.arguments import file_path, number, reject
from cnnrs.utils.layered import place

__all__ = ["ModelDrawing", "model_to_dot", "plot_model"]

_DIRECTIONS = ("TB", "BT", "LR", "RL")
_SPLINES = {
    **dict.fromkeys(["ortho"], "ortho"),
    **dict.fromkeys(["curved", "spline", "true"], "curved"),
    **dict.fromkeys(["line", "polyline", "false"], "line"),
}
_TITLE, _TEXT, _PADDING, _MARGIN = 15.0, 12.0, 9.0, 16.0


@dataclass
class _Box:
    """A layer as it is drawn.

    Attributes:
        title: What stands in the head.
        lines: What stands below, each with the colour of its background.
        groups: The nested models that the layer is inside of, by their names.
    """

    title: str
    lines: list[tuple[str, str]]
    groups: tuple[str, ...]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height. Letters are about 0.56 as wide as they are high, of the bold head 0.62."""
        widths = [len(self.title) * _TITLE * 0.62, *(len(text) * _TEXT * 0.56 for text, _ in self.lines)]
        height = _TITLE + 2 * _PADDING + len(self.lines) * (_TEXT + _PADDING)
        return max(widths) + 2 * _PADDING, height


@dataclass
class _Drawing:
    boxes: list[_Box] = field(default_factory=list)
    edges: list[tuple[int, int]] = field(default_factory=list)


class ModelDrawing:
    """A picture of a model, which notebooks show.

    Attributes:
        svg: The picture as SVG.
    """

    def __init__(self, svg: str):
        self.svg = svg

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<ModelDrawing of {len(self.svg)} characters of SVG>"


def plot_model(
    model: Any,
    to_file: Any = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: float = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> ModelDrawing:
    """Draws the layers of a model and writes the picture.

    Args:
        model: A built model; of one whose class defines `call` a single box is drawn.
        to_file: Path ending in ".svg", or in ".png" or ".pdf" with the extra `cnnrs[plot]`; None for no file.
        show_shapes: Whether shapes of inputs and outputs are shown.
        show_dtype: Whether the types of outputs are shown.
        show_layer_names: Whether names are shown beside classes.
        rankdir: "TB", "BT", "LR" or "RL": from top to bottom, and so on.
        expand_nested: Whether layers inside of models inside are drawn.
        dpi: Dots per inch of a PNG file.
        show_layer_activations: Whether activations are shown.
        show_trainable: Whether it is shown which layers train.
        splines: "ortho", "curved" or "line", and graphviz's other names of these.
        **kwargs: None.

    Returns:
        The picture; notebooks show it.

    Raises:
        ValueError: The model is not built, or an argument is none of these.
        ImportError: The file needs the extra, and that is not installed.

    >>> import cnnrs
    >>> model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
    >>> cnnrs.utils.plot_model(model, to_file=None).svg[:4]
    '<svg'
    """
    reject(plot_model, kwargs)
    suffix = ""
    if to_file is not None:
        to_file = file_path(to_file, "plot_model")
        suffix = os.path.splitext(to_file)[1].lower()
        if suffix not in (".svg", ".png", ".pdf"):
            raise ValueError(
                f"plot_model: to_file: expected a path ending in .svg, .png or .pdf, received {to_file!r}"
            )
    number(dpi, "plot_model", "dpi", above=0)
    options = (show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
    drawing = _drawing_of(model, expand_nested, *options)
    svg = _svg(
        drawing, _choice(rankdir, _DIRECTIONS, "rankdir"), _SPLINES[_choice(splines, _SPLINES, "splines")]
    )
    if suffix == ".svg":
        with open(to_file, "w", encoding="utf-8") as file:
            file.write(svg)
    elif suffix:
        try:
            import cairosvg  # type: ignore[import-untyped,unused-ignore]
        except (ImportError, OSError) as error:  # OSError: without the system's library cairo
            raise ImportError(
                f"plot_model: {to_file!r} needs CairoSVG and the library cairo ({error}); "
                "install it with: pip install 'cnnrs[plot]', or write a path ending in .svg"
            ) from error
        write = cairosvg.svg2png if suffix == ".png" else cairosvg.svg2pdf
        write(bytestring=svg.encode(), write_to=to_file, scale=float(dpi) / 96.0)
    return ModelDrawing(svg)


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: float = 200,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Any:
    """The layers of a model as a graph of pydot, which the extra `cnnrs[plot]` has.

    Args:
        model: As in `plot_model`, like all arguments but one.
        show_shapes: Whether shapes of inputs and outputs are shown.
        show_dtype: Whether the types of outputs are shown.
        show_layer_names: Whether names are shown beside classes.
        rankdir: "TB", "BT", "LR" or "RL".
        expand_nested: Whether layers inside of models inside are drawn.
        dpi: Dots per inch.
        subgraph: Whether the result is a cluster to put into another graph.
        show_layer_activations: Whether activations are shown.
        show_trainable: Whether it is shown which layers train.
        splines: How edges run, in the words of graphviz.
        **kwargs: None.

    Returns:
        A `pydot.Dot`, or a `pydot.Cluster`.

    Raises:
        ImportError: The extra is not installed.

    >>> import cnnrs
    >>> model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
    >>> dot = cnnrs.utils.model_to_dot(model)  # doctest: +SKIP
    """
    reject(model_to_dot, kwargs)
    try:
        import pydot  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        raise ImportError(
            "model_to_dot: pydot is not there; install it with: pip install 'cnnrs[plot]', or use plot_model"
        ) from error
    options = (show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
    drawing = _drawing_of(model, expand_nested, *options)
    _choice(rankdir, _DIRECTIONS, "rankdir")
    graph: Any
    if subgraph:
        graph = pydot.Cluster(model.name, style="dashed", label=model.name)
    else:
        graph = pydot.Dot(model.name, graph_type="digraph", rankdir=rankdir, dpi=dpi, splines=splines)
        graph.set_node_defaults(shape="record")
    clusters: dict[tuple[str, ...], Any] = {(): graph}
    for i, box in enumerate(drawing.boxes):
        for depth in range(1, len(box.groups) + 1):
            path = box.groups[:depth]
            if path not in clusters:
                clusters[path] = pydot.Cluster("/".join(path), style="dashed", label=path[-1])
                clusters[path[:-1]].add_subgraph(clusters[path])
        rows = "|".join(_escaped(text) for text in (box.title, *(text for text, _ in box.lines)))
        clusters[box.groups].add_node(pydot.Node(f"{model.name}_{i}", label=f"{{{rows}}}", shape="record"))
    for a, b in drawing.edges:
        graph.add_edge(pydot.Edge(f"{model.name}_{a}", f"{model.name}_{b}"))
    return graph


def _escaped(text: str) -> str:
    for character in '\\{}<>|"':
        text = text.replace(character, f"\\{character}")
    return text


def _choice(value: Any, known: Any, argument: str) -> Any:
    if value not in known:
        raise ValueError(f"plot_model: {argument}: expected one of {', '.join(known)}, received {value!r}")
    return value


def _drawing_of(model: Any, expand: bool, *options: bool) -> _Drawing:
    if not model.built:
        raise ValueError(
            f"{model.name}: expected a model that is built; give it an Input, or call it on a batch of data"
        )
    drawing = _Drawing()
    graph = getattr(model, "_graph", None)
    if graph is None:
        drawing.boxes.append(_box(model, (), *options))
    else:
        _collect(drawing, graph, (), expand, options, {})
    return drawing


def _collect(
    drawing: _Drawing, graph: Any, groups: tuple[str, ...], expand: bool, options: Any, made: dict[int, int]
) -> None:
    """Adds the operations of a graph; `made` says which box makes which symbolic tensor, or stands for it."""
    boxes: dict[int, int] = {}

    def box_of(operation: Any) -> int:
        if id(operation) not in boxes:
            boxes[id(operation)] = len(drawing.boxes)
            drawing.boxes.append(_box(operation, groups, *options))
        return boxes[id(operation)]

    for x in graph.inputs:
        made[id(x)] = box_of(x._keras_history[0])
    for node in graph.nodes:
        inner = getattr(node.operation, "_graph", None) if expand else None
        if inner is None:
            own = box_of(node.operation)
            _join(drawing, [made[id(x)] for x in node.inputs if id(x) in made], own)
            made.update((id(x), own) for x in node.outputs if id(x) not in made)
            continue
        known: dict[int, int] = {}
        _collect(drawing, inner, (*groups, node.operation.name), expand, options, known)
        for x, entry in zip(node.inputs, inner.inputs, strict=False):
            _join(drawing, [made[id(x)]], known[id(entry)])
        made.update((id(x), known[id(end)]) for x, end in zip(node.outputs, inner.outputs, strict=False))


def _join(drawing: _Drawing, sources: list[int], target: int) -> None:
    for source in sources:
        if (source, target) not in drawing.edges and source != target:
            drawing.edges.append((source, target))


def _box(
    layer: Any,
    groups: tuple[str, ...],
    show_shapes: bool,
    show_dtype: bool,
    show_names: bool,
    show_activations: bool,
    show_trainable: bool,
) -> _Box:
    kind = getattr(getattr(layer, "function", layer), "__name__", type(layer).__name__)
    title = f"{layer.name} ({kind})" if show_names else kind
    lines: list[tuple[str, str]] = []
    activation = getattr(layer, "activation", None)
    if show_activations and activation is not None:
        name = getattr(activation, "name", None) or getattr(activation, "__name__", str(activation))
        lines.append((f"activation: {name}", "#ffffff"))
    if show_shapes:
        if kind != "InputLayer":
            lines.append((f"input: {_of(layer, 'input', 'shape')}", "#ffffff"))
        lines.append((f"output: {_of(layer, 'output', 'shape')}", "#ffffff"))
    if show_dtype:
        lines.append((f"dtype: {_of(layer, 'output', 'dtype')}", "#ffffff"))
    if show_trainable and getattr(layer, "weights", None):
        lines.append(("trainable", "#cfe8cf") if layer.trainable else ("not trainable", "#f2d0d0"))
    return _Box(title, lines, groups)


def _of(layer: Any, side: str, what: str) -> str:
    """Shapes or types of a layer's inputs or outputs; "?" where it is called several times, or never."""
    try:
        found = tree.map_structure(lambda x: getattr(x, what), getattr(layer, side))
    except (AttributeError, ValueError, RuntimeError):
        nodes = getattr(layer, "_inbound_nodes", [])
        if len(nodes) != 1:
            return "?"
        found = [getattr(x, what) for x in getattr(nodes[0], f"{side}s")]
        found = found[0] if len(found) == 1 else found
    return str(found)


def _svg(drawing: _Drawing, rankdir: str, splines: str) -> str:
    sideways = rankdir in ("LR", "RL")
    sizes = [box.size[::-1] if sideways else box.size for box in drawing.boxes]
    layout = place(sizes, drawing.edges)
    room = _MARGIN + (_TEXT + _PADDING if any(box.groups for box in drawing.boxes) else 0.0)
    width, height = (extent + 2 * room for extent in (layout.size[::-1] if sideways else layout.size))

    def at(point: tuple[float, float]) -> tuple[float, float]:
        x, y = (point[1], point[0]) if sideways else point
        x, y = x + room, y + room
        return (width - x if rankdir == "RL" else x), (height - y if rankdir == "BT" else y)

    centres = [at(point) for point in layout.centres]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="Helvetica, Arial, sans-serif">',
        '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0,0 L10,5 L0,10 z" fill="#444444"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        *_frames(drawing, centres),
    ]
    for (a, b), route in zip(drawing.edges, layout.routes, strict=True):
        points = [at(point) for point in route]
        points[0] = _border(centres[a], drawing.boxes[a].size, points[1], sideways)
        points[-1] = _border(centres[b], drawing.boxes[b].size, points[-2], sideways)
        line = _path(points, splines, sideways)
        parts.append(f'<path d="{line}" fill="none" stroke="#444444" marker-end="url(#arrow)"/>')
    parts += [_drawn(box, centre) for box, centre in zip(drawing.boxes, centres, strict=True)]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _border(
    centre: tuple[float, float], size: tuple[float, float], towards: tuple[float, float], sideways: bool
) -> tuple[float, float]:
    """The middle of the side of a box that faces a point."""
    (x, y), (w, h) = centre, size
    if sideways:
        return (x + w / 2 if towards[0] > x else x - w / 2), y
    return x, (y + h / 2 if towards[1] > y else y - h / 2)


def _path(points: list[tuple[float, float]], splines: str, sideways: bool) -> str:
    text = f"M{points[0][0]:.1f},{points[0][1]:.1f}"
    for (ax, ay), (bx, by) in zip(points, points[1:], strict=False):
        mx, my = (ax + bx) / 2, (ay + by) / 2
        if splines == "line":
            steps = [(bx, by)]
        elif sideways:
            steps = [(mx, ay), (mx, by), (bx, by)]
        else:
            steps = [(ax, my), (bx, my), (bx, by)]
        letter = "C" if splines == "curved" else "L"
        text += letter + " ".join(f"{x:.1f},{y:.1f}" for x, y in steps)
    return text


def _frames(drawing: _Drawing, centres: list[tuple[float, float]]) -> list[str]:
    """Frames around the layers of nested models, outer ones first."""
    paths = {box.groups[:n] for box in drawing.boxes for n in range(1, len(box.groups) + 1)}
    frames = []
    for path in sorted(paths, key=lambda path: (len(path), path)):
        inside = [i for i, box in enumerate(drawing.boxes) if box.groups[: len(path)] == path]
        deeper = max(len(drawing.boxes[i].groups) for i in inside) - len(path)
        edge = 7.0 + 4.0 * deeper
        left = min(centres[i][0] - drawing.boxes[i].size[0] / 2 for i in inside) - edge
        right = max(centres[i][0] + drawing.boxes[i].size[0] / 2 for i in inside) + edge
        top = min(centres[i][1] - drawing.boxes[i].size[1] / 2 for i in inside) - edge - _TEXT
        bottom = max(centres[i][1] + drawing.boxes[i].size[1] / 2 for i in inside) + edge
        frames.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}" '
            'rx="6" fill="#f6f6f6" stroke="#999999" stroke-dasharray="5 3"/>'
            f'<text x="{left + 6:.1f}" y="{top + _TEXT:.1f}" font-size="{_TEXT:.0f}" fill="#666666">'
            f"{html.escape(path[-1])}</text>"
        )
    return frames


def _drawn(box: _Box, centre: tuple[float, float]) -> str:
    (x, y), (width, height) = centre, box.size
    left, top, head = x - width / 2, y - height / 2, _TITLE + 2 * _PADDING
    parts = [
        f'<g><rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" fill="#ffffff" '
        'stroke="#222222"/>',
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{head:.1f}" fill="#222222"/>',
        f'<text x="{x:.1f}" y="{top + head / 2 + _TITLE * 0.35:.1f}" font-size="{_TITLE:.0f}" '
        f'font-weight="bold" fill="#ffffff" text-anchor="middle">{html.escape(box.title)}</text>',
    ]
    row = _TEXT + _PADDING
    for k, (text, colour) in enumerate(box.lines):
        upper = top + head + k * row
        parts.append(
            f'<rect x="{left:.1f}" y="{upper:.1f}" width="{width:.1f}" height="{row:.1f}" fill="{colour}" '
            'stroke="#222222" stroke-width="0.5"/>'
            f'<text x="{x:.1f}" y="{upper + row / 2 + _TEXT * 0.35:.1f}" '
            f'font-size="{_TEXT:.0f}" fill="#222222" text-anchor="middle">{html.escape(text)}</text>'
        )
    return "".join([*parts, "</g>"])
