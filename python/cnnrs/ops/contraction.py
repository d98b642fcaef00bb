"""Einstein's sums, planned onto diagonals, sums over axes, and products of two operands at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnrs.base.arguments import reject
from cnnrs.base.dtypes import result_type
from cnnrs.ops.dispatch import apply, as_tensor, in_float32, op
from cnnrs.ops.matrix_products import matmul
from cnnrs.ops.reductions import sum as sum_over

__all__ = ["einsum"]

# A letter of the subscripts, or an axis under "...", counted from its end.
Label = str | int


@op
@in_float32
def einsum(subscripts: str, *operands: Any, **kwargs: Any) -> Any:
    """Computes sums of products whose axes have letters (Einstein's summation convention).

    Axes of one letter are multiplied with each other place by place, and letters that the result lacks are
    summed over. Products of two tensors are matrix products; of more, the order with the fewest
    multiplications is taken.

    Args:
        subscripts: Letters of the axes of each operand, separated by commas; then "->" and those of the
            result. Without "->" the result has the letters that stand once, in alphabetic order. "..."
            stands for axes that broadcast. A letter twice in one operand means its diagonal.
        operands: Tensors of any dtype. Extents of one letter are equal, or 1.
        kwargs: None; other arguments are refused.

    Returns:
        Tensor of the axes that the result names. It has the dtype that the operands have in common: of bools
        whether any product is true, of int8 int32.

    Raises:
        TypeError: An operand is not numeric, `subscripts` is no text, or there are arguments that are not
            known.
        ValueError: `subscripts` does not read as above, or does not fit the operands.

    Example:
        >>> from cnnrs import ops
        >>> a, b = ops.array([[1.0, 2.0], [3.0, 4.0]]), ops.array([10.0, 100.0])
        >>> ops.einsum("ij,j->i", a, b).tolist(), float(ops.einsum("ii", a))
        ([210.0, 430.0], 5.0)
        >>> ops.einsum("...i,i,k->...k", a, b, [1.0, 2.0]).tolist()
        [[210.0, 420.0], [430.0, 860.0]]
    """
    reject(einsum, kwargs)
    if not isinstance(subscripts, str):
        raise TypeError(f"einsum: subscripts: expected text such as 'ij,jk->ik', received {subscripts!r}")
    weak = [type(x) if type(x) in (int, float) else None for x in operands]
    tensors = [as_tensor(x) for x in operands]
    inputs, output = _parse(subscripts, [x.ndim for x in tensors])
    common = result_type(*(t or x.dtype for t, x in zip(weak, tensors, strict=True)))
    if {x.dtype for x in tensors} == {"int8"}:  # as in Keras
        common = "int32"
    extents = _extents(subscripts, inputs, tensors)
    terms = [_single(x.astype(common), labels, extents) for x, labels in zip(tensors, inputs, strict=True)]
    for step in _order(terms, output, extents):
        chosen = [terms.pop(place) for place in sorted(step, reverse=True)][::-1]
        kept = set(output).union(*(labels for _, labels in terms))
        while len(chosen) > 1:
            b, a = chosen.pop(), chosen.pop()
            others = kept.union(*(labels for _, labels in chosen))
            chosen.append(
                _pair(_summed(*a, others | set(b[1])), _summed(*b, others | set(a[1])), others, output)
            )
        terms.append(chosen[0])
    x, labels = _summed(*terms[0], set(output))
    # Sums of small integers are wider until here.
    return _arranged(x, labels, output, extents).astype(common)


def _wrong(subscripts: str, what: str) -> ValueError:
    return ValueError(f"einsum: subscripts: {what}, received {subscripts!r}")


def _parse(subscripts: str, ranks: list[int]) -> tuple[list[list[Label]], list[Label]]:
    """The labels of each operand's axes, and those of the result."""
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    specs = left.split(",")
    if len(specs) != len(ranks):
        raise _wrong(subscripts, f"expected letters of {len(ranks)} operands, which are given")
    inputs = [_labels(subscripts, spec, rank) for spec, rank in zip(specs, ranks, strict=True)]
    under_dots = [label for labels in inputs for label in labels if isinstance(label, int)]
    dots: list[Label] = list(range(min(under_dots, default=0), 0))
    letters = [label for labels in inputs for label in labels if isinstance(label, str)]
    if not arrow:
        return inputs, [*dots, *sorted(letter for letter in set(letters) if letters.count(letter) == 1)]
    output = _labels(subscripts, right, len(right.replace("...", "")) + len(dots))
    named = [label for label in output if isinstance(label, str)]
    if len(set(named)) != len(named):
        raise _wrong(subscripts, "expected letters of the result to be different")
    if not set(named) <= set(letters):
        raise _wrong(subscripts, "expected letters of the result to stand in an operand")
    return inputs, output


def _labels(subscripts: str, spec: str, rank: int) -> list[Label]:
    """The labels of `rank` axes; those under "..." are -1, -2, … from the end."""
    before, dots, after = spec.partition("...")
    if not (before + after).isalpha() and before + after:
        raise _wrong(subscripts, "expected letters, '...', ',' and one '->'")
    hidden = rank - len(before) - len(after)
    if hidden < 0 or (hidden > 0 and not dots):
        raise _wrong(subscripts, f"expected {rank} axes for {spec!r}, which its operand has")
    return [*before, *range(-hidden, 0), *after]


def _extents(subscripts: str, inputs: list[list[Label]], tensors: list[Any]) -> dict[Label, int]:
    extents: dict[Label, int] = {}
    for labels, x in zip(inputs, tensors, strict=True):
        for label, extent in zip(labels, x.shape, strict=True):
            known = extents.setdefault(label, extent)
            if known != extent and 1 not in (known, extent):
                which = "'...'" if isinstance(label, int) else repr(label)
                raise ValueError(
                    f"einsum: operands: extents of {which} in {subscripts!r} are {known} and {extent}"
                )
            if known == 1:
                extents[label] = extent
    return extents


def _single(x: Any, labels: list[Label], extents: dict[Label, int]) -> tuple[Any, list[Label]]:
    """An operand without repeated labels, and without axes that broadcast."""
    spread = [a for a, label in enumerate(labels) if x.shape[a] == 1 and extents[label] != 1]
    if spread:
        x = apply("squeeze", x, axis=spread)
        labels = [label for a, label in enumerate(labels) if a not in spread]
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            x, labels = _diagonal(x, labels, first, second)
    return x, labels


def _diagonal(x: Any, labels: list[Label], first: int, second: int) -> tuple[Any, list[Label]]:
    rest = [a for a in range(x.ndim) if a not in (first, second)]
    x = apply("transpose", x, perm=[*rest, first, second])
    *lead, n, _ = x.shape
    x = apply("reshape", x, shape=[*lead, n * n])
    starts, steps = [0] * len(rest), [1] * len(rest)
    x = apply("slice", x, starts=[*starts, 0], stops=[*lead, n * n], steps=[*steps, n + 1])
    return x, [labels[a] for a in rest] + [labels[first]]


def _order(
    terms: list[tuple[Any, list[Label]]], output: list[Label], extents: dict[Label, int]
) -> list[tuple[int, ...]]:
    """Which terms are multiplied, step by step; the product goes to the end of the list."""
    if len(terms) <= 2:
        return [tuple(range(len(terms)))] * (len(terms) == 2)
    number = {label: i for i, label in enumerate(extents)}
    described: list[Any] = []
    for _, labels in terms:
        shape = [extents[label] for label in labels]
        described += [np.broadcast_to(np.float32(0), shape), [number[label] for label in labels]]
    # All orders of up to 6 operands are compared, 60 ms at worst while a graph is recorded.
    way = "optimal" if len(terms) <= 6 else "greedy"
    path = np.einsum_path(*described, [number[label] for label in output], optimize=way)[0]
    return path[1:]


def _summed(x: Any, labels: list[Label], kept: set[Label]) -> tuple[Any, list[Label]]:
    gone = [a for a, label in enumerate(labels) if label not in kept]
    if not gone:
        return x, labels
    if x.dtype == "bool":
        x = apply("any", x, axes=gone, keepdims=False)
    else:
        x = sum_over(x, axis=gone).astype(x.dtype)
    return x, [label for label in labels if label in kept]


def _pair(
    a: tuple[Any, list[Label]], b: tuple[Any, list[Label]], kept: set[Label], output: list[Label]
) -> tuple[Any, list[Label]]:
    """The product of two terms, summed over what they share and nobody else has."""
    shared = [label for label in a[1] if label in b[1]]
    inner = [label for label in shared if label not in kept]
    place = {label: i for i, label in enumerate(output)}

    def ordered(labels: list[Label]) -> list[Label]:
        return sorted(labels, key=lambda label: place.get(label, len(place)))

    if (
        ordered([label for label in a[1] + b[1] if label not in shared])[:1]
        == [label for label in ordered(b[1]) if label not in shared][:1]
    ):
        a, b = b, a  # so that the result begins with rows of the first
    batch = ordered([label for label in shared if label in kept])
    rows = ordered([label for label in a[1] if label not in shared])
    columns = ordered([label for label in b[1] if label not in shared])
    size = dict(zip(a[1], a[0].shape, strict=True)) | dict(zip(b[1], b[0].shape, strict=True))
    if not inner or not (rows or columns):
        labels = batch + rows + columns + inner
        times = "logical_and" if a[0].dtype == "bool" else "mul"
        x = apply(times, _spread(*a, labels), _spread(*b, labels))
        return _summed(x, labels, set(batch + rows + columns))
    left = _matrices(a, [batch, rows, inner], size)
    right = _matrices(b, [batch, inner, columns], size)
    shape = [size[label] for label in batch + rows + columns]
    return apply("reshape", _product(left, right), shape=shape), batch + rows + columns


def _spread(x: Any, labels: list[Label], among: list[Label]) -> Any:
    """`x` with an axis for each label of `among`, of extent 1 where it has none."""
    size = dict(zip(labels, x.shape, strict=True))
    order = [label for label in among if label in size]
    x = apply("transpose", x, perm=[labels.index(label) for label in order])
    return apply("reshape", x, shape=[size.get(label, 1) for label in among])


def _matrices(
    term: tuple[Any, list[Label]], groups: list[list[Label]], size: dict[Label, int]
) -> tuple[Any, bool]:
    """A term as matrices of three axes, and whether rows and columns are exchanged: what moves less."""
    x, labels = term
    batch, first, second = groups
    exchanged = labels == batch + second + first
    order = batch + second + first if exchanged else batch + first + second
    x = apply("transpose", x, perm=[labels.index(label) for label in order])
    parts = [batch, second, first] if exchanged else [batch, first, second]
    shape = [math.prod(size[label] for label in part) for part in parts]
    return apply("reshape", x, shape=shape if batch else shape[1:]), exchanged


def _product(left: tuple[Any, bool], right: tuple[Any, bool]) -> Any:
    (a, exchanged_a), (b, exchanged_b) = left, right
    if a.dtype != "bool":
        return apply("matmul", a, b, transpose_a=exchanged_a, transpose_b=exchanged_b)
    turn = [*range(a.ndim - 2), a.ndim - 1, a.ndim - 2]
    a = apply("transpose", a, perm=turn) if exchanged_a else a
    b = apply("transpose", b, perm=turn) if exchanged_b else b
    return matmul(a, b)


def _arranged(x: Any, labels: list[Label], output: list[Label], extents: dict[Label, int]) -> Any:
    """`x` with the axes of the result in their order."""
    if labels != output:
        x = _spread(x, labels, output)
    shape = [extents[label] for label in output]
    return x if list(x.shape) == shape else apply("broadcast_to", x, shape=shape)
