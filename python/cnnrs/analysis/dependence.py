"""From which elements of the inputs each recorded operation's result is made.

Layers of any kind, also a user's own, are operations in the end, and each operation tells how it reads its
inputs. So there are rules for ways of reading here, and none for layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnrs.analysis.fields import Field

__all__ = ["Dependence", "dependences"]

# The number of an argument, and an axis of it.
Key = tuple[int, int]
# Operations that change elements one by one, behind which a captured array has its zeros where it had them.
_SAME_ZEROS = ("cast", "stop_gradient", "reshape")
# Operations behind which there is a part of a result.
_CUTS = ("slice", "cast", "reshape")


@dataclass(frozen=True)
class Dependence:
    """How a result depends on one axis of an input.

    Attributes:
        axis: The axis of the result along which the field moves; None where none does.
        inner: How many elements of that axis in a row have the same field.
        extent: How many fields there are.
        field: What is read on all ways together.
        least: What is read on the way that reads least.
        whole: Whether some way reads the whole axis, or no window of it.
        aligned: Whether the fields of all ways that met so far have the same centres.
        paths: How many ways have which field; None where they are not counted.
        stopped: Whether `stop_gradient` lies on all ways.
        cut_from: The number of the operation of whose result this is a part that was cut out.
    """

    axis: int | None
    inner: int = 1
    extent: int = 1
    field: Field | None = None
    least: Field | None = None
    whole: bool = False
    aligned: bool = True
    paths: dict[Field, int] | None = None
    stopped: bool = False
    cut_from: int | None = None

    def mapped(self, change: Callable[[Field], Field | None], **place: Any) -> Dependence:
        """With other fields, at another place; whole where `change` finds none."""
        assert self.field is not None and self.least is not None
        field, least = change(self.field), change(self.least)
        if field is None or least is None:
            return self.lost()
        paths: dict[Field, int] | None = None if self.paths is None else {}
        for path, count in (self.paths or {}).items():
            changed = change(path)
            if changed is not None and paths is not None:
                paths[changed] = paths.get(changed, 0) + count
        return replace(self, field=field, least=least, paths=paths, **place)

    def lost(self) -> Dependence:
        """Where all of the axis may be read."""
        return Dependence(None, whole=True, aligned=self.aligned, stopped=self.stopped)

    def joined(self, other: Dependence) -> Dependence:
        """Of what reads both.

        A number that only keeps others in range, such as the largest score of a softmax, goes through
        `stop_gradient` and changes no result: it counts where there is no other way. Parts of one result, as
        a convolution over volumes cuts them out, are one window and not several ways.
        """
        if self.stopped != other.stopped:
            return other if self.stopped else self
        whole, aligned = self.whole or other.whole, self.aligned and other.aligned
        if self.axis is None or other.axis is None:
            local = other if self.axis is None else self
            return replace(local, whole=whole, aligned=aligned)
        assert self.field and self.least and other.field and other.least
        place = (self.axis, self.inner, self.extent)
        field = self.field.joined(other.field)
        if place != (other.axis, other.inner, other.extent) or field is None:
            return replace(self, whole=True, aligned=False)
        parts = self.cut_from is not None and self.cut_from == other.cut_from
        if parts and len(self.paths or ()) == len(other.paths or ()):
            return self._as_window(other, field)
        aligned &= abs(self.field.centre - other.field.centre) < 1e-9
        least = min(self.least, other.least, key=lambda f: f.size)
        paths = None if self.paths is None else dict(self.paths)
        for path, count in (other.paths or {}).items():
            if paths is not None:
                paths[path] = paths.get(path, 0) + count
        return replace(self, field=field, least=least, whole=whole, aligned=aligned, paths=paths)

    def _as_window(self, other: Dependence, field: Field) -> Dependence:
        """Of what reads both parts of one result: each way to that result goes to all of its parts."""
        assert self.least is not None and other.least is not None
        paths: dict[Field, int] | None = None if self.paths is None else {}
        for (path, count), moved in zip((self.paths or {}).items(), other.paths or {}, strict=True):
            both = path.joined(moved)
            if both is not None and paths is not None:
                paths[both] = paths.get(both, 0) + count
        least = self.least.joined(other.least) or field
        return replace(self, field=field, least=least, whole=self.whole or other.whole, paths=paths)


def dependences(nodes: list[dict[str, Any]], paths: bool = False) -> list[dict[Key, Dependence]]:
    """For each operation, how its result depends on the axes of the arguments.

    Args:
        nodes: What `_core.CompiledFunction.recorded` tells.
        paths: Whether the ways to each result are counted by their fields.
    """
    known: list[dict[Key, Dependence]] = []
    for node in nodes:
        source = node.get("source")
        state: dict[Key, Dependence] = {}
        if isinstance(source, int):
            start = Field.identity()
            for axis, extent in enumerate(node["shape"]):
                counted = {start: 1} if paths else None
                state[source, axis] = Dependence(axis, 1, extent, start, start, paths=counted)
        for number, (i, reads) in enumerate(zip(node["inputs"], node["reads"], strict=True)):
            for key, dependence in known[i].items():
                read = _Reader(nodes, node, number, reads).read(dependence)
                if read is not None:
                    # While the parts of one result meet, it is known that they are.
                    cut = i if node["op"] == "slice" and dependence.cut_from is None else dependence.cut_from
                    stopped = dependence.stopped or node["op"] == "stop_gradient"
                    read = replace(read, stopped=stopped, cut_from=cut)
                    state[key] = state[key].joined(read) if key in state else read
        if node["op"] not in _CUTS:
            state = {key: replace(found, cut_from=None) for key, found in state.items()}
        known.append(state)
    return known


class _Reader:
    """How one operation reads one of its inputs."""

    def __init__(self, nodes: list[dict[str, Any]], node: dict[str, Any], number: int, reads: Any):
        self.nodes = nodes
        self.node = node
        self.shape: tuple[int, ...] = nodes[node["inputs"][number]]["shape"]
        self.number = number
        self.reads = reads

    def read(self, dependence: Dependence) -> Dependence | None:
        if dependence.axis is None or self.reads is None:
            return dependence.lost()
        if self.reads == "same":
            axis = dependence.axis + len(self.node["shape"]) - len(self.shape)
            if self.node["shape"][axis] != self.shape[dependence.axis]:
                return dependence.lost()
            return replace(dependence, axis=axis)
        if self.reads == "order":
            return self._reshaped(dependence)
        return self._along(dependence, self.reads[dependence.axis])

    def _reshaped(self, dependence: Dependence) -> Dependence:
        """The place of the fields in another shape: axes are joined and split, elements keep their order."""
        assert dependence.axis is not None
        step = dependence.inner * math.prod(self.shape[dependence.axis + 1 :])
        extent = dependence.extent
        below = math.prod(self.node["shape"])
        for axis, count in enumerate(self.node["shape"]):
            below = below // count if count else 0
            if count == 0 or below == 0:
                break
            reach = step * extent
            if below <= step and reach <= below * count and step % below == 0:
                return replace(dependence, axis=axis, inner=step // below)
            if step < below < reach and below % step == 0 and reach % below == 0:
                # An axis is split: the outer part keeps windows of the inner one's extent.
                size = below // step
                outer = extent // size
                return dependence.mapped(
                    lambda f, size=size: f.windows(size, size, 1, 0),  # type: ignore[misc]  # a default has no type here
                    axis=axis,
                    inner=1,
                    extent=outer,
                )
        return dependence.lost()

    def _along(self, dependence: Dependence, how: Any) -> Dependence | None:
        assert dependence.axis is not None
        if how is None:
            return dependence.lost()
        kind, of, *rest = how
        extent = self.shape[dependence.axis]
        if kind in ("window", "spread") and rest == [1, 1, 1, 0] and self.node["shape"][of] == extent:
            return replace(dependence, axis=of)
        if dependence.inner * dependence.extent != extent:
            return dependence.lost()
        if dependence.inner > 1:
            dependence = dependence.mapped(lambda f: f.repeated(dependence.inner), inner=1, extent=extent)
        place = {"axis": of, "inner": 1, "extent": self.node["shape"][of]}
        if self.node["op"] == "concat" and 2 * extent <= self.node["shape"][of]:
            # Borders that repeat or mirror the image are padding; halves that change places are not.
            others = (self.nodes[i]["shape"][of] for i in self.node["inputs"])
            return None if any(2 * n > self.node["shape"][of] for n in others) else dependence.lost()
        if kind == "window":
            return dependence.mapped(lambda f: f.windows(*rest), **place)
        if kind == "spread":
            return dependence.mapped(lambda f: f.spread(*rest), **place)
        array = self._captured(self.node["inputs"][rest[0]])
        if array is None or array.size == 0:
            return dependence.lost()
        if kind == "looked":
            rows = array.reshape(len(array), -1)
            low, high = rows.min(axis=1), rows.max(axis=1)
        elif array.ndim == 2:
            weights = (array.T if rest[1] else array) != 0
            low = weights.argmax(axis=1)
            high = weights.shape[1] - 1 - weights[:, ::-1].argmax(axis=1)
        else:
            return dependence.lost()
        return dependence.mapped(lambda f: f.looked_up(low, high, extent), **place)

    def _captured(self, i: int) -> np.ndarray | None:
        while self.nodes[i]["op"] in _SAME_ZEROS and self.nodes[i]["shape"] == self._shape_below(i):
            i = self.nodes[i]["inputs"][0]
        source = self.nodes[i].get("source")
        return source if isinstance(source, np.ndarray) else None

    def _shape_below(self, i: int) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.nodes[self.nodes[i]["inputs"][0]]["shape"]
        return shape
