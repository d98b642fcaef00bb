"""Keras's older names of `config.set_dtype_policy`, `dtype_policies` and `optimizers.LossScaleOptimizer`.

>>> from cnnrs import mixed_precision
>>> mixed_precision.set_global_policy("mixed_float16")
>>> mixed_precision.global_policy()
<DTypePolicy "mixed_float16">
>>> mixed_precision.set_global_policy("float32")
"""

from cnnrs.config import dtype_policy, set_dtype_policy
from cnnrs.dtype_policies import DTypePolicy
from cnnrs.optimizers import LossScaleOptimizer

__all__ = [
    "DTypePolicy",
    "LossScaleOptimizer",
    "Policy",
    "dtype_policy",
    "global_policy",
    "set_dtype_policy",
    "set_global_policy",
]

Policy = DTypePolicy
global_policy = dtype_policy
set_global_policy = set_dtype_policy
