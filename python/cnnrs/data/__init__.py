"""Data sets with the methods of tf.data: elements that come again and again, mapped by plans in threads."""

from cnnrs.base import suggest
from cnnrs.data.dataset import Dataset
from cnnrs.data.hashing import content_hash
from cnnrs.data.images import ImageInfo, decode_image, image_batches, image_info, read_images
from cnnrs.data.options import AutoShardPolicy, Options
from cnnrs.data.pipeline import AUTOTUNE, INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, DatasetIterator
from cnnrs.data.shards import write_shards
from cnnrs.data.spec import DatasetSpec, TensorSpec
from cnnrs.data.splitting import class_weights
from cnnrs.data.strings import StringTensor

__all__ = [
    "AUTOTUNE",
    "INFINITE_CARDINALITY",
    "UNKNOWN_CARDINALITY",
    "AutoShardPolicy",
    "Dataset",
    "DatasetIterator",
    "DatasetSpec",
    "ImageInfo",
    "Options",
    "StringTensor",
    "TensorSpec",
    "class_weights",
    "content_hash",
    "write_shards",
    "decode_image",
    "image_batches",
    "image_info",
    "read_images",
]

__getattr__ = suggest.without("cnnrs.data", {}, __all__)
