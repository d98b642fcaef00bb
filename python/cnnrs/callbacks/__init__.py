"""Callbacks: what happens at the beginnings and ends of training, epochs and batches."""

from cnnrs.base import suggest
from cnnrs.callbacks.callback import Callback, History, LambdaCallback
from cnnrs.callbacks.callback_list import CallbackList
from cnnrs.callbacks.learning_rates import LearningRateScheduler, ReduceLROnPlateau
from cnnrs.callbacks.logging import CSVLogger, ProgbarLogger, TerminateOnNaN
from cnnrs.callbacks.monitoring import EarlyStopping, ModelCheckpoint

__all__ = [
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
    "TerminateOnNaN",
]


__getattr__ = suggest.without(
    "cnnrs.callbacks",
    {
        "TensorBoard RemoteMonitor": "use CSVLogger, or a Callback that sends the logs",
        "BackupAndRestore OrbaxCheckpoint": "use ModelCheckpoint, whose files resume training",
        "SwapEMAWeights": "fit ends with the averaged weights when the optimizer has use_ema=True",
    },
    __all__,
)
