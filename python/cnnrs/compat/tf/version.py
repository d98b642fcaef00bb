"""`tf.version`: the version of TensorFlow whose names and rules the bridge has.

>>> import cnnrs.compat.tf as tf
>>> tf.version.VERSION == tf.__version__
True
"""

from __future__ import annotations

from cnnrs import _core
from cnnrs.compat.tf.namespaces import unknown

__all__ = ["COMPILER_VERSION", "GIT_VERSION", "GRAPH_DEF_VERSION", "VERSION"]

VERSION = "2.16.1"
GIT_VERSION = f"cnnrs {_core.__version__}"
COMPILER_VERSION = "rustc"
GRAPH_DEF_VERSION = 1766

__getattr__ = unknown("tf.version", {}, __all__)
