"""The names of TensorFlow that Keras scripts use, over cnnrs.

`import cnnrs.compat.tf as tf` takes the place of `import tensorflow as tf`. Names, arguments, defaults,
dtypes and shapes are TensorFlow's; tensors are those of cnnrs, and `tf.keras` is cnnrs itself. A name that is
not here raises an AttributeError that says what to write instead.

Functions take what TensorFlow's take: tensors, variables, arrays, nested lists and numbers; symbolic tensors
of functional models too. As there, tensors of floats do not meet tensors of integers: `tf.cast` one of them.
All functions have an argument `name`, which begins the message of an error.

>>> import cnnrs.compat.tf as tf
>>> x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
>>> with tf.GradientTape() as tape:
...     tape.watch(x)
...     y = tf.reduce_sum(tf.square(x), axis=-1)
>>> tape.gradient(y, x).numpy().tolist()
[[2.0, 4.0], [6.0, 8.0]]
>>> x.shape.as_list(), x.dtype == tf.float32, tf.argmax(x, axis=-1).dtype.name
([2, 2], True, 'int64')
"""

from __future__ import annotations

import importlib
from typing import Any

from cnnrs.compat.tf import tensors as tensors  # which gives tensors what they have in TensorFlow
from cnnrs.compat.tf.absent import OF_TF
from cnnrs.compat.tf.namespaces import unknown

# Modules of this package that are modules of TensorFlow.
_SUBMODULES = frozenset(
    """autograph bitwise compat config data debugging distribute dtypes errors experimental image io
    linalg lookup math nest nn ragged random saved_model signal sparse strings summary sysconfig test
    train types version""".split()
)

# Modules of Keras that TensorFlow has under names of its own.
_OF_KERAS = {
    "keras": "cnnrs.keras",
    **{name: f"cnnrs.{name}" for name in ("initializers", "losses", "metrics", "optimizers")},
}

# Where the names stand that TensorFlow has at its root.
_MODULES = {
    "arrays": """batch_to_space broadcast_dynamic_shape broadcast_static_shape broadcast_to concat expand_dims
        eye fill identity identity_n linspace meshgrid newaxis one_hot ones ones_like
        pad parallel_stack range rank repeat reshape reverse roll shape shape_n size space_to_batch
        split squeeze stack tile transpose unstack zeros zeros_like""",
    "control": "case cond foldl foldr map_fn scan switch_case vectorized_map while_loop",
    "dtypes": """DType as_dtype bfloat16 bool cast complex complex128 complex64 double float16 float32
        float64 half int16 int32 int64 int8 saturate_cast string uint16 uint32 uint64 uint8""",
    "elementwise": """abs acos acosh add add_n asin asinh atan atan2 atanh clip_by_value cos cosh divide equal
        exp floor greater greater_equal less less_equal logical_and logical_not logical_or maximum
        minimum multiply negative not_equal pow round sigmoid sign sin sinh sqrt square subtract tan
        tanh truediv truncatediv truncatemod""",
    "functions": """Function GradientTape UnconnectedGradients control_dependencies custom_gradient device
        executing_eagerly function get_logger get_static_value grad_pass_through group init_scope
        inside_function is_symbolic_tensor name_scope no_op numpy_function print py_function
        recompute_grad stop_gradient timestamp""",
    "linalg": "clip_by_global_norm clip_by_norm einsum global_norm matmul norm tensordot",
    "modules": "Module TensorArray",
    "reductions": """argmax argmin argsort cumsum reduce_all reduce_any reduce_logsumexp reduce_max
        reduce_mean reduce_min reduce_prod reduce_sum sort""",
    "selecting": """boolean_mask dynamic_partition dynamic_stitch ensure_shape gather gather_nd scatter_nd
        searchsorted sequence_mask slice strided_slice tensor_scatter_nd_add tensor_scatter_nd_max
        tensor_scatter_nd_min tensor_scatter_nd_sub tensor_scatter_nd_update unique
        unique_with_counts unravel_index where""",
    "shapes": "TensorShape TensorSpec",
    "sparse": "SparseTensor edit_distance",
    "strings": "as_string",
    "tensors": """Assert IndexedSlices Tensor Variable VariableAggregation VariableSynchronization constant
        constant_initializer convert_to_tensor is_tensor make_ndarray make_tensor_proto
        ones_initializer random_normal_initializer random_uniform_initializer zeros_initializer""",
}

_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}
# The version whose names and rules these are: scripts compare it.
__version__ = "2.16.1"

__all__ = [
    "__version__",
    *sorted({*_SUBMODULES, *_OF_KERAS, *_HOMES}),
]


_unknown = unknown("tf", OF_TF, __all__)


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _OF_KERAS:
        value = importlib.import_module(_OF_KERAS[name])
    elif name in _HOMES:
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    else:
        return _unknown(name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
