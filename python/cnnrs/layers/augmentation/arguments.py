"""Arguments that layers of augmentation share, and their checks."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = [
    "FILL_MODES",
    "INTERPOLATIONS",
    "MOST_LAYERS",
    "choice",
    "interval",
    "ordered",
    "positive_range",
    "range_of_values",
    "within",
]

# How many layers one of them chains: each is a part of the plan of a batch.
MOST_LAYERS = 100
FILL_MODES = ("reflect", "wrap", "constant", "nearest")
INTERPOLATIONS = ("nearest", "bilinear")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def interval(
    layer: str, argument: str, value: Any, bounds: tuple[float, float], *, floor: float | None = None
) -> tuple[float, float]:
    """The range from which a factor is drawn: of a pair, or from -value to value.

    Args:
        layer: The layer's name.
        argument: The argument's.
        value: A number within the bounds, or a pair of numbers that meets them.
        bounds: The bounds.
        floor: The least end of the range of a single number; None for the lower bound.

    Raises:
        ValueError: It is neither.
    """
    low, high = bounds
    if isinstance(value, (tuple, list)) and len(value) == 2 and all(map(_is_number, value)):
        lower, upper = sorted(value)
        if lower <= high and upper >= low:
            return lower, upper
    elif _is_number(value) and low <= value <= high:
        return max(-abs(value), low if floor is None else floor), abs(value)
    raise ValueError(
        f"{layer}: {argument}: expected a number or a pair of numbers from {low} to {high}, "
        f"received {value!r}"
    )


def within(
    layer: str,
    argument: str,
    value: Any,
    bounds: tuple[float, float],
    *,
    open_below: bool = False,
    from_zero: bool = False,
) -> tuple[float, float]:
    """The range from which a factor is drawn, of which each end lies within the bounds.

    Args:
        layer: The layer's name.
        argument: The argument's.
        value: A number, or a pair of them.
        bounds: The bounds.
        open_below: Whether the lower bound is excluded.
        from_zero: Whether a single number means the range from 0 to it, instead of -value to value.

    Raises:
        ValueError: It is neither, or outside.
    """
    low, high = bounds
    single = _is_number(value)
    ends = [value] if single else list(value) if isinstance(value, (tuple, list)) else []
    fits = all(
        _is_number(end) and (low < end or (low == end and not open_below)) and end <= high for end in ends
    )
    if len(ends) != (1 if single else 2) or not fits:
        bracket = "(" if open_below else "["
        raise ValueError(
            f"{layer}: {argument}: expected a number or a pair of numbers in {bracket}{low}, {high}], "
            f"received {value!r}"
        )
    if not single:
        return min(ends), max(ends)
    return (0, value) if from_zero else (-abs(value), abs(value))


def range_of_values(layer: str, value_range: Any) -> list[float]:
    """The least and the largest value of pixels.

    Raises:
        ValueError: It is no pair of two numbers.
    """
    pair = isinstance(value_range, (tuple, list)) and len(value_range) == 2
    if not pair or not all(map(_is_number, value_range)) or value_range[0] == value_range[1]:
        raise ValueError(f"{layer}: value_range: expected a pair of two numbers, received {value_range!r}")
    return sorted(value_range)


def choice(layer: str, argument: str, value: Any, choices: tuple[str, ...]) -> str:
    """`value` as one of `choices`.

    Raises:
        NotImplementedError: It is none, as Keras has it.
    """
    if value not in choices:
        raise NotImplementedError(
            f"{layer}: {argument}: expected one of {', '.join(map(repr, choices))}, received {value!r}"
        )
    return str(value)


def positive_range(layer: str, argument: str, value: Any, most: float = float("inf")) -> tuple[float, float]:
    """The ends of a range of positive numbers.

    Raises:
        ValueError: It is no pair of numbers above 0, or one of them is above `most`.
    """
    pair = isinstance(value, (tuple, list)) and len(value) == 2 and all(map(_is_number, value))
    if not pair or not all(0 < end <= most and np.isfinite(end) for end in value):
        limit = "" if most == float("inf") else f" and at most {most}"
        raise ValueError(
            f"{layer}: {argument}: expected a pair of numbers above 0{limit}, received {value!r}"
        )
    return ordered(layer, argument, value)


def ordered(layer: str, argument: str, value: Any) -> Any:
    """A pair as it is, or a number.

    Raises:
        ValueError: The first number is the larger one.
    """
    if isinstance(value, (tuple, list)):
        if value[0] > value[1]:
            raise ValueError(f"{layer}: {argument}: expected the lower end first, received {value!r}")
        return tuple(value)
    return value
