"""Callbacks: what happens at the beginnings and ends of training, epochs and batches."""

from cnnrs.base import suggest
from cnnrs.callbacks.averaging import StochasticWeightAveraging
from cnnrs.callbacks.backup import BackupAndRestore, SwapEMAWeights
from cnnrs.callbacks.callback import Callback, History, LambdaCallback
from cnnrs.callbacks.callback_list import CallbackList
from cnnrs.callbacks.learning_rates import LearningRateScheduler, ReduceLROnPlateau
from cnnrs.callbacks.logging import CSVLogger, ProgbarLogger, TerminateOnNaN
from cnnrs.callbacks.monitoring import EarlyStopping, ModelCheckpoint
from cnnrs.callbacks.remote import RemoteMonitor
from cnnrs.callbacks.tensorboard import TensorBoard

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "StochasticWeightAveraging",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
]


__getattr__ = suggest.without(
    "cnnrs.callbacks",
    {
        "OrbaxCheckpoint": "Orbax is JAX's; BackupAndRestore resumes training, ModelCheckpoint keeps models",
    },
    __all__,
    also={
        "CosineAnnealing OneCycle OneCycleLR WarmupCosine": (
            "schedules.WarmupCosine or schedules.OneCycle of cnnrs.optimizers as the learning rate"
        ),
        "EMA EMACallback": "callbacks.SwapEMAWeights, with use_ema=True of the optimizer",
        "LRFinder LearningRateFinder": "model.lr_find(x, y)",
        "SWA": "callbacks.StochasticWeightAveraging",
    },
)
