"""`tf.ragged`: there are no ragged tensors, and each name says what to use instead.

>>> import cnnrs.compat.tf as tf
>>> tf.ragged.stack  # doctest: +ELLIPSIS
Traceback (most recent call last):
AttributeError: tf.ragged has no 'stack': there are no ragged tensors; ...
"""

from __future__ import annotations

from cnnrs.compat.tf.absent import RAGGED
from cnnrs.compat.tf.namespaces import unknown

__getattr__ = unknown(
    "tf.ragged",
    {"boolean_mask constant cross map_flat_values placeholder range segment_ids_to_row_splits stack": RAGGED},
    [],
)
