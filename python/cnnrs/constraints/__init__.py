"""Constraints: projections applied to weights after each update."""

from cnnrs.constraints.classes import Constraint, MaxNorm, MinMaxNorm, NonNeg, UnitNorm
from cnnrs.constraints.lookup import deserialize, get, serialize

max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm

__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "serialize",
    "unit_norm",
]
