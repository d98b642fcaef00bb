"""What becomes of a model's layers when the engine compiles them."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cnnrs import _core, tree
from cnnrs.base import context
from cnnrs.base.dtypes import data_dtype, standardize_dtype
from cnnrs.base.suggest import did_you_mean
from cnnrs.training.data_adapter import ArrayData
from cnnrs.training.runner import StepRunner

__all__ = ["Explanation", "ExplainedLayer", "explain"]

# Passes whose work shows in what runs. The others only bring operations into a form that these can use.
_TOLD = ("fold_bn", "sampling", "recompute", "storage")
_ONCE = "once"


@dataclass
class ExplainedLayer:
    """What became of one layer.

    Attributes:
        name: The layer's name; for what is no layer's (loss, metrics, optimizer), where it was recorded.
        type: The layer's class; "" for what belongs to no layer.
        path: The names of the models that it lies in, and its own, with slashes between.
        depth: How many models lie between it and the explained one.
        kernels: The kernels that compute it, without those of its gradients.
        steps: Numbers of the steps of a run that compute it, gradients included, counted from 1.
        fused_with: Names of layers that are computed in the same steps.
        is_folded: Whether a part of it became part of another layer's weights, once for many runs.
        is_recomputed: Whether gradients compute it again instead of reading what was kept.
        is_view: Whether it only shows the same memory under another shape.
        flops: Floating-point operations of a run (a multiply-add counts 2), gradients included.
        stored_bytes: Bytes of its results that a run writes to memory, without those of its gradients.
        is_in_cache: Whether results of it pass to later steps share by share, in memory that each thread has
            for itself and uses again for the next share.
        packed_bytes: Bytes of its folded and packed weights, which are made once for many runs.
        lines: What the table says of it: pairs of steps and text.
    """

    name: str
    type: str
    path: str
    depth: int = 0
    kernels: list[str] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    fused_with: list[str] = field(default_factory=list)
    is_folded: bool = False
    is_recomputed: bool = False
    is_view: bool = False
    is_in_cache: bool = False
    flops: int = 0
    stored_bytes: int = 0
    packed_bytes: int = 0
    lines: list[tuple[str, str]] = field(default_factory=list)


class Explanation:
    """What `explain` found. Printing it shows a table as wide as the terminal.

    Attributes:
        title: The model, and what it was compiled for.
        layers: What became of each layer, in the model's order.
        others: What became of that which belongs to no layer: loss, metrics, optimizer.
        num_steps: Steps of a run.
        flops: Floating-point operations of a run (a multiply-add counts 2).
        arena_bytes: Bytes of a run's intermediates. Values that are not needed at the same time share memory.
        once_bytes: Bytes of folded and packed weights, which are made once for many runs.
        data: The same as the engine tells it: dictionaries and lists.
    """

    def __init__(self, model: Any, title: str, data: dict[str, Any]):
        self.title = title
        self.data = data
        self.flops: int = data["flops"]
        self.arena_bytes: int = data["arena_bytes"]
        self.once_bytes: int = data["once_bytes"]
        self.num_steps = sum(step["when"] != _ONCE for step in data["steps"])
        self.layers, self.others = _Teller(model, data).tell()

    @property
    def peak_bytes(self) -> int:
        """Bytes that a run needs besides inputs, outputs and weights."""
        return self.arena_bytes + self.once_bytes

    def __getitem__(self, name: str) -> ExplainedLayer:
        """What became of the layer of this name or path."""
        for layer in [*self.layers, *self.others]:
            if name in (layer.path, layer.name):
                return layer
        names = [layer.name for layer in self.layers]
        raise KeyError(f"explain: no layer is called {name!r}{did_you_mean(name, names)}")

    def __iter__(self) -> Iterator[ExplainedLayer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def to_text(self, width: int = 100) -> str:
        """The table.

        Args:
            width: Characters of a line; fewer than 72 are taken for 72.

        Returns:
            Lines of at most `width` characters, one or more for each layer, then the sums.
        """
        return _table(self, max(width, 72))

    def __str__(self) -> str:
        text = self.to_text(min(shutil.get_terminal_size((100, 24)).columns, 140))
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        try:
            text.encode(encoding)
        except (UnicodeEncodeError, LookupError):
            text = text.replace("─", "-").replace("–", "-")
        return text

    def __repr__(self) -> str:
        return f"<Explanation of {self.title}: {len(self.layers)} layers in {self.num_steps} steps>"


def explain(
    model: Any, x: Any = None, y: Any = None, batch_size: int = 1, training: bool = False
) -> Explanation:
    """Tells layer by layer what the engine makes of a model.

    A model is recorded as one graph, rewritten, and cut into steps of one kernel each. Therefore a layer is
    often no step of its own: batch normalisation is folded into the filters before it, an activation is
    computed while the convolution before it stores its result. Nothing is run or trained here.

    Args:
        model: A model, or a layer.
        x: Samples of one batch, whose shapes and element types count. By default those of the model's inputs,
            with `batch_size` samples.
        y: Targets. With them the whole step of `model.train_on_batch(x, y)` is explained.
        batch_size: Samples of a batch, if `x` is not given.
        training: Explains the forward pass with `training=True` and the gradients of the weights. Without
            `y`, gradients of the outputs stand in for those that a loss would give.

    Returns:
        An `Explanation`: print it, or ask it for a layer by name. The table has a line for each layer: the
        steps of a run that compute it, by which kernels and with which neighbours ("while conv1 stores": on
        the elements of conv1's result before they go to memory), what is made once for many runs, what is
        computed again for the gradients, why a neighbour runs apart, millions of floating-point operations,
        and the memory that its result is written to.

    Raises:
        ValueError: `x` holds no samples, or is not given where the shapes of the inputs are not known; `y` is
            given and the model is not compiled.

    Example:

    >>> import cnnrs
    >>> from cnnrs import layers
    >>> model = cnnrs.Sequential([
    ...     layers.Input((8, 8, 4)),
    ...     layers.Conv2D(8, 3, use_bias=False, name="conv"),
    ...     layers.BatchNormalization(name="bn"),
    ...     layers.ReLU(name="relu"),
    ... ])
    >>> explanation = cnnrs.utils.explain(model, batch_size=16)
    >>> explanation["bn"].is_folded, explanation["relu"].fused_with
    (True, ['conv', 'bn'])
    >>> explanation["conv"].stored_bytes, explanation["relu"].stored_bytes
    (0, 18432)
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
        raise ValueError(f"explain: batch_size: expected an integer of at least 1, received {batch_size!r}")
    given = None if x is None else tree.map_structure(np.asarray, x)
    for array in [] if given is None else tree.flatten(given):
        if array.ndim == 0:
            raise ValueError("explain: x: expected arrays of samples, received a number")
    if y is not None:
        if given is None:
            raise ValueError("explain: x: expected samples, for y is given; received None")
        if getattr(model, "optimizer", None) is None:
            raise ValueError("explain: expected a compiled model, for y is given; call compile() first")
        return _training_step(model, given, tree.map_structure(np.asarray, y))
    if given is not None and not model.built:
        with _core.no_grad():
            model(tree.map_structure(lambda array: _core.tensor(array[:1]), given))
    facts = _facts(model, given, int(batch_size))
    with context.trace() as recorder:
        inputs = tree.map_structure(
            lambda fact: recorder.placeholder(list(fact.shape), fact.dtype, "x"), facts
        )
        outputs = [o for o in tree.flatten(model(inputs, training=training)) if o is not None]
        if training:
            outputs += _gradients(model, outputs, recorder)
        function = recorder.compile(outputs)
    samples = tree.flatten(facts)[0].shape[0]
    what = "training" if training else "prediction"
    return Explanation(
        model, f"{model.name}: {what}, {_count(samples, 'sample')} a batch", function.explain()
    )


class _Fact:
    """Shape and element type of an input. No tuple, so that it is a leaf in nested structures."""

    def __init__(self, shape: tuple[int, ...], dtype: str):
        self.shape = shape
        self.dtype = dtype


def _facts(model: Any, given: Any, batch_size: int) -> Any:
    if given is not None:
        return tree.map_structure(lambda a: _Fact(a.shape, data_dtype(a.dtype)), given)
    try:
        inputs = model.input
    except (AttributeError, ValueError):
        inputs = None
    if inputs is None:
        raise ValueError(
            f"explain: {model.name} has no inputs of known shapes yet; expected x, samples of a batch"
        )

    def fact(symbol: Any) -> _Fact:
        shape = (symbol.shape[0] or batch_size, *symbol.shape[1:])
        if None in shape:
            raise ValueError(
                f"explain: the input {symbol.name} has shape {symbol.shape}; expected x, samples of a batch"
            )
        return _Fact(shape, standardize_dtype(symbol.dtype))

    return tree.map_structure(fact, inputs)


def _gradients(model: Any, outputs: list[Any], recorder: Any) -> list[Any]:
    """Gradients of the weights, where those of the outputs are arguments."""
    variables = model.trainable_weights
    if not variables:
        return []
    total = None
    for output in (o for o in outputs if o.dtype == "float32"):
        product = output * recorder.placeholder(list(output.shape), "float32", "gradient of the outputs")
        total = product.sum() if total is None else total + product.sum()
    gradients = [] if total is None else _core.gradients(total, variables)
    return [gradient for gradient in gradients if gradient is not None]


def _training_step(model: Any, x: Any, y: Any) -> Explanation:
    data = ArrayData(x, y, None, None)
    step = StepRunner(model, "train").recorded(data.samples)
    title = f"{model.name}: a step of training, {_count(len(data.arrays[0]), 'sample')} a batch"
    return Explanation(model, title, step.function.explain())


class _Teller:
    """Brings what the engine says of origins into the order of the layers."""

    def __init__(self, model: Any, data: dict[str, Any]):
        self.data = data
        self.steps: list[dict[str, Any]] = data["steps"]
        self.layers: dict[str, ExplainedLayer] = {}
        self.inputs: set[str] = set()
        if hasattr(model, "layers"):
            self._add(model, model.name, 0)
        else:
            self.layers[model.name] = ExplainedLayer(model.name, type(model).__name__, model.name)
        self.others: dict[str, ExplainedLayer] = {}
        self.owners: dict[str, ExplainedLayer] = {}
        self.rows: dict[str, list[dict[str, Any]]] = {path: [] for path in self.layers}

    def _add(self, model: Any, path: str, depth: int) -> None:
        for layer in model.layers:
            own = f"{path}/{layer.name}"
            self.layers[own] = ExplainedLayer(layer.name, type(layer).__name__, own, depth)
            if hasattr(layer, "layers"):
                self._add(layer, own, depth + 1)
            elif type(layer).__name__ == "InputLayer":
                self.inputs.add(own)

    def tell(self) -> tuple[list[ExplainedLayer], list[ExplainedLayer]]:
        for row in self.data["rows"]:
            self.rows.setdefault(self._owner(row["origin"]).path, []).append(row)
        for layer in [*self.layers.values(), *self.others.values()]:
            self._explain(layer, self.rows[layer.path])
        return list(self.layers.values()), [other for other in self.others.values() if other.steps]

    def _owner(self, origin: str) -> ExplainedLayer:
        """The innermost layer that an origin names, or a row beside the layers."""
        if origin not in self.owners:
            path = origin
            while path and path not in self.layers:
                path = path.rpartition("/")[0]
            if path:
                self.owners[origin] = self.layers[path]
            else:
                other = ExplainedLayer(origin, "", origin)
                self.owners[origin] = self.others.setdefault(origin, other)
        return self.owners[origin]

    def _names(self, origins: list[str], without: ExplainedLayer) -> list[str]:
        owners = {id(owner): owner for owner in map(self._owner, origins) if owner is not without}
        return [owner.name for owner in owners.values()]

    # ---- one layer

    def _explain(self, layer: ExplainedLayer, rows: list[dict[str, Any]]) -> None:
        work = [part for row in rows for part in row["work"]]
        work.sort(key=lambda part: part["step"])
        layer.flops = sum(row["flops"] for row in rows)
        layer.is_view = bool(not work and any(row["views"] for row in rows))
        lines = _Lines()
        self._once(layer, rows, [part for part in work if self._when(part) == _ONCE], lines)
        in_run = [part for part in work if self._when(part) != _ONCE]
        for gradient in (False, True):
            for step in dict.fromkeys(part["step"] for part in in_run if part["gradient"] is gradient):
                parts = [p for p in in_run if p["step"] == step and p["gradient"] is gradient]
                self._step(layer, step, parts, gradient, lines)
        for row in rows:
            self._notes(layer, row, lines)
        for apart in self.data["apart"]:
            second = [self._owner(origin) for origin in apart["second"]]
            names = self._names(apart["first"], layer)
            if layer in second and names and not apart["gradient"]:
                lines.add("", f"apart from {_listed(names)}: {apart['why']}")
        if not lines.lines:
            lines.add("", self._nothing(layer, rows))
        layer.steps = sorted({self._number(part["step"]) for part in in_run})
        layer.lines = lines.joined()

    def _when(self, part: dict[str, Any]) -> str:
        return str(self.steps[part["step"]]["when"])

    def _number(self, step: int) -> int:
        return int(self.steps[step]["number"]) + 1

    def _once(
        self, layer: ExplainedLayer, rows: list[dict[str, Any]], work: list[dict[str, Any]], lines: _Lines
    ) -> None:
        """What is made once for many runs."""
        notes = [n for row in rows for n in row["notes"] if n["pass"] == "fold_bn" and n["own"] and n["done"]]
        layer.is_folded = bool(notes)
        for note in notes:
            lines.add(_ONCE, self._said(note, layer))
        for part in work:
            step = self.steps[part["step"]]
            if part["role"] == "packing":
                layer.packed_bytes += step["packed_bytes"]
            else:
                layer.packed_bytes += sum(s["bytes"] for s in part["stores"] if s["memory"] == "once")
            if part["role"] == "packing":
                lines.add(_ONCE, "weights packed")
            elif not notes:
                lines.add(_ONCE, "computed from weights alone")

    def _step(
        self, layer: ExplainedLayer, index: int, parts: list[dict[str, Any]], gradient: bool, lines: _Lines
    ) -> None:
        """What step `index` does for the layer or, if so, for its gradients."""
        step = self.steps[index]
        number = self._number(index)
        kernel = _kernel(step["kernel"])
        roles = {part["role"] for part in parts}
        stores = [stored for part in parts for stored in part["stores"]]
        others = self._names(step["origins"], layer)
        leads = self._owner(step["origins"][0]) is layer
        if not gradient:
            layer.stored_bytes += sum(s["bytes"] for s in stores if s["memory"] != "thread")
            layer.is_in_cache |= any(stored["memory"] == "thread" for stored in stores)
            layer.fused_with += [name for name in others if name not in layer.fused_with]
            if step["kernel"] not in layer.kernels:
                layer.kernels.append(step["kernel"])
        first = _listed(self._names(step["origins"][:1], layer) or [layer.name])
        measures = any(op == "channel_stats" for part in parts for op in part["ops"])
        if roles == {"copying"}:
            text = "copied to the output"
        elif "kernel" in roles and leads:
            text = self._company(layer, index, gradient)
            if not text:
                lines.add_kernel(str(number), kernel, gradient)
                return
            text = kernel + text
        elif "kernel" in roles:
            text = f"in the step of {first}"
        else:
            what = "statistics, " if measures else ""
            text = what + " and ".join(f"while {role}" for role in _BESIDE if role in roles)
        lines.add(str(number), f"gradient: {text}" if gradient else text)

    def _company(self, layer: ExplainedLayer, index: int, gradient: bool) -> str:
        """What runs in a step beside the kernel's own work, which is the layer's."""
        company: dict[str, list[str]] = {}
        own: dict[str, list[str]] = {}
        for path, rows in self.rows.items():
            owner = self.layers.get(path) or self.others.get(path)
            for part in (part for row in rows for part in row["work"] if part["step"] == index):
                if owner is layer:
                    own.setdefault(part["role"], []).extend(part["ops"])
                elif owner is not None and owner.name not in company.setdefault(part["role"], []):
                    company[part["role"]].append(owner.name)
        texts = []
        if company.get("kernel"):
            texts.append(f"together with {_listed(company['kernel'])}")
        for role in _BESIDE:
            words = _GRADIENT_OPS if gradient else _OPS
            names = [words.get(op, op) for op in dict.fromkeys(own.get(role, []))] + company.get(role, [])
            if names:
                texts.append(f"{_listed(names)} while {role}")
        return "".join(f"; {text}" for text in texts)

    def _notes(self, layer: ExplainedLayer, row: dict[str, Any], lines: _Lines) -> None:
        """What passes did besides folding, and why they left something alone."""
        for note in row["notes"]:
            told = note["pass"] in _TOLD and note["own"]
            if note["done"] and told and note["pass"] != "fold_bn":
                layer.is_recomputed |= note["pass"] == "recompute"
                lines.add("", self._said(note, layer))
            elif not note["done"] and ((told and note["pass"] != "sampling") or note["pass"] == "autodiff"):
                lines.add("", self._said(note, layer))

    def _said(self, note: dict[str, Any], layer: ExplainedLayer) -> str:
        """What a pass said, with names in place of what stands for them."""
        names = self._names(note["with"], layer)
        text: str = note["what"]
        return text.replace("{}", _listed(names) if names else "its own operations")

    def _nothing(self, layer: ExplainedLayer, rows: list[dict[str, Any]]) -> str:
        """Why no step computes the layer."""
        if layer.path in self.inputs:
            return "input"
        if layer.is_view:
            return "no work: same memory, other shape"
        recorded = [row for row in rows if row["recorded"]]
        if not recorded:
            inside = any(path.startswith(layer.path + "/") for path in self.layers)
            return "" if inside else "does nothing here"
        notes = [
            n
            for row in recorded
            for n in row["notes"]
            if n["done"] and n["pass"] not in ("inline", "autodiff")
        ]
        for note in [n for n in notes if not n["own"]] or notes:
            return f"no work: {self._said(note, layer)}"
        return "no work: nothing reads what it makes, or an equal operation makes it"


# What a kernel does with its operand and its result besides its own work.
_BESIDE = ("loading", "storing")

# What users call operations that stand beside a kernel's own.
_OPS = {"channel_stats": "statistics", "add": "bias", "sum": "sums"}
_GRADIENT_OPS = {"add": "sum of gradients", "sum": "sums"}


def _kernel(name: str) -> str:
    return "pointwise" if name == "region" else name


_KERNELS = {False: "kernels", True: "kernels of gradients"}


class _Lines:
    """Lines of a layer: texts that several steps have in common are told once."""

    def __init__(self) -> None:
        self.lines: dict[str, list[str]] = {}
        # Kernels that run beside nothing else, by whether they serve gradients.
        self.kernels: dict[bool, list[str]] = {False: [], True: []}

    def add_kernel(self, step: str, kernel: str, gradient: bool) -> None:
        if kernel not in self.kernels[gradient]:
            self.kernels[gradient].append(kernel)
        self.add(step, _KERNELS[gradient])

    def add(self, step: str, text: str) -> None:
        steps = self.lines.setdefault(text, [])
        if step and step not in steps:
            steps.append(step)

    def joined(self) -> list[tuple[str, str]]:
        lines = []
        for text, steps in self.lines.items():
            for gradient, place in _KERNELS.items():
                if text is place:
                    text = ("gradient: " if gradient else "") + ", ".join(self.kernels[gradient])
            lines.append((_ranges(steps), text))
        return lines


def _ranges(steps: list[str]) -> str:
    """Numbers of steps, those in a row as ranges; how many there are, if these are many."""
    if not all(step.isdigit() for step in steps):
        return ", ".join(steps)
    parts: list[list[int]] = []
    for step in map(int, steps):
        if parts and step == parts[-1][-1] + 1:
            parts[-1][1:] = [step]
        else:
            parts.append([step])
    text = ", ".join("-".join(map(str, part)) for part in parts)
    return text if len(text) <= 9 else f"{len(steps)} steps"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _size(size: float) -> str:
    for unit in ("B", "KB", "MB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.2f} GB"


def _millions(flops: int) -> str:
    return "–" if flops == 0 else f"{flops / 1e6:,.0f}" if flops >= 1e9 else f"{flops / 1e6:.3g}"


def _stored(layer: ExplainedLayer) -> str:
    if layer.stored_bytes:
        return _size(layer.stored_bytes)
    if layer.is_view:
        return "view"
    return "in cache" if layer.is_in_cache else "fused" if layer.steps else "–"


def _broken(name: str, width: int) -> list[str]:
    """Parts of at most `width` characters, broken behind underscores and slashes where there are any."""
    parts = []
    while len(name) > width:
        cut = max(name.rfind("_", 0, width), name.rfind("/", 0, width)) + 1 or width
        parts.append(name[:cut])
        name = name[cut:]
    return [*parts, name]


def _table(explanation: Explanation, width: int) -> str:
    rows = [*explanation.layers, *explanation.others]
    names = max([len("Layer"), *(len(row.name) + 2 * row.depth for row in rows)])
    steps = max([len("Step"), *(len(step) for row in rows for step, _ in row.lines)])
    first = min(names, max(16, int(0.3 * width)))
    what = width - first - steps - 6 - 8 - 4 * 2

    def line(name: str, step: str, text: str, flops: str, stored: str) -> str:
        return f"{name:<{first}}  {step:>{steps}}  {text:<{what}}  {flops:>6}  {stored:>8}".rstrip()

    def body(row: ExplainedLayer) -> list[str]:
        indent = "  " * row.depth
        left = _broken(row.name, first - len(indent))
        middle: list[tuple[str, str]] = []
        for step, text in row.lines:
            for k, part in enumerate(textwrap.wrap(text, what, subsequent_indent="  ") or [""]):
                middle.append((step if k == 0 else "", part))
        lines = []
        for k in range(max(len(left), len(middle))):
            name = indent + left[k] if k < len(left) else ""
            step, text = middle[k] if k < len(middle) else ("", "")
            lines.append(
                line(name, step, text, *((_millions(row.flops), _stored(row)) if k == 0 else ("", "")))
            )
        return lines

    rule = "─" * width
    text = [explanation.title, rule, line("Layer", "Step", "What became of it", "MFLOP", "Stored"), rule]
    for row in explanation.layers:
        text += body(row)
    if explanation.others:
        text.append(rule)
        for row in explanation.others:
            text += body(row)
    text.append(rule)
    sums = [
        f"A run: {_count(explanation.num_steps, 'step')}, {explanation.flops / 1e6:,.1f} MFLOP, "
        f"{_size(explanation.arena_bytes)} of intermediates (those not needed at the same time share memory)."
    ]
    if explanation.once_bytes:
        sums.append(
            f"Once, until weights change: {_size(explanation.once_bytes)} of folded and packed weights."
        )
    sums.append(
        '"while storing": on the results of the kernel of the step, before they go to memory; '
        '"while loading": on its operand. '
        '"fused": the result goes to the next layer without being written to memory.'
    )
    if any(row.is_in_cache for row in rows):
        sums.append('"in cache": each thread has the share of the samples that it works on, and no more.')
    for sentence in sums:
        text += textwrap.wrap(sentence, width)
    return "\n".join(text)
