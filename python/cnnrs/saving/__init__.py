"""Saving: objects as data, models and weights in cnnrs's own files and in those of Keras."""

from cnnrs.base import suggest
from cnnrs.saving.file_editor import KerasFileEditor
from cnnrs.saving.files import OPTIONS as OPTIONS
from cnnrs.saving.files import load_model, load_weights, save_model, save_weights
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
from cnnrs.serialization.formats import check_model_path, check_weights_path

__all__ = [
    "CustomObjectScope",
    "KerasFileEditor",
    "check_model_path",
    "check_weights_path",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "load_weights",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize_keras_object",
]

__getattr__ = suggest.without("cnnrs.saving", {}, __all__)
