"""What a program computes in float64, and its gradients."""

from __future__ import annotations

import warnings
from typing import Any

import autograd
import autograd.numpy as anp
import numpy as np

from fuzz.data import data
from fuzz.program import Program
from fuzz.rounding import STATE, UNIT, is_tame, mark, nudge, total, value, watch
from fuzz.table import ROWS, Ref

__all__ = ["NEAREST", "apply", "evaluate"]

# In place of a seed of noise: no noise, each result is rounded to the nearest float32.
NEAREST = -1


def _fill(structure: Any, values: dict[int, Any]) -> Any:
    if isinstance(structure, Ref):
        return values[structure.index]
    if isinstance(structure, dict):
        return {k: _fill(v, values) for k, v in structure.items()}
    if type(structure) in (list, tuple):
        return type(structure)(_fill(v, values) for v in structure)
    return structure


def apply(row: str, call: Any, values: dict[int, Any]) -> Any:
    """The result of a statement: an array, or a list of them."""
    r = ROWS[row]
    kwargs = {**_fill(call.kwargs, values), **call.calling}
    if r.is_layer:
        kwargs["weights"] = _fill(call.weights, values)
    return r.reference(*_fill(call.args, values), **kwargs)


def moved(values: dict[int, Any]) -> dict[int, Any]:
    """Numbers off the kinks on which they may lie."""
    return {i: nudge(x) if value(x).dtype == np.float64 else x for i, x in values.items()}


def leaf_value(leaf: Any, run: int, batch: int | None) -> Any:
    a = leaf.values(run, batch)
    return a.astype(np.float64) if a.dtype == np.float32 else a


def evaluate(
    program: Program,
    run: int,
    noise: int | None = None,
    amplitude: float = 4 * UNIT,
    tame: int | None = None,
    marking: bool = False,
) -> dict[str, Any]:
    """Values of the outputs ("v3") and gradients ("d0", "dd0") of one run.

    Args:
        tame: A seed of other numbers for those that are not tame where the program starts.
        marking: Whether gradients become NaN where they pass a number that is not tame.
    """
    batch = program.batches[run]
    STATE.nearest = noise == NEAREST
    STATE.rng = None if noise is None or STATE.nearest else np.random.default_rng(noise)
    STATE.amplitude = amplitude
    STATE.fast = program.precision == "fast"
    STATE.wild, STATE.marking = False, marking
    own = run if program.assigned else 0
    start = {
        i: leaf_value(leaf, run if leaf.is_argument else own, batch) for i, leaf in program.leaves.items()
    }
    if tame is not None:
        numbers = np.random.default_rng(tame)
        for i, a in start.items():
            if a.dtype == np.float64:
                start[i] = np.where(is_tame(a), a, 2 * numbers.standard_normal(a.shape))
    kinks = bool(program.gradient) and any(ROWS[s.row].kinks for s in program.statements)
    if kinks:
        start = {i: nudge(a) if a.dtype == np.float64 else a for i, a in start.items()}
    results: dict[str, Any] = {}

    def forward(sources: list[Any]) -> Any:
        values = {**start, **{i: mark(x) for i, x in zip(program.sources, sources, strict=True)}}
        for statement in program.statements:
            # Two functions with a kink in one place may go to different sides of it.
            own = moved(values) if kinks and ROWS[statement.row].kinks else values
            y = apply(statement.row, statement.call, own)
            outputs = y if isinstance(y, (list, tuple)) else [y]
            for i, x in zip(statement.outputs, outputs, strict=True):
                values[i] = mark(x) if marking else x
        for i in program.outputs:
            results[f"v{i}"] = np.asarray(value(values[i]))
        loss = 0.0
        for n, i in enumerate(program.targets):
            loss = loss + total(values[i] * data(program.seed + n, np.shape(value(values[i]))).astype(float))
        return loss

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # autograd's, where an output does not depend on a source
        sources = [start[i] for i in program.sources]
        if not program.gradient:
            forward(sources)
            return results
        gradient = autograd.grad(forward)

        def again(sources: list[Any]) -> Any:
            first = gradient(sources)
            for i, g in zip(program.sources, first, strict=True):
                results[f"d{i}"] = np.asarray(value(g))
            scalar = 0.0
            for n, g in enumerate(first):
                scalar = scalar + anp.sum(g * data(program.seed + 100 + n, np.shape(value(g))).astype(float))
            return scalar

        if program.gradient == 2:
            second = autograd.grad(again)(sources)
            results.update(
                {f"dd{i}": np.asarray(value(g)) for i, g in zip(program.sources, second, strict=True)}
            )
        else:
            again(sources)
        for name, g in results.items():
            if name.startswith("d"):
                watch(g)
    return results
