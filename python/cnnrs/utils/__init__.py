"""Utilities: seeds, labels, progress, serialisation."""

from cnnrs.base import suggest
from cnnrs.base.progbar import Progbar
from cnnrs.config import (
    disable_interactive_logging,
    enable_interactive_logging,
    is_interactive_logging_enabled,
)
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
from cnnrs.training.device_loss import recover
from cnnrs.training.py_dataset import PyDataset
from cnnrs.training.samples import pack_x_y_sample_weight, unpack_x_y_sample_weight
from cnnrs.utils.arrays import normalize, to_categorical
from cnnrs.utils.explaining import explain
from cnnrs.utils.own_config import Config
from cnnrs.utils.profiling import profile
from cnnrs.utils.session import clear_session, set_random_seed
from cnnrs.utils.tensors import is_keras_tensor, standardize_dtype

# As older versions of Keras call it.
Sequence = PyDataset

__all__ = [
    "Config",
    "disable_interactive_logging",
    "enable_interactive_logging",
    "is_interactive_logging_enabled",
    "CustomObjectScope",
    "Progbar",
    "PyDataset",
    "Sequence",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "explain",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "is_keras_tensor",
    "normalize",
    "pack_x_y_sample_weight",
    "profile",
    "recover",
    "register_keras_serializable",
    "serialize_keras_object",
    "set_random_seed",
    "standardize_dtype",
    "to_categorical",
    "unpack_x_y_sample_weight",
]

__getattr__ = suggest.without(
    "cnnrs.utils",
    {
        "plot_model model_to_dot": "use model.summary()",
        "load_img img_to_array array_to_img save_img": "use Pillow and numpy",
        "image_dataset_from_directory": "give fit a utils.PyDataset that reads the files",
        "audio_dataset_from_directory text_dataset_from_directory": "cnnrs is for images",
        "timeseries_dataset_from_array pad_sequences": "cnnrs is for images",
        "FeatureSpace": "cnnrs is for images",
        "get_file": "it comes with a later version; urllib.request.urlretrieve fetches files",
        "get_source_inputs": "model.inputs lists the inputs of a model",
        "legacy": "use cnnrs.saving",
    },
    __all__,
)
