"""Optimizers: classes that write their update with ops, and learning-rate schedules."""

from cnnrs.base import suggest
from cnnrs.base.late import late
from cnnrs.optimizers import schedules
from cnnrs.optimizers.adaptive import Adadelta, Adamax, Lion, Nadam
from cnnrs.optimizers.algorithms import SGD, Adagrad, Adam, AdamW, RMSprop
from cnnrs.optimizers.averaged import Ftrl, ScheduleFreeAdamW
from cnnrs.optimizers.groups import ParameterGroup, layer_wise_decay, norms_and_biases
from cnnrs.optimizers.lookahead import Lookahead
from cnnrs.optimizers.lookup import deserialize, get, serialize
from cnnrs.optimizers.loss_scale import LossScaleOptimizer
from cnnrs.optimizers.multi_optimizer import MultiOptimizer, OptimizerMap
from cnnrs.optimizers.muon import Muon
from cnnrs.optimizers.optimizer import Optimizer
from cnnrs.optimizers.scaled import LARS, Adafactor, Lamb
from cnnrs.optimizers.sharpness import SAM

__all__ = [
    "LARS",
    "SAM",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "Lookahead",
    "LossScaleOptimizer",
    "MultiOptimizer",
    "Muon",
    "Nadam",
    "Optimizer",
    "OptimizerMap",
    "ParameterGroup",
    "RMSprop",
    "ScheduleFreeAdamW",
    "deserialize",
    "get",
    "layer_wise_decay",
    "norms_and_biases",
    "schedules",
    "serialize",
]

# Modules of former versions of `tf.keras`, loaded when a script asks for them.
__getattr__, __dir__ = late(
    "cnnrs.optimizers",
    {"experimental": "", "legacy": ""},
    suggest.without(
        "cnnrs.optimizers",
        {},
        __all__,
        also={
            "EMA": "use_ema=True of any optimizer, with callbacks.SwapEMAWeights",
            "SWA": "callbacks.StochasticWeightAveraging",
        },
    ),
)
