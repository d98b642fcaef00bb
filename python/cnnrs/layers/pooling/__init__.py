"""Pooling: windows, whole images, grids; learnt, random and weighted forms of papers, loaded when first
used."""

from __future__ import annotations

from cnnrs.base import suggest
from cnnrs.base.late import late, names_of
from cnnrs.layers.pooling.adaptive import (
    AdaptiveAveragePooling1D,
    AdaptiveAveragePooling2D,
    AdaptiveAveragePooling3D,
    AdaptiveMaxPooling1D,
    AdaptiveMaxPooling2D,
    AdaptiveMaxPooling3D,
)
from cnnrs.layers.pooling.everywhere import (
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
)
from cnnrs.layers.pooling.windows import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)

# Poolings that Keras has not, by module.
LATE = {
    "attention": "AttentionPooling2D GlobalAttentionPooling2D",
    "fractional": "FractionalAveragePooling2D FractionalMaxPooling2D",
    "learnable": "LearnablePooling2D",
    "means": "GeMPooling2D GlobalGeMPooling2D GlobalLpPooling2D LpPooling2D",
    "mixed": "GatedPooling2D GlobalMixedPooling2D MixedPooling2D",
    "stochastic": "StochasticPooling2D",
}

__all__ = [
    *names_of(LATE),
    "AdaptiveAveragePooling1D",
    "AdaptiveAveragePooling2D",
    "AdaptiveAveragePooling3D",
    "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D",
    "AdaptiveMaxPooling3D",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
]

__getattr__, __dir__ = late(
    "cnnrs.layers.pooling", LATE, suggest.without("cnnrs.layers.pooling", {}, __all__)
)
