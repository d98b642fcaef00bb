"""Where in a file of Keras the state of each layer and optimizer of a model lies.

A path names attributes, from the model down: `layers/dense_1/cell`. What a container holds is numbered by its
class, not by its name, for automatic names depend on what a process made before. Attributes come in the order
of their names, private ones last, and an object lies where it was met first. Two rules are Keras's own:
models of layers begin with `layers`, and what all layers have (`variables`, say) is not visited.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from cnnrs.base import naming
from cnnrs.layers import Layer

__all__ = ["Saved", "saved_objects"]


class Saved:
    """An object whose state a file holds.

    Attributes:
        value: The object.
        path: Where it lies.
        places: The attributes that lead to it: the object around, and the path from there. The first made
            `path`; a file of another version may have used another one.
    """

    def __init__(self, value: Any, path: str, place: tuple[Saved | None, str]):
        self.value = value
        self.path = path
        self.places = [place]

    def __repr__(self) -> str:
        return f"<Saved {self.path!r} {type(self.value).__name__}>"


def saved_objects(root: Any, skip: Any = None) -> list[Saved]:
    """A model, layer or optimizer and the objects inside, each once, in the order in which Keras visits them.

    Args:
        root: The object, whose path is "".
        skip: Objects that are left out, with what is inside of them alone.

    >>> import cnnrs
    >>> from cnnrs import layers
    >>> model = cnnrs.Sequential([cnnrs.Input((2, 3)), layers.Bidirectional(layers.GRU(2))])
    >>> [saved.path for saved in saved_objects(model)][2:4]
    ['layers/bidirectional/backward_layer', 'layers/bidirectional/backward_layer/cell']
    """
    found: dict[int, Saved] = {}
    left_out = {id(value) for value in skip or ()}

    def visit(value: Any, path: str, place: tuple[Saved | None, str]) -> None:
        if id(value) in left_out:
            return
        if id(value) in found:
            found[id(value)].places.append(place)
            return
        own = found[id(value)] = Saved(value, path, place)
        for name, child in _attributes(value):
            for inner, step in _inside(child, name, ()):
                visit(inner, f"{path}/{step}".lstrip("/"), (own, step))

    visit(root, "", (None, ""))
    return list(found.values())


def _inside(value: Any, path: str, around: tuple[int, ...]) -> Iterator[tuple[Any, str]]:
    """What an attribute holds, with paths: itself, or the objects of a container."""
    if _is_saved(value):
        yield value, path
        return
    if not isinstance(value, (list, dict, tuple)) or id(value) in around:
        return
    counts: dict[str, int] = {}
    for item in value.values() if isinstance(value, dict) else value:
        if _is_saved(item):
            name = naming.to_snake_case(getattr(item, "_name_in_files", type(item).__name__))
        elif isinstance(item, (list, dict, tuple)):
            name = "container"
        else:
            continue
        number = counts[name] = counts.get(name, -1) + 1
        step = f"{path}/{name}_{number}" if number else f"{path}/{name}"
        yield from _inside(item, step, (*around, id(value)))


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    common = _common(_kind(value)) | _of_models(type(value))  # type: ignore[arg-type]  # classes are hashable
    if getattr(value, "_graph", None) is not None or hasattr(value, "_chain"):
        yield "layers", value.layers
    for name in sorted(dir(value), key=lambda name: f"~{name}" if name.startswith("_") else name):
        if name.startswith("__") or name in common:
            continue
        try:
            child = getattr(value, name)
        except Exception:
            # A property that is not there yet, whatever it raises, holds no state.
            continue
        yield name, child


def _kinds() -> tuple[type, ...]:
    """The classes of objects that have state, or hold objects that have."""
    from cnnrs.losses import Loss
    from cnnrs.metrics import Metric
    from cnnrs.optimizers import Optimizer

    return (Layer, Metric, Loss, Optimizer)


def _is_saved(value: Any) -> bool:
    return isinstance(value, _kinds())


def _kind(value: Any) -> type:
    return next(kind for kind in _kinds() if isinstance(value, kind))


@functools.cache
def _of_models(cls: type) -> frozenset[str]:
    """The names of what all models have, and of what belongs to no layer.

    Among these the layers of a model and its optimizer have state.
    """
    inside = ("cnnrs.models.", "cnnrs.training.", "cnnrs.layers.former_names")
    names = {name for base in cls.__mro__ if base.__module__.startswith(inside) for name in vars(base)}
    return frozenset(names | getattr(cls, "_unowned", frozenset())) - {"layers", "optimizer"}


@functools.cache
def _common(kind: type) -> frozenset[str]:
    """The names of what all objects of a kind have."""
    plain = {"Layer": (), "Metric": (), "Loss": (), "Optimizer": (1.0,)}[kind.__name__]
    return frozenset(dir(kind(*plain)))
