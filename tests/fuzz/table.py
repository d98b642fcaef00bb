"""The table of what programs are made of: a row says how a call is drawn and what it means in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["ROWS", "Call", "Ref", "Row", "row", "rows"]


class Ref:
    """A value of the program, as an argument."""

    def __init__(self, index: int):
        self.index = index

    def __repr__(self) -> str:
        return f"v{self.index}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and other.index == self.index

    def __hash__(self) -> int:
        return hash(self.index)


@dataclass
class Call:
    """Arguments of one statement; values are `Ref`s anywhere inside of them.

    Attributes:
        args: Positional arguments.
        kwargs: Keyword arguments, of the layer's constructor for layers.
        calling: Keyword arguments of the call of a layer.
        weights: Leaves that are the layer's weights.
    """

    args: list[Any]
    kwargs: dict[str, Any] = field(default_factory=dict)
    calling: dict[str, Any] = field(default_factory=dict)
    weights: list[Ref] = field(default_factory=list)


@dataclass
class Row:
    """One function or layer.

    Attributes:
        name: As programs call it: "ops.relu", "layers.Dense", or a template with {0}, {1} for operators.
        draw: Gives a `Call` for a `Draw`, or None where nothing fits.
        reference: The same in float64, of arrays (or autograd's boxes of them) and the call's arguments.
        model: Whether it may stand in a model whose batch is unknown.
        kinks: Whether derivatives jump where integers are likely to lie.
        exact: Whether the result is one rounding (or none) of the arguments, so that the sign of zero counts.
        often: Weight in the draw.
        grad: Whether gradients are compared through it.
    """

    name: str
    draw: Callable[[Any], Call | None]
    reference: Callable[..., Any]
    model: bool = False
    kinks: bool = False
    exact: bool = False
    often: float = 1.0
    grad: bool = True

    @property
    def is_layer(self) -> bool:
        return self.name.startswith("layers.")

    @property
    def public(self) -> str:
        return self.name.partition("|")[0]


ROWS: dict[str, Row] = {}


def row(name: str, draw: Any, reference: Any, **flags: Any) -> None:
    """Adds a row. Several rows of one function differ in what follows a "|"."""
    assert name not in ROWS, name
    ROWS[name] = Row(name, draw, reference, **flags)


def rows() -> dict[str, Row]:
    """The whole table."""
    from fuzz import (  # noqa: F401 -- each adds its rows
        arrays,
        boxes,
        creation,
        filter_rows,
        image_rows,
        images,
        integers,
        layer_rows,
        linalg,
        movement,
        networks,
        pointwise,
        reductions,
        sequence_rows,
    )

    return ROWS
