"""`tf.train`: messages of TFRecord files, and checkpoints. Optimizers are those of Keras.

>>> import cnnrs.compat.tf as tf
>>> label = tf.train.Feature(int64_list=tf.train.Int64List(value=[3]))
>>> example = tf.train.Example(features=tf.train.Features(feature={"label": label}))
>>> tf.train.Example.FromString(example.SerializeToString()).features.feature["label"].int64_list.value
[3]
"""

from __future__ import annotations

from typing import Any

from cnnrs.compat.tf.checkpoint_files import get_checkpoint_state, latest_checkpoint, list_variables
from cnnrs.compat.tf.checkpoint_manager import CheckpointManager
from cnnrs.compat.tf.checkpoints import Checkpoint
from cnnrs.compat.tf.namespaces import unknown
from cnnrs.compat.tf.protos import message

_MESSAGES = """BytesList Example Feature FeatureList FeatureLists Features FloatList Int64List
SequenceExample""".split()

__all__ = [
    *_MESSAGES,
    "Checkpoint",
    "CheckpointManager",
    "get_checkpoint_state",
    "latest_checkpoint",
    "list_variables",
]

_unknown = unknown(
    "tf.train",
    {
        "CheckpointOptions load_checkpoint checkpoints_iterator": "tf.train.Checkpoint writes and reads, "
        "tf.train.list_variables tells what is in a file",
        "ExponentialMovingAverage": "optimizers take use_ema=True",
        "Coordinator ClusterSpec ServerDef JobDef ClusterDef": "there is one process",
        "AdamOptimizer AdagradOptimizer GradientDescentOptimizer MomentumOptimizer RMSPropOptimizer Saver "
        "Optimizer AdadeltaOptimizer": "it is of TensorFlow 1; use tf.keras.optimizers",
    },
    __all__,
)


def __getattr__(name: str) -> Any:
    if name in _MESSAGES:
        globals()[name] = value = message(name)
        return value
    return _unknown(name)
