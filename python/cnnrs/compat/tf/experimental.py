"""`tf.experimental`: `tf.experimental.numpy`, whose functions are those of `cnnrs.ops`.

>>> import cnnrs.compat.tf as tf
>>> tf.experimental.numpy.maximum(tf.constant([1, 5]), 3).numpy().tolist()
[3, 5]
"""

from __future__ import annotations

from typing import Any

from cnnrs import ops, random
from cnnrs.compat.tf.dtypes import as_dtype
from cnnrs.compat.tf.namespaces import unknown

__all__ = ["numpy"]


class _NumpyRandom:
    """`tf.experimental.numpy.random`."""

    @staticmethod
    def randint(low: int, high: int | None = None, size: Any = (), dtype: Any = "int64") -> Any:
        """Integers of `low` to `high`, which is excluded; one bound is the upper one."""
        least, most = (0, low) if high is None else (low, high)
        shape = (size,) if isinstance(size, int) else tuple(size)
        return random.randint(shape, least, most, dtype=as_dtype(dtype).name)

    @staticmethod
    def rand(*size: int) -> Any:
        """Numbers of 0 to 1."""
        return random.uniform(size)

    @staticmethod
    def randn(*args: int) -> Any:
        """Normally distributed numbers."""
        return random.normal(args)

    @staticmethod
    def uniform(low: float = 0.0, high: float = 1.0, size: Any = ()) -> Any:
        """Numbers of `low` to `high`."""
        return random.uniform((size,) if isinstance(size, int) else tuple(size), low, high)

    @staticmethod
    def seed(s: int) -> None:
        """Starts all draws afresh."""
        from cnnrs.compat.tf.random import set_seed

        set_seed(s)


class _Numpy:
    """`tf.experimental.numpy`: the functions of `cnnrs.ops` by numpy's names."""

    random = _NumpyRandom
    _NAMES = {"fix": "trunc", "asarray": "array", "absolute": "abs", "around": "round", "ravel": "ravel"}

    def __getattr__(self, name: str) -> Any:
        found = getattr(ops, self._NAMES.get(name, name), None)
        if found is None or name.startswith("_"):
            raise AttributeError(f"tf.experimental.numpy has no {name!r}; see cnnrs.ops", name=name, obj=None)
        return found

    @staticmethod
    def experimental_enable_numpy_behavior(
        prefer_float32: bool = False, dtype_conversion_mode: str = "legacy"
    ) -> None:
        """Checks the arguments: tensors have numpy's operators and promotion always.

        Raises:
            ValueError: The mode is not "legacy", "safe" or "all".
        """
        if dtype_conversion_mode not in ("legacy", "safe", "all", "off") or not isinstance(
            prefer_float32, bool
        ):
            raise ValueError(
                f"dtype_conversion_mode: expected legacy, safe or all, received {dtype_conversion_mode!r}"
            )


numpy = _Numpy()

__getattr__ = unknown(
    "tf.experimental",
    {
        "tensorrt": "models are not converted; predict computes",
        "dtensor dlpack Optional StructuredTensor BatchableExtensionType ExtensionType RowPartition": (
            "tensors are dense, on one device; they have __dlpack__"
        ),
        "register_filesystem_plugin async_scope async_clear_error": "there is no such thing here",
    },
    __all__,
)
