"""Optimizers: classes that write their update with ops, and learning-rate schedules."""

from cnnrs.base import suggest
from cnnrs.optimizers import schedules
from cnnrs.optimizers.adaptive import Adadelta, Adamax, Lion, Nadam
from cnnrs.optimizers.algorithms import SGD, Adagrad, Adam, AdamW, RMSprop
from cnnrs.optimizers.lookup import deserialize, get, serialize
from cnnrs.optimizers.loss_scale import LossScaleOptimizer
from cnnrs.optimizers.optimizer import Optimizer

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "LossScaleOptimizer",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]

__getattr__ = suggest.without(
    "cnnrs.optimizers",
    {
        "Adafactor Ftrl Lamb Muon ScheduleFreeAdamW": "write it as a subclass of Optimizer, with cnnrs.ops",
        "MultiOptimizer OptimizerMap": "call apply() of several optimizers in a train_step",
    },
    __all__,
)
