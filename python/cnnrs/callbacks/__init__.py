"""Callbacks: what happens at the beginnings and ends of training, epochs and batches."""

from cnnrs.callbacks.callback import Callback, History, LambdaCallback
from cnnrs.callbacks.callback_list import CallbackList
from cnnrs.callbacks.logging import CSVLogger, ProgbarLogger, TerminateOnNaN
from cnnrs.callbacks.monitoring import (
    EarlyStopping,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
)

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
