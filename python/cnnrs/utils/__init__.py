"""Utilities: seeds, labels, progress, serialisation."""

from cnnrs.base import suggest
from cnnrs.base.progbar import Progbar
from cnnrs.config import (
    disable_interactive_logging,
    enable_interactive_logging,
    is_interactive_logging_enabled,
)
from cnnrs.fetching import get_file
from cnnrs.serialization import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)
from cnnrs.symbolic import get_source_inputs
from cnnrs.training.device_loss import recover
from cnnrs.training.py_dataset import PyDataset
from cnnrs.training.samples import pack_x_y_sample_weight, unpack_x_y_sample_weight
from cnnrs.utils import bounding_boxes
from cnnrs.utils.arrays import normalize, to_categorical
from cnnrs.utils.audio_directory import audio_dataset_from_directory
from cnnrs.utils.batch_statistics import reestimate_batch_norm
from cnnrs.utils.data_set import Dataset, split_dataset
from cnnrs.utils.explaining import explain
from cnnrs.utils.feature_space import FeatureSpace
from cnnrs.utils.image_directory import image_dataset_from_directory
from cnnrs.utils.images import array_to_img, img_to_array, load_img, save_img
from cnnrs.utils.own_config import Config
from cnnrs.utils.plotting import ModelDrawing as ModelDrawing
from cnnrs.utils.plotting import model_to_dot, plot_model
from cnnrs.utils.profiling import profile
from cnnrs.utils.sequences import pad_sequences, timeseries_dataset_from_array
from cnnrs.utils.session import clear_session, set_random_seed
from cnnrs.utils.tensors import is_keras_tensor, standardize_dtype
from cnnrs.utils.text_directory import text_dataset_from_directory

# As older versions of Keras call it.
Sequence = PyDataset

__all__ = [
    "Config",
    "disable_interactive_logging",
    "enable_interactive_logging",
    "is_interactive_logging_enabled",
    "CustomObjectScope",
    "Dataset",
    "FeatureSpace",
    "Progbar",
    "PyDataset",
    "Sequence",
    "array_to_img",
    "audio_dataset_from_directory",
    "bounding_boxes",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "explain",
    "image_dataset_from_directory",
    "img_to_array",
    "get_custom_objects",
    "get_file",
    "get_registered_name",
    "get_registered_object",
    "get_source_inputs",
    "is_keras_tensor",
    "load_img",
    "model_to_dot",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "plot_model",
    "profile",
    "recover",
    "reestimate_batch_norm",
    "register_keras_serializable",
    "save_img",
    "serialize_keras_object",
    "set_random_seed",
    "split_dataset",
    "standardize_dtype",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
    "to_categorical",
    "unpack_x_y_sample_weight",
]

__getattr__ = suggest.without(
    "cnnrs.utils",
    {
        "legacy": "use cnnrs.saving",
    },
    __all__,
    also={
        "lr_find": "model.lr_find(x, y)",
        "update_bn": "utils.reestimate_batch_norm",
    },
)
