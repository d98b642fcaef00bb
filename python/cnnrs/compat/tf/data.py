"""`tf.data`: `cnnrs.data` by TensorFlow's names.

>>> import cnnrs.compat.tf as tf
>>> data = tf.data.Dataset.from_tensor_slices(([1.0, 2.0, 3.0], [0, 1, 0]))
>>> data = data.map(lambda x, y: (tf.cast(x, tf.float32) / 3.0, y), num_parallel_calls=tf.data.AUTOTUNE)
>>> [(x.shape, y.numpy().tolist()) for x, y in data.batch(2).prefetch(tf.data.AUTOTUNE)]
[((2,), [0, 1]), ((1,), [0])]
"""

from cnnrs.compat.tf import data_experimental as experimental
from cnnrs.compat.tf.namespaces import unknown
from cnnrs.data import (
    AUTOTUNE,
    INFINITE_CARDINALITY,
    UNKNOWN_CARDINALITY,
    Dataset,
    DatasetSpec,
    Options,
)
from cnnrs.data import DatasetIterator as Iterator
from cnnrs.data.readers import FixedLengthRecordDataset, TextLineDataset, TFRecordDataset

__all__ = [
    "AUTOTUNE",
    "Dataset",
    "DatasetSpec",
    "FixedLengthRecordDataset",
    "INFINITE_CARDINALITY",
    "Iterator",
    "Options",
    "TFRecordDataset",
    "TextLineDataset",
    "UNKNOWN_CARDINALITY",
    "experimental",
]

__getattr__ = unknown(
    "tf.data",
    {
        "NumpyIterator": "dataset.as_numpy_iterator() gives an iterator",
        "ThreadingOptions": "the argument num_parallel_calls says how many threads there are",
    },
    __all__,
)
