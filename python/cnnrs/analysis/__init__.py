"""Looking into models: sizes, receptive fields, costs, what layers respond to, and what a decision rests on.

>>> import cnnrs
>>> from cnnrs import layers
>>> model = cnnrs.Sequential([cnnrs.Input((16, 16, 1)), layers.Conv2D(4, 5), layers.Conv2D(4, 3, strides=2)])
>>> cnnrs.receptive_field(model).output.size
(7, 7)
"""

from cnnrs.analysis.costs import Costs, LayerCosts, costs
from cnnrs.analysis.receptive_fields import (
    EffectiveField,
    LayerField,
    ReceptiveFields,
    effective_receptive_field,
    receptive_field,
)
from cnnrs.analysis.sizes import LayerCost, ParameterComparison, compare_parameters, output_size

__all__ = [
    "Costs",
    "EffectiveField",
    "LayerCost",
    "LayerCosts",
    "LayerField",
    "ParameterComparison",
    "ReceptiveFields",
    "compare_parameters",
    "costs",
    "effective_receptive_field",
    "output_size",
    "receptive_field",
]
