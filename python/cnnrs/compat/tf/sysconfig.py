"""`tf.sysconfig`: how the library was built.

>>> import cnnrs.compat.tf as tf
>>> tf.sysconfig.get_build_info()["is_cuda_build"]
False
"""

from __future__ import annotations

from typing import Any

from cnnrs.compat.tf.namespaces import unknown

__all__ = ["get_build_info"]


def get_build_info() -> dict[str, Any]:
    """What the library was built with: no CUDA, for GPUs are reached by Vulkan, Metal or DirectX 12."""
    return {"is_cuda_build": False, "is_rocm_build": False, "is_tensorrt_build": False}


__getattr__ = unknown(
    "tf.sysconfig",
    {"get_compile_flags get_include get_lib get_link_flags": "there are no headers of kernels"},
    __all__,
)
