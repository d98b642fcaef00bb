"""Activations with arguments or weights; forms of papers that Keras has not are loaded when first used."""

from __future__ import annotations

from cnnrs.base import suggest
from cnnrs.base.late import late, names_of
from cnnrs.layers.activation.functions import ELU, LeakyReLU, PReLU, ReLU, Softmax

# Activations that Keras has not, by module.
LATE = {
    "funnel": "FReLU",
    "learnt": "AdaptivePReLU Swish",
    "maxout": "Maxout",
}

__all__ = [*names_of(LATE), "ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax"]

__getattr__, __dir__ = late(
    "cnnrs.layers.activation", LATE, suggest.without("cnnrs.layers.activation", {}, __all__)
)
