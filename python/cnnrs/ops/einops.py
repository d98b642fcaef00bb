"""Rearranging axes by a pattern."""

from __future__ import annotations

import math
import re
from typing import Any

from cnnrs.ops.dispatch import apply, as_tensor, op

__all__ = ["rearrange"]


@op
def rearrange(tensor: Any, pattern: str, **axes_lengths: int) -> Any:
    """Splits, permutes and joins axes as a pattern of names says.

    Args:
        tensor: Tensor of any dtype.
        pattern: Names of the axes before and behind "->"; parentheses hold axes that are one.
        axes_lengths: Extents of axes that are split off and cannot be computed.

    Returns:
        Tensor of the dtype of `tensor`, with the axes behind "->".

    Raises:
        TypeError: `tensor` is not numeric.
        ValueError: The pattern does not fit the tensor, an axis stands on one side alone, or an extent cannot
            be computed or does not fit.

    Example:
        >>> from cnnrs import ops
        >>> ops.rearrange(ops.zeros((2, 30, 40, 3)), "b (h h1) (w w1) c -> b h w (c h1 w1)", h1=2, w1=2).shape
        (2, 15, 20, 12)
    """
    x = as_tensor(tensor)
    sides = re.split(r"\s*->\s*", pattern)
    if len(sides) != 2 or not all(re.fullmatch(r"[\w\s()]*", side) for side in sides):
        raise ValueError(f"rearrange: pattern: expected 'axes -> axes', received {pattern!r}")
    before, after = (_groups(side) for side in sides)
    names = [name for group in before for name in group]
    wanted = [name for group in after for name in group]
    if sorted(names) != sorted(wanted) or len(set(names)) != len(names):
        raise ValueError(
            f"rearrange: pattern: expected the same names on both sides, each once, received {pattern!r}"
        )
    if len(before) != x.ndim:
        raise ValueError(
            f"rearrange: pattern: expected {x.ndim} axes before '->', as in shape {x.shape}, received "
            f"{pattern!r}"
        )
    if not axes_lengths.keys() <= set(names):
        raise ValueError(
            f"rearrange: axes_lengths: expected lengths of axes of {pattern!r}, received {axes_lengths}"
        )
    extents = _extents(before, x.shape, axes_lengths, pattern)
    x = apply("reshape", x, shape=[extents[name] for name in names])
    x = apply("transpose", x, perm=[names.index(name) for name in wanted]) if names else x
    return apply("reshape", x, shape=[math.prod(extents[name] for name in group) for group in after])


def _groups(side: str) -> list[list[str]]:
    """Names of each axis; "1" names none."""
    groups = [token.strip("()").split() for token in re.findall(r"\w+|\([^)]*\)", side)]
    return [[name for name in group if name != "1"] for group in groups]


def _extents(groups: list[list[str]], shape: Any, given: dict[str, int], pattern: str) -> dict[str, int]:
    known = dict(given)
    for group, extent in zip(groups, shape, strict=True):
        unknown = [name for name in group if name not in known]
        rest = math.prod(known[name] for name in group if name in known)
        if len(unknown) > 1 or (unknown and (rest == 0 or extent % rest)) or (not unknown and rest != extent):
            raise ValueError(
                f"rearrange: axes_lengths: an axis of extent {extent} cannot be split into "
                f"({' '.join(group)}) of "
                f"{pattern!r} with {given}"
            )
        for name in unknown:
            known[name] = extent // rest
    return known
