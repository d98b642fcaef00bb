"""What a decision rests on: maps of the places of an image that speak for a class."""

from cnnrs.analysis.attribution.gradcam import grad_cam, grad_cam_plus_plus
from cnnrs.analysis.attribution.gradients import integrated_gradients, saliency, smooth_grad
from cnnrs.analysis.attribution.occlusion import occlusion
from cnnrs.analysis.attribution.scores import Attribution

__all__ = [
    "Attribution",
    "grad_cam",
    "grad_cam_plus_plus",
    "integrated_gradients",
    "occlusion",
    "saliency",
    "smooth_grad",
]
