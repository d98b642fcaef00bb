"""Learning-rate schedules, written in ops of the step so that they run inside the training plan."""

from typing import Any

from cnnrs import serialization
from cnnrs.base import suggest
from cnnrs.optimizers.schedules.by_epochs import LinearWarmup, OneCycle, WarmupCosine
from cnnrs.optimizers.schedules.decays import (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
)
from cnnrs.optimizers.schedules.schedule import LearningRateSchedule

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "LinearWarmup",
    "OneCycle",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "WarmupCosine",
    "deserialize",
    "serialize",
]

_CLASSES: tuple[type[LearningRateSchedule], ...] = (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    LinearWarmup,
    OneCycle,
    PiecewiseConstantDecay,
    PolynomialDecay,
    WarmupCosine,
)
_BY_NAME = {cls.__name__: cls for cls in _CLASSES}


def serialize(learning_rate_schedule: Any) -> Any:
    """The config of a schedule.

    >>> from cnnrs.optimizers import schedules
    >>> schedules.serialize(schedules.CosineDecay(0.1, 10))["config"]["decay_steps"]
    10
    """
    return serialization.serialize_keras_object(learning_rate_schedule)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The schedule of a config.

    >>> from cnnrs.optimizers import schedules
    >>> schedules.deserialize(schedules.serialize(schedules.CosineDecay(0.1, 10))).decay_steps
    10
    """
    return serialization.deserialize(config, _BY_NAME, "learning rate schedule", custom_objects)


__getattr__ = suggest.without(
    "cnnrs.optimizers.schedules",
    {},
    __all__,
    also={
        "CosineAnnealing CosineAnnealingLR WarmUpCosine WarmupCosineDecay": "schedules.WarmupCosine",
        "MultiStepLR StepLR": "schedules.PiecewiseConstantDecay",
        "OneCycleLR": "schedules.OneCycle",
        "ReduceLROnPlateau": "callbacks.ReduceLROnPlateau",
    },
)
