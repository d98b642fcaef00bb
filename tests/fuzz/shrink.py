"""Makes a failing program small: every change that still fails the same way is kept."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fuzz import reference
from fuzz.program import Leaf, Program, Statement, refs
from fuzz.table import Ref

__all__ = ["shrink", "tidy"]


def shrink(program: Program, fails: Callable[[Program], bool], seconds: float = 90.0) -> Program:
    """A smaller program for which `fails` holds."""
    end = time.monotonic() + seconds
    progress = True
    while progress and time.monotonic() < end:
        progress = False
        for change in _changes(program):
            if time.monotonic() > end:
                break
            candidate = copy.deepcopy(program)
            try:
                change(candidate)
                tidy(candidate)
            except Exception:  # the change does not fit the program
                continue
            if candidate.text() != program.text() and fails(candidate):
                program, progress = candidate, True
                break
    return program


def tidy(p: Program) -> None:
    """Drops what nothing needs, and finds the shapes anew.

    Raises:
        Exception: The reference refuses the program.
    """
    needed = {*p.outputs, *p.targets}
    kept = []
    for statement in reversed(p.statements):
        if needed & set(statement.outputs):
            needed |= {ref.index for ref in refs(statement.call)}
            kept.append(statement)
    p.statements = kept[::-1]
    p.leaves = {i: leaf for i, leaf in p.leaves.items() if i in needed}
    p.sources = [i for i in p.sources if i in p.leaves]
    made = {i for s in p.statements for i in s.outputs}
    p.outputs = [i for i in p.outputs if i in made]
    p.targets = [i for i in p.targets if i in made]
    p.early = [i for i in p.early if i in made]
    if not p.outputs:
        raise ValueError("nothing is left")
    if not (p.targets and p.sources):
        p.gradient, p.sources, p.targets = 0, [], []
    if p.hostile:  # who knows what the reference makes of it
        return
    values: dict[int, Any] = {i: reference.leaf_value(leaf, 0, None) for i, leaf in p.leaves.items()}
    _evaluate(p.statements, values)
    p.shapes = {i: tuple(int(n) for n in np.shape(v)) for i, v in values.items()}


def _evaluate(statements: list[Statement], values: dict[int, Any]) -> None:
    with np.errstate(all="ignore"):
        for statement in statements:
            y = reference.apply(statement.row, statement.call, values)
            values.update(zip(statement.outputs, y if isinstance(y, (list, tuple)) else [y], strict=True))


def _set(**attributes: Any) -> Callable[[Program], None]:
    def change(p: Program) -> None:
        for name, value in attributes.items():
            setattr(p, name, value)

    return change


def _changes(p: Program) -> Iterator[Callable[[Program], None]]:
    """The large changes first."""
    if p.gradient:
        yield _set(gradient=0, sources=[], targets=[])
    if len(p.batches) > 1:
        yield _set(batches=[None], assigned=False)
        yield _set(batches=p.batches[:2])
        yield _set(batches=p.batches[-1:])
    for i in p.outputs:
        if len(p.outputs) > 1:
            yield _set(outputs=[i])
    for index in reversed(range(len(p.statements))):
        yield lambda q, k=index: _end_at(q, k)
    for index in range(len(p.statements)):
        yield lambda q, k=index: _replace_by_leaf(q, k)
        yield lambda q, k=index: _bypass(q, k)
    for i in p.outputs:
        if len(p.outputs) > 1:
            yield _set(outputs=[k for k in p.outputs if k != i])
    for name in ("sources", "targets"):
        for i in getattr(p, name):
            if len(getattr(p, name)) > 1:
                yield _set(**{name: [i]})
    if p.gradient in (2, -1):
        yield _set(gradient=1)
    if p.mode != "direct":
        yield _set(mode="direct")
    if p.early:
        yield _set(early=[])
    if p.assigned:
        yield _set(assigned=False)
    if p.precision == "fast":
        yield _set(precision="strict")
    yield from _smaller(p)
    for index, statement in enumerate(p.statements):
        for key in statement.call.kwargs:
            yield lambda q, k=index, key=key: q.statements[k].call.kwargs.pop(key)
        for key in statement.call.calling:
            yield lambda q, k=index, key=key: q.statements[k].call.calling.pop(key)
        if statement.call.args and isinstance(statement.call.args[0], list):
            for place in range(len(statement.call.args[0])):
                yield lambda q, k=index, place=place: q.statements[k].call.args[0].pop(place)
    for i, leaf in p.leaves.items():
        if leaf.role in ("array", "variable") and p.mode != "model":
            yield lambda q, i=i: setattr(q.leaves[i], "role", "tensor")
        for kind in ("ones", "normal"):
            if leaf.dtype == "float32" and leaf.kind not in ("ones", kind):
                yield lambda q, i=i, kind=kind: setattr(q.leaves[i], "kind", kind)
                break


def _end_at(p: Program, index: int) -> None:
    """Only what a statement gives is returned, and differentiated."""
    outputs = p.statements[index].outputs
    if p.outputs == outputs[:1] and (not p.targets or p.targets == outputs[:1]):
        raise ValueError("so already")
    p.outputs = outputs[:1]
    p.targets = outputs[:1] if p.targets else []


def _replace_by_leaf(p: Program, index: int) -> None:
    """A statement's values become values that the program starts from."""
    if p.hostile:
        raise ValueError("its values are unknown")
    statement = p.statements.pop(index)
    for i in statement.outputs:
        v = np.zeros(0)
        values = {k: reference.leaf_value(leaf, 0, None) for k, leaf in p.leaves.items()}
        _evaluate([*p.statements[:index], statement], values)
        v = np.asarray(values[i])
        if v.dtype == np.float64:
            kind: Any = "normal" if v.size == 0 or v.min() <= 0 else "positive"
            p.leaves[i] = Leaf(i, v.shape, kind)
        else:
            largest = int(np.max(np.abs(v.astype(np.int64)), initial=0))
            kind = 2 if v.dtype == bool else "large" if largest > 2**24 else largest + 1
            p.leaves[i] = Leaf(i, v.shape, kind, str(v.dtype))
        if p.mode == "model":
            p.leaves[i].role, p.leaves[i].batch = "array", True
    if p.gradient and not p.sources:
        p.sources = statement.outputs[:1]
    p.outputs = [i for i in p.outputs if i not in statement.outputs]
    p.targets = [i for i in p.targets if i not in statement.outputs]
    p.early = [i for i in p.early if i not in statement.outputs]


def _bypass(p: Program, index: int) -> None:
    """Readers of a statement read one of its arguments of the same shape instead."""
    statement = p.statements[index]
    output = statement.outputs[0]
    other = next(r for r in refs(statement.call) if p.shapes.get(r.index) == p.shapes[output])
    del p.statements[index]
    for s in p.statements:
        for part in ("args", "kwargs", "calling"):
            setattr(s.call, part, _renamed(getattr(s.call, part), output, other.index))


def _renamed(structure: Any, old: int, new: int) -> Any:
    if isinstance(structure, Ref):
        return Ref(new) if structure.index == old else structure
    if isinstance(structure, dict):
        return {k: _renamed(v, old, new) for k, v in structure.items()}
    if type(structure) in (list, tuple):
        return type(structure)(_renamed(v, old, new) for v in structure)
    return structure


def _smaller(p: Program) -> Iterator[Callable[[Program], None]]:
    """One extent is made smaller wherever it occurs, in leaves and arguments."""
    extents = sorted({n for leaf in p.leaves.values() for n in leaf.shape if n > 1}, reverse=True)
    for n in extents:
        for m in sorted({1, 2, n // 2, n - 1} - {n}):
            if m:
                yield lambda q, n=n, m=m: _resize(q, n, m)
    for i, leaf in p.leaves.items():
        for axis, n in enumerate(leaf.shape):
            for m in sorted({1, n // 2, n - 1}):
                if 0 < m < n:
                    yield lambda q, i=i, axis=axis, m=m: _resize_one(q, i, axis, m)


def _resize(p: Program, n: int, m: int) -> None:
    for leaf in p.leaves.values():
        leaf.shape = tuple(m if k == n else k for k in leaf.shape)
    for s in p.statements:
        for key in ("units", "filters"):
            if s.call.kwargs.get(key) == n:
                s.call.kwargs[key] = m


def _resize_one(p: Program, index: int, axis: int, m: int) -> None:
    shape = list(p.leaves[index].shape)
    shape[axis] = m
    p.leaves[index].shape = tuple(shape)
