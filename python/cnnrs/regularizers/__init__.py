"""Regularizers: penalties on weights that are added to the loss."""

from cnnrs.regularizers.classes import L1, L1L2, L2, OrthogonalRegularizer, Regularizer
from cnnrs.regularizers.lookup import deserialize, get, serialize

l1, l2, l1_l2 = L1, L2, L1L2
orthogonal_regularizer = OrthogonalRegularizer

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "OrthogonalRegularizer",
    "Regularizer",
    "deserialize",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
    "serialize",
]
