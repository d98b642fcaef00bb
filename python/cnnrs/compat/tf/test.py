"""`tf.test`: `TestCase` with its comparisons, and what there is on the machine.

>>> import cnnrs.compat.tf as tf
>>> tf.test.is_built_with_cuda()
False
"""

from __future__ import annotations

import contextlib
import tempfile
import unittest
from typing import Any

import numpy as np

from cnnrs.compat.tf import config
from cnnrs.compat.tf.namespaces import unknown

__all__ = [
    "TestCase",
    "gpu_device_name",
    "is_built_with_cuda",
    "is_built_with_gpu_support",
    "is_gpu_available",
    "main",
]


class TestCase(unittest.TestCase):
    """A test case that compares tensors."""

    __test__ = False

    def assertAllEqual(self, a: Any, b: Any, msg: str | None = None) -> None:
        """Fails unless all elements are equal."""
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b), err_msg=msg or "")

    def assertAllClose(
        self, a: Any, b: Any, rtol: float = 1e-6, atol: float = 1e-6, msg: str | None = None
    ) -> None:
        """Fails unless all elements are close."""
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=rtol, atol=atol, err_msg=msg or "")

    def assertShapeEqual(self, input_a: Any, input_b: Any, msg: str | None = None) -> None:
        """Fails unless shapes are equal."""
        self.assertEqual(tuple(input_a.shape), tuple(input_b.shape), msg)

    def evaluate(self, tensors: Any) -> Any:
        """The values of tensors."""
        from cnnrs import tree

        return tree.map_structure(np.asarray, tensors)

    def get_temp_dir(self) -> str:
        """A folder that goes away with the test."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return folder.name

    def cached_session(self) -> Any:
        """A context manager that does nothing: there are no sessions."""
        return contextlib.nullcontext()


main = unittest.main


def is_built_with_cuda() -> bool:
    """False: GPUs are reached by Vulkan, Metal or DirectX 12."""
    return False


def is_built_with_gpu_support() -> bool:
    """True: GPUs compute where there are any."""
    return True


def gpu_device_name() -> str:
    """The name of a GPU, empty where there is none."""
    found = config.list_logical_devices("GPU")
    return found[0].name if found else ""


def is_gpu_available(cuda_only: bool = False, min_cuda_compute_capability: Any = None) -> bool:
    """Whether there is a GPU; none is reached by CUDA."""
    return not cuda_only and min_cuda_compute_capability is None and bool(config.list_physical_devices("GPU"))


__getattr__ = unknown(
    "tf.test",
    {
        "Benchmark benchmark_config is_built_with_rocm is_built_with_xla compute_gradient "
        "assert_equal_graph_def create_local_cluster experimental": "use pytest and numpy.testing"
    },
    __all__,
)
