"""Looking into models: sizes, receptive fields, costs, what layers respond to, and what a decision rests on.

>>> import cnnrs
>>> from cnnrs import layers
>>> model = cnnrs.Sequential([cnnrs.Input((16, 16, 1)), layers.Conv2D(4, 5), layers.Conv2D(4, 3, strides=2)])
>>> cnnrs.receptive_field(model).output.size
(7, 7)
"""

from cnnrs.analysis.attribution import (
    Attribution,
    grad_cam,
    grad_cam_plus_plus,
    integrated_gradients,
    occlusion,
    saliency,
    smooth_grad,
)
from cnnrs.analysis.confusion import ConfusedPair, Confusion, confusion
from cnnrs.analysis.costs import Costs, LayerCosts, costs
from cnnrs.analysis.feature_maps import FeatureMaps, LayerFilters, feature_maps, filters
from cnnrs.analysis.maximization import MaximizedImages, maximize_activation
from cnnrs.analysis.pictures import overlay, save_image
from cnnrs.analysis.receptive_fields import (
    EffectiveField,
    LayerField,
    ReceptiveFields,
    effective_receptive_field,
    receptive_field,
)
from cnnrs.analysis.sizes import LayerCost, ParameterComparison, compare_parameters, output_size
from cnnrs.base import suggest

__all__ = [
    "Attribution",
    "ConfusedPair",
    "Confusion",
    "Costs",
    "EffectiveField",
    "FeatureMaps",
    "LayerCost",
    "LayerCosts",
    "LayerField",
    "LayerFilters",
    "MaximizedImages",
    "ParameterComparison",
    "ReceptiveFields",
    "compare_parameters",
    "confusion",
    "costs",
    "effective_receptive_field",
    "feature_maps",
    "filters",
    "grad_cam",
    "grad_cam_plus_plus",
    "integrated_gradients",
    "maximize_activation",
    "occlusion",
    "output_size",
    "overlay",
    "receptive_field",
    "saliency",
    "save_image",
    "smooth_grad",
]

__getattr__ = suggest.without(
    "cnnrs.analysis",
    {},
    __all__,
    also={
        "GradCAM GradCam gradcam": "analysis.grad_cam",
        "GradCAMPlusPlus gradcam_plus_plus": "analysis.grad_cam_plus_plus",
        "IntegratedGradients": "analysis.integrated_gradients",
        "SmoothGrad smoothgrad": "analysis.smooth_grad",
        "activation_maximization deep_dream feature_visualization": "analysis.maximize_activation",
        "confusion_matrix": "analysis.confusion",
        "flops": "analysis.costs",
        "occlusion_sensitivity": "analysis.occlusion",
        "parameter_comparison": "analysis.compare_parameters",
        "saliency_map vanilla_gradients": "analysis.saliency",
    },
)
