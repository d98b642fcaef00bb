"""Preparation of inputs: scales, statistics, categories, vocabularies, and layers one after another."""

from cnnrs.layers.preprocessing.categories import CategoryEncoding
from cnnrs.layers.preprocessing.discretization import Discretization
from cnnrs.layers.preprocessing.hashing import HashedCrossing, Hashing
from cnnrs.layers.preprocessing.integer_lookup import IntegerLookup
from cnnrs.layers.preprocessing.normalization import Normalization
from cnnrs.layers.preprocessing.pipeline import Pipeline
from cnnrs.layers.preprocessing.rescaling import Rescaling
from cnnrs.layers.preprocessing.string_lookup import StringLookup
from cnnrs.layers.preprocessing.text import TextVectorization

__all__ = [
    "CategoryEncoding",
    "Discretization",
    "HashedCrossing",
    "Hashing",
    "IntegerLookup",
    "Normalization",
    "Pipeline",
    "Rescaling",
    "StringLookup",
    "TextVectorization",
]
