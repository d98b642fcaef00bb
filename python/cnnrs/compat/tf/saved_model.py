"""`tf.saved_model`: models are kept in files of Keras, and each name says so.

>>> import cnnrs.compat.tf as tf
>>> tf.saved_model.save  # doctest: +ELLIPSIS
Traceback (most recent call last):
AttributeError: tf.saved_model has no 'save': there are no SavedModels; use ...
"""

from __future__ import annotations

from cnnrs.compat.tf.namespaces import unknown

__getattr__ = unknown(
    "tf.saved_model",
    {
        "save load Asset LoadOptions SaveOptions contains_saved_model experimental": (
            'there are no SavedModels; use model.save("model.keras") and tf.keras.models.load_model'
        )
    },
    [],
)
