"""The values that programs start from. A printed program carries the source of `data` along."""

from __future__ import annotations

import numpy as np


def data(seed, shape, kind="normal", dtype="float32"):
    rng = np.random.default_rng(seed)
    edges = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -3.0, 1e30, -1e30, 1e-30, 7.0, -100.0]
    if kind == "normal":
        x = rng.standard_normal(shape)
    elif kind == "unit":
        x = rng.uniform(-0.95, 0.95, shape)
    elif kind == "positive":
        x = rng.uniform(0.5, 2.0, shape)
    elif kind == "small":  # weights of long sums
        x = rng.standard_normal(shape) * 0.3
    elif kind == "counts":  # many equal values, zeros among them
        x = rng.integers(-3, 4, shape)
    elif kind == "rows":  # the last axis sums to 1
        x = rng.uniform(0.1, 1.0, shape)
        x = x / x.sum(-1, keepdims=True)
    elif kind == "dominant":  # matrices far from singular ones
        x = rng.standard_normal(shape) * 0.3 + 2.0 * np.eye(*shape[-2:])
    elif kind == "definite":
        x = rng.standard_normal(shape) * 0.5
        x = x @ np.swapaxes(x, -1, -2) + np.eye(shape[-1])
    elif kind == "ones":
        x = np.ones(shape)
    elif kind == "zeros":
        x = np.zeros(shape)
    elif kind == "edges":
        x = rng.choice(edges, shape)
    elif kind in ("wild", "rare"):  # among others, so that windows without one remain
        x = rng.choice([*edges, np.nan, np.inf, -np.inf], shape)
        x = np.where((kind == "wild") | (rng.random(shape) < 0.003), x, rng.standard_normal(shape))
    elif kind == "large":  # of int32, often beyond what float32 holds
        wholes = [2**24 + 1, -(2**24) - 1, 2**30 + 1, 2**31 - 1, -(2**31), 0, 1, -1, 7]
        x = np.where(rng.random(shape) < 0.5, rng.choice(wholes, shape), rng.integers(-(2**31), 2**31, shape))
    elif kind == "bytes":
        x = rng.integers(0, 256, shape)
    else:  # integers below `kind`
        x = rng.integers(0, kind, shape)
    return np.asarray(x).astype(dtype)
