"""How far float32 may be from float64: each rounding of a reference is modelled by random relative noise.

A reference is computed once without noise and several times with it. The spread bounds what rounding does
to the result, whatever cancels, branches or is amplified on the way (Monte Carlo arithmetic, Parker 1997).
One evaluation rounds to the nearest float32, as the engine does: what cancels to 0 there cancels in no other.
Numbers beyond float32 become infinite, subnormal ones 0, as the engine has them.
"""

from __future__ import annotations

import autograd.core
import autograd.numpy as anp
import autograd.numpy.numpy_vjps
import numpy as np
from autograd.extend import defvjp, primitive
from autograd.tracer import getval

__all__ = [
    "STATE",
    "is_tame",
    "mark",
    "nudge",
    "noisy",
    "r",
    "spread",
    "total",
    "uncertain",
    "value",
    "watch",
]

LARGEST = float(np.finfo(np.float32).max)
SMALLEST = 2.0**-126
UNIT = 2.0**-24


class State:
    """Of the evaluation under way.

    Attributes:
        rng: Where noise comes from; None for none.
        amplitude: Relative size of the noise.
        nearest: Whether results are rounded to the nearest float32.
        fast: Whether 3x3 convolutions may be Winograd's.
        marking: Whether gradients become NaN where they pass a number that is not tame.
        wild: Whether a number met was not finite, or so large that a gradient's parts overflow.
    """

    def __init__(self) -> None:
        self.rng: np.random.Generator | None = None
        self.amplitude = 4 * UNIT
        self.nearest = False
        self.fast = False
        self.marking = False
        self.wild = False


STATE = State()


def value(x):
    """The array inside of autograd's boxes."""
    while True:
        inner = getval(x)
        if inner is x:
            return x
        x = inner


def _signs(shape):
    return STATE.rng.integers(0, 2, shape, dtype=np.int8) * 2.0 - 1.0


def is_tame(a):
    """Which numbers are finite and have squares that float32 holds."""
    return np.abs(a) < 1e18


def watch(a):
    """Notes whether parts of gradients may overflow float32 where float64 does not."""
    if not is_tame(a).all():
        STATE.wild = True


def _marked(g, ans):
    return g * np.where(is_tame(value(ans)), 1.0, np.nan) if STATE.marking else g


@primitive
def mark(x):
    """`x`, whose gradient is marked."""
    return x


defvjp(mark, lambda ans, x: lambda g: _marked(g, ans))


@primitive
def _rounded(x, factor):
    y = np.asarray(x * factor)
    if STATE.nearest:
        y = y.astype(np.float32).astype(np.float64)
    size = np.abs(y)
    if size.size:
        if not size.max() < LARGEST:
            y = np.where(size > LARGEST, np.sign(y) * np.inf, y)
        if (size < SMALLEST).any():
            y = np.where(size < SMALLEST, np.copysign(0.0, y), y)
    watch(y)
    return y


def _rounded_grad(ans, x, factor):
    def vjp(g):
        watch(np.asarray(value(g)))
        return _marked(g * factor, ans)

    return vjp


defvjp(_rounded, _rounded_grad, argnums=(0,))


def r(x, scale=1.0):
    """`x` after one rounding (or `scale` of them) to float32."""
    factor = 1.0
    if STATE.rng is not None:
        factor = 1.0 + STATE.amplitude * scale * _signs(np.shape(value(x)))
    return _rounded(x, factor)


def noisy(x, scale=1.0):
    """`x`, whose elements take part in a sum: noise, and no rounding."""
    if STATE.rng is None:
        return x
    return x * (1.0 + STATE.amplitude * scale * _signs(np.shape(value(x))))


def total(terms, axis=None, keepdims=False):
    """The sum of products or elements over axes, as float32 sums them in some order."""
    shape = np.shape(value(terms))
    axes = range(len(shape)) if axis is None else ([axis] if isinstance(axis, int) else axis)
    count = int(np.prod([shape[a] for a in axes], dtype=np.int64))
    result = anp.sum(noisy(terms, max(1.0, count**0.5 / 32)), axis=axis, keepdims=keepdims)
    return r(result, max(1.0, count**0.5 / 16))


@primitive
def uncertain(x, where):
    """`x`, of which some elements may have become infinite or NaN on one way and not on another."""
    if STATE.rng is None or not np.any(where):
        return x
    return np.where(where, STATE.rng.choice([np.nan, np.inf, -np.inf], np.shape(x)), x)


# What overflows on some way to a value does so on the way back.
defvjp(uncertain, lambda ans, x, where: lambda g: uncertain(g, where), argnums=(0,))


@primitive
def _spread(x, amount):
    return x + amount * np.abs(x).max(initial=0.0) * _signs(np.shape(x))


defvjp(_spread, lambda ans, x, amount: lambda g: _spread(g, amount), argnums=(0,))


def spread(x):
    """`x` with what the transforms of Winograd's convolutions carry from the largest elements to others."""
    return _spread(x, 40 * UNIT) if STATE.fast and STATE.rng is not None else x


def nudge(x):
    """A value, moved off the kinks on which it may lie."""
    if STATE.rng is None:
        return x
    with np.errstate(all="ignore"):
        return x + STATE.amplitude * np.maximum(np.abs(value(x)), 1.0) * _signs(np.shape(value(x)))


def _noisy_sum(before, gradient):
    """In place of autograd's: each part of a gradient is rounded, as it is stored and added up."""
    if STATE.rng is not None and isinstance(value(gradient), np.ndarray):
        gradient = gradient * (1.0 + STATE.amplitude * _signs(np.shape(value(gradient))))
    return _exact_sum(before, gradient)


_exact_sum = autograd.core.add_outgrads
autograd.core.add_outgrads = _noisy_sum


def _noisy_unbroadcast(gradient, target, broadcast_idx=0):
    """In place of autograd's: the parts of a gradient that are summed over broadcast axes are rounded ones.

    What cancels in such a sum, as in front of a normalisation, would be 0 without noise.
    """
    if np.shape(value(gradient)) != target[0]:
        gradient = noisy(gradient)
    return _exact_unbroadcast(gradient, target, broadcast_idx)


_exact_unbroadcast = autograd.numpy.numpy_vjps.unbroadcast
autograd.numpy.numpy_vjps.unbroadcast = _noisy_unbroadcast
