"""Names that TensorFlow has and the bridge has not, with what to write instead: what `unknown` takes."""

from __future__ import annotations

__all__ = ["OF_TF", "RAGGED"]

_GRAPHS = "it belongs to TensorFlow 1, whose graphs and sessions are gone; tensors have values"
RAGGED = "there are no ragged tensors; pad rows with tf.keras.utils.pad_sequences, and mask what was padded"
_SPARSE = "there are no sparse tensors; compute with dense ones"

OF_TF = {
    "Session placeholder get_variable variable_scope global_variables_initializer get_default_graph "
    "reset_default_graph get_default_session InteractiveSession AUTO_REUSE layers app flags logging "
    "local_variables_initializer trainable_variables contrib GraphKeys Operation import_graph_def Print "
    "placeholder_with_default disable_v2_behavior enable_eager_execution to_float to_int32 gfile": _GRAPHS,
    "RaggedTensor RaggedTensorSpec": RAGGED,
    "SparseTensorSpec": _SPARSE,
    "IndexedSlicesSpec OptionalSpec TensorArraySpec RegisterGradient type_spec_from_value TypeSpec": (
        "tensors are dense; tf.TensorSpec describes them"
    ),
    "lite": "models are not converted; model.save() writes them, and predict computes",
    "tpu": "there are no TPUs; tf.config.list_physical_devices says which devices there are",
    "estimator feature_column": "Keras 3 has it no more; use tf.keras.Model",
    "raw_ops": "call the function of tf, such as tf.nn.conv2d, or one of cnnrs.ops",
    "compiler mlir xla xla_all_reduce": "cnnrs compiles plans itself; tf.function(jit_compile=True) works",
    "profiler": "use cnnrs.utils.profile",
    "queue": "use tf.data, or Python's queue",
    "sets": "use Python's sets, or numpy's union1d, intersect1d and setdiff1d",
    "load_library load_op_library": "there are no kernels of TensorFlow; compute with cnnrs.ops",
    "bitcast": "use cnnrs.ops.view",
    "register_tensor_conversion_function": "give the object __array__; tensors are made of it then",
    "histogram_fixed_width histogram_fixed_width_bins": "use cnnrs.ops.histogram",
    "fingerprint hash": "use hashlib",
    "realdiv": "use tf.divide",
    "CriticalSection": "variables are locked by the runs that write them",
    "eigh": "use tf.linalg.eigh",
    "nondifferentiable_batch_function": "layers and functions take batches of any size",
    "gradients": "use tf.GradientTape",
    "hessians": "take a gradient in a tape inside of another one",
    "Graph": _GRAPHS,
    "no_gradient": "use tf.stop_gradient",
    "space_to_batch_nd": "use tf.space_to_batch",
    "required_space_to_batch_paddings": "choose paddings that the block divides",
    "audio": "cnnrs is for images; read sound with scipy.io.wavfile",
    "quantization": 'models are not quantized; dtype="bfloat16" makes weights smaller',
    "guarantee_const": "plans find out what is constant",
}
