"""Objects as plain data and back: names, scopes of names, configs, copies.

`cnnrs.saving` stands above and puts the data into files.
"""

from cnnrs.serialization.lookup import deserialize, lookup
from cnnrs.serialization.objects import (
    UnknownObjectError,
    deserialize_keras_object,
    plain_array,
    serialize_keras_object,
)
from cnnrs.serialization.registry import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)

__all__ = [
    "CustomObjectScope",
    "UnknownObjectError",
    "custom_object_scope",
    "deserialize",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "lookup",
    "plain_array",
    "register_keras_serializable",
    "serialize_keras_object",
]
