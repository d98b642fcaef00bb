"""Normalisation of samples; forms of papers that Keras has not are loaded when first used."""

from __future__ import annotations

from cnnrs.base import suggest
from cnnrs.base.late import late, names_of
from cnnrs.layers.normalization.samples import (
    GroupNormalization,
    LayerNormalization,
    RMSNormalization,
    UnitNormalization,
)

# Normalisations that Keras has not, by module.
LATE = {
    "filter_response": "FilterResponseNormalization TLU",
    "instance": "InstanceNormalization",
    "switchable": "SwitchableNormalization",
    "weight_standardization": "WeightStandardization",
}

__all__ = [
    *names_of(LATE),
    "GroupNormalization",
    "LayerNormalization",
    "RMSNormalization",
    "UnitNormalization",
]

__getattr__, __dir__ = late(
    "cnnrs.layers.normalization", LATE, suggest.without("cnnrs.layers.normalization", {}, __all__)
)
