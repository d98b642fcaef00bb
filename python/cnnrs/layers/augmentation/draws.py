"""Draws of the beta and the Dirichlet distribution, in logarithms, so that any parameter > 0 will do."""

from __future__ import annotations

from typing import Any

from cnnrs import ops, random

__all__ = ["beta", "dirichlet"]

# Of a draw all tries fail with a probability below 0.05^12.
_TRIES = 12
_TINY = 1e-30


def _log_gamma(shape: tuple[int, ...], alpha: Any, seed: Any) -> Any:
    """Logarithms of draws of the gamma distribution, of which `alpha` is the shape.

    Marsaglia and Tsang 2000, "A simple method for generating gamma variables", of alpha + 1, times the power
    of a uniform number that leads to alpha.
    """
    d = alpha + 1.0 - 1.0 / 3.0
    x = random.normal((_TRIES, *shape), seed=seed)
    u = random.uniform((_TRIES, *shape), seed=seed)
    v = (1.0 + x / ops.sqrt(9.0 * d)) ** 3
    log_v = ops.log(ops.maximum(v, _TINY))
    accepted = ops.log(ops.maximum(u, _TINY)) < 0.5 * x * x + d * (1.0 - v + log_v)
    accepted = ops.logical_and(v > 0.0, accepted)
    first = ops.argmax(ops.cast(accepted, "int32"), axis=0)
    chosen = ops.one_hot(first, _TRIES, axis=0, dtype="float32")
    log_power = ops.log(ops.maximum(random.uniform(shape, seed=seed), 2.0**-25)) / alpha
    return ops.log(d) + ops.sum(chosen * log_v, axis=0) + log_power


def beta(shape: tuple[int, ...], alpha: Any, seed: Any) -> Any:
    """Draws of the beta distribution with both parameters `alpha`, a number or a tensor without axes."""
    alpha = ops.cast(alpha, "float32")
    # Two draws, which a number as seed would make equal.
    seed = seed if isinstance(seed, random.SeedGenerator) else random.SeedGenerator(seed)
    return ops.sigmoid(_log_gamma(shape, alpha, seed) - _log_gamma(shape, alpha, seed))


def dirichlet(count: int, alpha: Any, seed: Any) -> Any:
    """Shares of a whole: a draw of the symmetric Dirichlet distribution."""
    return ops.softmax(_log_gamma((count,), ops.cast(alpha, "float32"), seed))
