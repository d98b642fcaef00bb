"""`tf.distribute`: strategies over the one replica that there is.

A script that makes its model under `strategy.scope()` means the same with one replica, and runs. What needs
several processes or devices raises a ValueError, and so does looking for a TPU, which scripts expect where
there is none.

>>> import cnnrs.compat.tf as tf
>>> strategy = tf.distribute.MirroredStrategy()
>>> with strategy.scope():
...     v = tf.Variable(1.0)
>>> strategy.num_replicas_in_sync, float(strategy.run(lambda x: x + v, args=(2.0,)))
(1, 3.0)
"""

from __future__ import annotations

import contextlib
import enum
import json
import os
from collections.abc import Iterator
from typing import Any

from cnnrs import ops
from cnnrs.compat.tf.arguments import axis_of, tensor
from cnnrs.compat.tf.functions import device as _device
from cnnrs.compat.tf.namespaces import unknown

__all__ = [
    "CrossDeviceOps",
    "HierarchicalCopyAllReduce",
    "MirroredStrategy",
    "MultiWorkerMirroredStrategy",
    "NcclAllReduce",
    "OneDeviceStrategy",
    "ReduceOp",
    "ReductionToOneDevice",
    "ReplicaContext",
    "Strategy",
    "TPUStrategy",
    "cluster_resolver",
    "experimental",
    "get_replica_context",
    "get_strategy",
    "has_strategy",
    "in_cross_replica_context",
]

_CURRENT: list[Strategy] = []


class ReduceOp(enum.Enum):
    """How values of replicas are combined."""

    SUM = "SUM"
    MEAN = "MEAN"


class CrossDeviceOps:
    """How devices exchange values; there is one. `NcclAllReduce` and others are this class."""

    def __init__(self, num_packs: int = 1):
        if num_packs < 0:
            raise ValueError(f"num_packs: expected at least 0, received {num_packs}")
        self.num_packs = num_packs


NcclAllReduce = HierarchicalCopyAllReduce = ReductionToOneDevice = CrossDeviceOps


class ReplicaContext:
    """What a function knows of its replica: it is the only one."""

    num_replicas_in_sync = 1
    replica_id_in_sync_group = 0

    def __init__(self, strategy: Strategy):
        self.strategy = strategy

    def all_reduce(self, reduce_op: Any, value: Any) -> Any:
        """The value itself; `reduce_op` is SUM or MEAN."""
        _reduce_op(reduce_op)
        return value


def _reduce_op(reduce_op: Any) -> str:
    word = getattr(reduce_op, "name", str(reduce_op)).upper()
    if word not in ("SUM", "MEAN"):
        raise ValueError(f"tf.distribute: reduce_op: expected SUM or MEAN, received {reduce_op!r}")
    return word


class Strategy:
    """One replica on one device."""

    num_replicas_in_sync = 1

    @contextlib.contextmanager
    def scope(self) -> Iterator[Strategy]:
        """Context manager in which the strategy is that of `get_strategy`."""
        _CURRENT.append(self)
        try:
            yield self
        finally:
            _CURRENT.pop()

    def run(self, fn: Any, args: Any = (), kwargs: Any = None, options: Any = None) -> Any:
        """What the function gives; `options` is None."""
        if options is not None:
            raise ValueError("run: options: expected None; functions are always compiled")
        with self.scope():
            return fn(*args, **(kwargs or {}))

    def reduce(self, reduce_op: Any, value: Any, axis: Any) -> Any:
        """The value of the replica, its sum or mean along an axis if one is given."""
        word = _reduce_op(reduce_op)
        if axis is None:
            return value
        x = tensor(value)
        return (ops.sum if word == "SUM" else ops.mean)(x, axis=axis_of(axis, x.ndim, "distribute.reduce"))

    def gather(self, value: Any, axis: int) -> Any:
        """The value of the replica, which must have the axis."""
        axis_of(axis, tensor(value).ndim, "distribute.gather")
        return value

    def experimental_distribute_dataset(self, dataset: Any, options: Any = None) -> Any:
        """The data set itself; `options` is None."""
        if options is not None:
            raise ValueError(
                "experimental_distribute_dataset: options: expected None, for there is one replica"
            )
        return dataset

    def distribute_datasets_from_function(self, dataset_fn: Any, options: Any = None) -> Any:
        """What the function gives for the whole batch; `options` is None."""
        if options is not None:
            raise ValueError("distribute_datasets_from_function: options: expected None")
        return dataset_fn(InputContext())

    def experimental_local_results(self, value: Any) -> tuple[Any, ...]:
        """The value of each replica."""
        return (value,)


class InputContext:
    """What a function that makes data knows: it is the only one."""

    num_input_pipelines = 1
    input_pipeline_id = 0
    num_replicas_in_sync = 1

    def get_per_replica_batch_size(self, global_batch_size: int) -> int:
        """The whole batch."""
        return global_batch_size


class MirroredStrategy(Strategy):
    """One replica.

    Args:
        devices: None, or a list of one device.
        cross_device_ops: How devices would exchange values.

    Raises:
        ValueError: Several devices are asked for.
    """

    def __init__(self, devices: Any = None, cross_device_ops: Any = None):
        given = [devices] if isinstance(devices, str) else list(devices or [])
        if len(given) > 1:
            raise ValueError(
                f"MirroredStrategy: devices: expected one, received {given}; cnnrs trains on one device: "
                "start a process for each model"
            )
        if cross_device_ops is not None and not isinstance(cross_device_ops, CrossDeviceOps):
            raise ValueError(f"MirroredStrategy: cross_device_ops: received {cross_device_ops!r}")
        self._device = given[0] if given else None

    @contextlib.contextmanager
    def scope(self) -> Iterator[Strategy]:
        """Context manager in which the strategy is that of `get_strategy`, and its device computes."""
        with super().scope(), _device(self._device):
            yield self


class OneDeviceStrategy(MirroredStrategy):
    """One replica on a device.

    Args:
        device: Such as "/gpu:0".
    """

    def __init__(self, device: str):
        super().__init__([device])


class MultiWorkerMirroredStrategy(MirroredStrategy):
    """One replica in one process.

    Args:
        cluster_resolver: None.
        communication_options: None.

    Raises:
        ValueError: `TF_CONFIG` or an argument tells of other processes.
    """

    def __init__(self, cluster_resolver: Any = None, communication_options: Any = None):
        super().__init__()
        workers = json.loads(os.environ.get("TF_CONFIG") or "{}").get("cluster", {}).get("worker", [])
        if cluster_resolver is not None or communication_options is not None or len(workers) > 1:
            raise ValueError("MultiWorkerMirroredStrategy: expected one process; cnnrs trains in one")


_TPU = "there are no TPUs; use tf.distribute.get_strategy()"


class TPUStrategy(Strategy):
    """Raises ValueError: there are no TPUs."""

    def __init__(self, tpu_cluster_resolver: Any = None):
        raise ValueError(f"TPUStrategy: {_TPU}; received {tpu_cluster_resolver!r}")


class cluster_resolver:
    """`tf.distribute.cluster_resolver`."""

    class TPUClusterResolver:
        """Raises ValueError, as TensorFlow does where there is no TPU."""

        def __init__(self, tpu: Any = None, **kwargs: Any):
            raise ValueError(f"TPUClusterResolver: {_TPU}; received {tpu!r} {kwargs or ''}")

        @staticmethod
        def connect(tpu: Any = None, zone: Any = None, project: Any = None) -> Any:
            """Raises ValueError: there are no TPUs."""
            raise ValueError(f"TPUClusterResolver: {_TPU}; received {(tpu, zone, project)}")


class experimental:
    """`tf.distribute.experimental`."""

    MultiWorkerMirroredStrategy = MultiWorkerMirroredStrategy
    TPUStrategy = TPUStrategy


def get_strategy() -> Strategy:
    """The strategy of the scope around; the default one outside of scopes."""
    return _CURRENT[-1] if _CURRENT else _DEFAULT


def has_strategy() -> bool:
    """Whether there is a scope of a strategy around."""
    return bool(_CURRENT)


def in_cross_replica_context() -> bool:
    """Whether the code stands in a scope, outside of `run`."""
    return bool(_CURRENT)


def get_replica_context() -> ReplicaContext:
    """What the code knows of its replica."""
    return ReplicaContext(get_strategy())


_DEFAULT = Strategy()

__getattr__ = unknown(
    "tf.distribute",
    {
        "ParameterServerStrategy Server coordinator": "cnnrs trains in one process; use get_strategy()",
        "DistributedDataset DistributedIterator DistributedValues InputOptions "
        "InputReplicationMode RunOptions StrategyExtended": "there is one replica, whose values are tensors",
    },
    __all__,
)
