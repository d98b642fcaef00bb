"""Rows of Einstein's sums and of linear algebra."""

from __future__ import annotations

import autograd.numpy as np

from fuzz.pointwise import lift
from fuzz.rounding import noisy, r, value
from fuzz.table import Call, row

SUMS = [
    "ij,jk->ik", "ij,kj->ki", "bij,bjk->bik", "abc,cd->abd", "abc,acd->bd", "bij,bkj->ikb", "i,j->ij",
    "ij,ij->j", "ij->j", "ij,jk,k->i", "...ij,jk->...ik",
]  # fmt: skip


def _draw_einsum(d):
    text = d.choose(SUMS)
    size = {letter: d.extent(17) for letter in sorted(set(text)) if letter.isalpha()}
    shapes = [[size[c] for c in spec.replace("...", "")] for spec in text.split("->")[0].split(",")]
    if "..." in text:
        shapes[0].insert(0, d.small())
    return Call([text, *(d.fresh(tuple(shape), "small") for shape in shapes)])


def _einsum(text, *operands):
    operands = [lift(x) for x in operands]
    summed = max(1, *(n for x in operands for n in value(x).shape))
    more = max(1.0, summed**0.5 / 4)
    return r(np.einsum(text, *(noisy(x, more) for x in operands)), more)


row("ops.einsum", _draw_einsum, _einsum, often=2)
