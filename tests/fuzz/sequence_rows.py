"""Rows of the layers of sequences."""

from __future__ import annotations

import autograd.numpy as np

from fuzz import networks
from fuzz.layer_rows import features, layer, scaled
from fuzz.pointwise import lift
from fuzz.reductions import matmul
from fuzz.rounding import r, value
from fuzz.table import Call

layer(
    "Masking",
    lambda d: Call([features(d)]),
    lambda x, weights: np.where(np.any(value(x) != 0, -1, keepdims=True), lift(x), 0.0),
)
layer(
    "RMSNormalization",
    lambda d: Call([x := features(d)], d.maybe(epsilon=0.01), weights=scaled(d, x, [-1])[:1]),
    lambda x, weights, epsilon=1e-6: networks._rms(lift(x), weights[0], epsilon=epsilon),
)


def _draw_einsum_dense(d):
    x = features(d)
    width, units = d.shape(x)[-1], d.extent()
    options = {"equation": "...a,ab->...b", "output_shape": units, "bias_axes": "b"}
    return Call([x], options, weights=[d.weight((width, units), "small"), d.weight((units,))])


layer(
    "EinsumDense",
    _draw_einsum_dense,
    lambda x, weights, **k: r(matmul(lift(x), weights[0]) + weights[1]),
)
