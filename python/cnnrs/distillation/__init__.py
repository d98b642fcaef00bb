"""Distillation: a student model learns from the outputs and features of a teacher."""

from cnnrs.base import suggest
from cnnrs.distillation.distillation_losses import (
    DistillationLoss,
    FeatureDistillation,
    LogitsDistillation,
)
from cnnrs.distillation.distiller import Distiller

__all__ = ["DistillationLoss", "Distiller", "FeatureDistillation", "LogitsDistillation"]

__getattr__ = suggest.without("cnnrs.distillation", {}, __all__)
