"""A program: leaves, statements, and how it is run; and its text, which is what runs."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any

from fuzz.data import data
from fuzz.table import ROWS, Call, Ref

__all__ = ["Code", "Leaf", "Program", "Statement", "refs"]


class Code(str):
    """An argument that is an expression."""

    def __repr__(self) -> str:
        return str(self)


@dataclass
class Leaf:
    """A value that a program starts from.

    Attributes:
        role: "array" or "tensor" for an argument, "variable", or "weight" of a layer.
        batch: Whether axis 0 is the batch.
        trained: Whether gradients may be asked for.
    """

    seed: int
    shape: tuple[int, ...]
    kind: Any = "normal"
    dtype: str = "float32"
    role: str = "tensor"
    batch: bool = False
    trained: bool = True

    @property
    def is_argument(self) -> bool:
        return self.role in ("array", "tensor")

    def expression(self, run: int = 0, batch: int | None = None) -> str:
        arguments: list[Any] = [self.seed + 7919 * run, self.at(batch)]
        if self.kind != "normal" or self.dtype != "float32":
            arguments.append(self.kind)
        if self.dtype != "float32":
            arguments.append(self.dtype)
        return f"data({', '.join(map(repr, arguments))})"

    def at(self, batch: int | None) -> tuple[int, ...]:
        return (batch, *self.shape[1:]) if self.batch and batch is not None else tuple(self.shape)

    def values(self, run: int = 0, batch: int | None = None) -> Any:
        return data(self.seed + 7919 * run, self.at(batch), self.kind, self.dtype)


@dataclass
class Statement:
    row: str
    call: Call
    outputs: list[int]


@dataclass
class Program:
    """See the attributes.

    Attributes:
        leaves: By index of the value.
        statements: In order.
        outputs: Indices of the values that are returned.
        mode: "direct", "traced" or "model".
        gradient: 0 for none, 1 for a tape, 2 for a tape within a tape, -1 for `value_and_grad`.
        sources: Leaves whose gradient is asked for.
        targets: Values whose weighted sum is differentiated.
        early: Values that are read as soon as they exist.
        batches: The batch of each run, None for the one that was drawn.
        assigned: Whether variables get other values before each run.
        precision: "fast" or "strict".
        special: Whether data hold infinities, NaN and extremes.
        hostile: Whether an argument is absurd, so that any error will do, but no panic, abort or hang.
        seed: Of the factors of the targets.
    """

    leaves: dict[int, Leaf] = field(default_factory=dict)
    statements: list[Statement] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    mode: str = "direct"
    gradient: int = 0
    sources: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    early: list[int] = field(default_factory=list)
    batches: list[int | None] = field(default_factory=lambda: [None])
    assigned: bool = False
    precision: str = "strict"
    special: bool = False
    hostile: bool = False
    seed: int = 0

    @property
    def arguments(self) -> list[int]:
        return [i for i, leaf in self.leaves.items() if leaf.is_argument]

    def owner(self, index: int) -> tuple[int, int]:
        """The statement whose layer has the weight, and its place there."""
        for s, statement in enumerate(self.statements):
            for place, ref in enumerate(statement.call.weights):
                if ref.index == index:
                    return s, place
        raise KeyError(index)

    def source(self, index: int) -> str:
        if self.leaves[index].role != "weight":
            return f"v{index}"
        s, place = self.owner(index)
        return f"layer{s}.weights[{place}]"

    def text(self, run: bool = True) -> str:
        """A Python script that leaves a list of dicts in `results`."""
        lines = [
            "from math import inf, nan",
            "",
            "import numpy as np",
            "",
            "import cnnrs",
            "from cnnrs import layers, ops",
            "",
        ]
        lines += ["", inspect.getsource(data).rstrip(), "", ""]
        lines.append(f"cnnrs.config.set_precision({self.precision!r})")
        for i, leaf in self.leaves.items():
            if leaf.role == "variable":
                lines.append(f"v{i} = cnnrs.Variable({leaf.expression()})")
        lines += self._layers()
        lines += self._model() if self.mode == "model" else self._function()
        lines.append("results = []")
        for run_index, batch in enumerate(self.batches):
            lines += self._run(run_index, batch)
        if run:
            lines += [
                "for result in results:",
                "    for name, value in result.items():",
                "        print(name, np.asarray(value))",
            ]
        return "\n".join(lines) + "\n"

    def _layers(self) -> list[str]:
        lines = []
        for s, statement in enumerate(self.statements):
            if not ROWS[statement.row].is_layer:
                continue
            call = statement.call
            name = ROWS[statement.row].public
            arguments = ", ".join(f"{k}={v!r}" for k, v in call.kwargs.items())
            lines.append(f"layer{s} = {name}({arguments})")
            if call.weights:
                shape = (None, *self.shapes[call.args[0].index][1:])
                lines.append(f"layer{s}.build({shape!r})")
                lines += self._weights(s, 0)
        return lines

    def _weights(self, s: int, run: int) -> list[str]:
        weights = [self.leaves[r.index].expression(run) for r in self.statements[s].call.weights]
        return [f"layer{s}.set_weights([{', '.join(weights)}])"] if weights else []

    shapes: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def expression(self, s: int) -> str:
        statement = self.statements[s]
        row, call = ROWS[statement.row], statement.call
        if row.is_layer:
            parts = [*map(repr, call.args), *(f"{k}={v!r}" for k, v in call.calling.items())]
            return f"layer{s}({', '.join(parts)})"
        if "{0}" in row.public:
            return row.public.format(*(_key(a) for a in call.args))
        parts = [*map(repr, call.args), *(f"{k}={v!r}" for k, v in call.kwargs.items())]
        return f"{row.public}({', '.join(parts)})"

    def _assignments(self, indent: str) -> list[str]:
        lines = []
        for s, statement in enumerate(self.statements):
            names = ", ".join(f"v{i}" for i in statement.outputs)
            target = names if len(statement.outputs) == 1 and not self.is_list(s) else f"[{names}]"
            lines.append(f"{indent}{target} = {self.expression(s)}")
            if self.mode == "direct":
                lines += [f"{indent}v{i}.numpy()" for i in statement.outputs if i in self.early]
        return lines

    lists: set[int] = field(default_factory=set)

    def is_list(self, s: int) -> bool:
        return self.statements[s].outputs[0] in self.lists

    def _loss(self) -> str:
        terms = [f"ops.sum(v{i} * {self.factor(n, i)})" for n, i in enumerate(self.targets)]
        return " + ".join(terms)

    def factor(self, n: int, index: int) -> str:
        return f"data({self.seed + n}, np.shape(v{index}))"

    def _returned(self) -> str:
        pairs = [f'"v{i}": v{i}' for i in self.outputs]
        pairs += [f'"d{i}": first[{n}]' for n, i in enumerate(self.sources) if self.gradient]
        pairs += [f'"dd{i}": second[{n}]' for n, i in enumerate(self.sources) if self.gradient == 2]
        return "{" + ", ".join(pairs) + "}"

    def _function(self) -> list[str]:
        names = [f"v{i}" for i in self.arguments]
        lines = ["", ""]
        if self.mode == "traced":
            lines.append("@cnnrs.function")
        lines.append(f"def program({', '.join(names)}):")
        sources = "[" + ", ".join(self.source(i) for i in self.sources) + "]"
        watched = [f"v{i}" for i in self.sources if self.leaves[i].is_argument]
        for name in watched:
            lines.append(f"    {name} = ops.convert_to_tensor({name})")
        if self.gradient == 0:
            lines += self._assignments("    ")
        elif self.gradient == -1:
            for name in watched:
                lines.append(f"    {name}.requires_grad = True")
            values = "{" + ", ".join(f'"v{i}": v{i}' for i in self.outputs) + "}"
            lines += ["    def inner():", *self._assignments("        ")]
            lines += [f"        return {self._loss()}, {values}"]
            lines += [f"    (_, values), first = cnnrs.value_and_grad(inner, wrt={sources}, has_aux=True)()"]
            grads = ", ".join(f'"d{i}": first[{n}]' for n, i in enumerate(self.sources))
            lines += [f"    return {{**values, {grads}}}"]
        else:
            indent = "    "
            tapes = ["outer", "tape"] if self.gradient == 2 else ["tape"]
            for tape in tapes:
                lines.append(f"{indent}with cnnrs.GradientTape() as {tape}:")
                indent += "    "
                if watched:
                    lines.append(f"{indent}{tape}.watch([{', '.join(watched)}])")
            lines += self._assignments(indent)
            lines.append(f"{indent}loss = {self._loss()}")
            indent = indent[:-4]
            lines.append(f'{indent}first = tape.gradient(loss, {sources}, unconnected_gradients="zero")')
            if self.gradient == 2:
                again = [
                    f"ops.sum(first[{n}] * data({self.seed + 100 + n}, np.shape(first[{n}])))"
                    for n in range(len(self.sources))
                ]
                lines.append(f"{indent}again = {' + '.join(again)}")
                lines.append(f'    second = outer.gradient(again, {sources}, unconnected_gradients="zero")')
        if self.gradient != -1:
            lines.append(f"    return {self._returned()}")
        return [*lines, "", ""]

    def _model(self) -> list[str]:
        lines = [f"v{i} = cnnrs.Input({tuple(self.leaves[i].shape[1:])!r})" for i in self.arguments]
        lines += self._assignments("")
        inputs = ", ".join(f"v{i}" for i in self.arguments)
        outputs = ", ".join(f"v{i}" for i in self.outputs)
        return [*lines, f"model = cnnrs.Model([{inputs}], [{outputs}])"]

    def _run(self, run: int, batch: int | None) -> list[str]:
        lines = []
        if self.assigned and run:
            for i, leaf in self.leaves.items():
                if leaf.role == "variable":
                    lines.append(f"v{i}.assign({leaf.expression(run)})")
        for s, statement in enumerate(self.statements):
            if (
                run
                and ROWS[statement.row].is_layer
                and (self.assigned or statement.call.calling.get("training"))
            ):
                lines += self._weights(s, run if self.assigned else 0)
        feed = []
        for i in self.arguments:
            expression = self.leaves[i].expression(run, batch)
            wrap = self.leaves[i].role == "tensor" and self.mode != "model"
            feed.append(f"ops.convert_to_tensor({expression})" if wrap else expression)
        if self.mode == "model":
            names = ", ".join(f'"v{i}"' for i in self.outputs)
            call = (
                f"model.predict([{', '.join(feed)}], verbose=0)"
                if run % 2 == 0
                else f"model([{', '.join(feed)}])"
            )
            # A model with one output gives it, and no list.
            values = "values" if len(self.outputs) > 1 else "[values]"
            return [*lines, f"values = {call}", f"results.append(dict(zip([{names}], {values})))"]
        return [*lines, f"results.append(program({', '.join(feed)}))"]


def _key(argument: Any) -> str:
    if isinstance(argument, tuple):
        return ", ".join(_key(a) for a in argument) + ("," if len(argument) == 1 else "")
    if isinstance(argument, slice):
        ends = [argument.start, argument.stop, argument.step]
        return ":".join("" if e is None else str(e) for e in ends)
    return "..." if argument is Ellipsis else repr(argument)


def refs(structure: Any) -> list[Ref]:
    """All values among arguments."""
    if isinstance(structure, Ref):
        return [structure]
    if isinstance(structure, Call):
        return refs([structure.args, structure.kwargs, structure.calling, structure.weights])
    if isinstance(structure, dict):
        structure = list(structure.values())
    return [ref for part in structure for ref in refs(part)] if isinstance(structure, (list, tuple)) else []
