"""`tf.train`: messages of TFRecord files. Checkpoints and optimizers are those of Keras.

>>> import cnnrs.compat.tf as tf
>>> label = tf.train.Feature(int64_list=tf.train.Int64List(value=[3]))
>>> example = tf.train.Example(features=tf.train.Features(feature={"label": label}))
>>> tf.train.Example.FromString(example.SerializeToString()).features.feature["label"].int64_list.value
[3]
"""

from __future__ import annotations

from typing import Any

from cnnrs.compat.tf.namespaces import unknown
from cnnrs.compat.tf.protos import message

_MESSAGES = """BytesList Example Feature FeatureList FeatureLists Features FloatList Int64List
SequenceExample""".split()

__all__ = list(_MESSAGES)

_unknown = unknown(
    "tf.train",
    {
        "Checkpoint CheckpointManager CheckpointOptions latest_checkpoint load_checkpoint list_variables "
        "checkpoints_iterator get_checkpoint_state": "save models with model.save and model.save_weights, "
        "and in training with the callbacks ModelCheckpoint and BackupAndRestore",
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
