"""Preparation of inputs: scales, statistics, categories, and layers one after another."""

from cnnrs.layers.preprocessing.categories import CategoryEncoding
from cnnrs.layers.preprocessing.normalization import Normalization
from cnnrs.layers.preprocessing.pipeline import Pipeline
from cnnrs.layers.preprocessing.rescaling import Rescaling

__all__ = ["CategoryEncoding", "Normalization", "Pipeline", "Rescaling"]
