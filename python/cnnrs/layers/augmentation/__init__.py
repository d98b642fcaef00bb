"""Layers of augmentation: what they do to images they do to boxes, labels and segmentation masks too.

In training each batch is transformed anew; in prediction images stay as they are, but for the layers whose
effect is not random. A layer called outside of a model transforms, unless `training=False` is given.
"""

from cnnrs.base import suggest
from cnnrs.base.late import late, names_of
from cnnrs.layers.augmentation.aug_mix import AugMix
from cnnrs.layers.augmentation.base import BaseImagePreprocessingLayer
from cnnrs.layers.augmentation.bounding_boxes import MaxNumBoundingBoxes
from cnnrs.layers.augmentation.brightness import (
    AutoContrast,
    RandomBrightness,
    RandomContrast,
    RandomInvert,
    RandomPosterization,
    RandomSharpness,
    Solarization,
)
from cnnrs.layers.augmentation.colors import (
    RandomColorDegeneration,
    RandomColorJitter,
    RandomGrayscale,
    RandomHue,
    RandomSaturation,
)
from cnnrs.layers.augmentation.distortions import RandomElasticTransform, RandomPerspective
from cnnrs.layers.augmentation.erasing import RandomErasing, RandomGaussianBlur
from cnnrs.layers.augmentation.flips_and_crops import CenterCrop, RandomCrop, RandomFlip, Resizing
from cnnrs.layers.augmentation.histograms import ContrastLimitedAdaptiveHistogramEqualization, Equalization
from cnnrs.layers.augmentation.mixing import CutMix, MixUp
from cnnrs.layers.augmentation.policies import RandAugment
from cnnrs.layers.augmentation.warps import RandomRotation, RandomShear, RandomTranslation, RandomZoom

# Augmentation that Keras has not, by module.
LATE = {
    "grid_mask": "GridMask",
    "lighting": "Lighting",
    "mosaic": "Mosaic",
    "resized_crop": "RandomResizedCrop",
    "trivial": "TrivialAugment",
}

__all__ = [
    *names_of(LATE),
    "AugMix",
    "AutoContrast",
    "BaseImagePreprocessingLayer",
    "CenterCrop",
    "ContrastLimitedAdaptiveHistogramEqualization",
    "CutMix",
    "Equalization",
    "MaxNumBoundingBoxes",
    "MixUp",
    "RandAugment",
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomContrast",
    "RandomCrop",
    "RandomElasticTransform",
    "RandomErasing",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHue",
    "RandomInvert",
    "RandomPerspective",
    "RandomPosterization",
    "RandomRotation",
    "RandomSaturation",
    "RandomSharpness",
    "RandomShear",
    "RandomTranslation",
    "RandomZoom",
    "Resizing",
    "Solarization",
]

__getattr__, __dir__ = late(
    "cnnrs.layers.augmentation", LATE, suggest.without("cnnrs.layers.augmentation", {}, __all__)
)
