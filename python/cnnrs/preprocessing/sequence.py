"""Sequences for scripts of older versions of Keras."""

from cnnrs.base import suggest
from cnnrs.utils.sequences import pad_sequences

__all__ = ["pad_sequences"]

__getattr__ = suggest.without(
    "cnnrs.preprocessing.sequence",
    {},
    __all__,
    also={
        "TimeseriesGenerator": "utils.timeseries_dataset_from_array",
        "make_sampling_table skipgrams": "numpy: cnnrs is for images",
    },
)
