"""`tf.math`: functions of single elements, along axes, and of both, by TensorFlow's names.

>>> import cnnrs.compat.tf as tf
>>> tf.math.l2_normalize(tf.constant([3.0, 4.0])).numpy().tolist()
[0.6000000238418579, 0.800000011920929]
"""

from __future__ import annotations

from typing import Any

from cnnrs.compat.tf import elementwise as _elementwise
from cnnrs.compat.tf import reductions as _reductions
from cnnrs.compat.tf.elementwise import *  # noqa: F403 - the namespace is their union
from cnnrs.compat.tf.namespaces import operation, unknown
from cnnrs.compat.tf.reductions import *  # noqa: F403

ceil = _elementwise.ceil


@operation
def softmax(logits: Any, axis: Any = None) -> Any:
    """e^x of the logits, divided by their sum along an axis, the last by default."""
    from cnnrs.compat.tf import nn

    return nn.softmax(logits, axis)


@operation
def log_softmax(logits: Any, axis: Any = None) -> Any:
    """The logarithm of `softmax`."""
    from cnnrs.compat.tf import nn

    return nn.log_softmax(logits, axis)


__all__ = [*_elementwise.__all__, *_reductions.__all__, "log_softmax", "softmax"]

_SCIPY = "use scipy.special on x.numpy(), outside of recorded functions"
__getattr__ = unknown(
    "tf.math",
    {
        "lgamma digamma polygamma zeta lbeta igamma igammac betainc erfcinv special bessel_i0e bessel_i1 "
        "bessel_i1e ": _SCIPY,
        "approx_max_k approx_min_k": "use tf.math.top_k",
        "sobol_sample": "use scipy.stats.qmc.Sobol",
        "invert_permutation": "use tf.argsort",
    },
    __all__,
)
