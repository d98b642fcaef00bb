"""`tf.config`: the devices of cnnrs by TensorFlow's names, threads, and how functions run.

>>> import cnnrs.compat.tf as tf
>>> tf.config.list_physical_devices("CPU")
[PhysicalDevice(name='/physical_device:CPU:0', device_type='CPU')]
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cnnrs import config as _config
from cnnrs import random as _random
from cnnrs.base.devices import devices as _devices
from cnnrs.compat.tf.arguments import boolean
from cnnrs.compat.tf.namespaces import unknown
from cnnrs.compat.tf.settings import SETTINGS

__all__ = [
    "LogicalDevice",
    "LogicalDeviceConfiguration",
    "PhysicalDevice",
    "experimental",
    "functions_run_eagerly",
    "get_logical_device_configuration",
    "get_soft_device_placement",
    "get_visible_devices",
    "list_logical_devices",
    "list_physical_devices",
    "optimizer",
    "run_functions_eagerly",
    "set_logical_device_configuration",
    "set_soft_device_placement",
    "set_visible_devices",
    "threading",
]


class PhysicalDevice(NamedTuple):
    """A device of the machine."""

    name: str
    device_type: str


class LogicalDevice(NamedTuple):
    """A device as programs name it."""

    name: str
    device_type: str


class LogicalDeviceConfiguration(NamedTuple):
    """A part of a device's memory: all of it, for devices are not divided."""

    memory_limit: Any = None
    experimental_priority: Any = None
    experimental_device_ordinal: Any = None


def _found(prefix: str, cls: Any, device_type: str | None) -> list[Any]:
    kinds = [name.upper().partition(":") for name in sorted(device.name for device in _devices())]
    return [
        cls(f"{prefix}{kind}:{number}", kind)
        for kind, _, number in kinds
        if device_type is None or kind == str(device_type).upper()
    ]


def list_physical_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The devices of the machine, of one type such as "GPU" or of all."""
    return _found("/physical_device:", PhysicalDevice, device_type)


def list_logical_devices(device_type: str | None = None) -> list[LogicalDevice]:
    """The devices as programs name them."""
    return _found("/device:", LogicalDevice, device_type)


def get_visible_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The devices that are used: the one that `set_visible_devices` chose, and processors."""
    chosen = _config.get_device().partition(":")[0].upper()
    return [d for d in list_physical_devices(device_type) if d.device_type in ("CPU", chosen)]


def set_visible_devices(devices: Any, device_type: str | None = None) -> None:
    """Chooses the device that computes.

    Args:
        devices: Devices, the first of which is used; an empty list of GPUs chooses the processor.
        device_type: "CPU" or "GPU", if only these are meant.

    Raises:
        ValueError: One is no device of this machine.
    """
    given = (
        list(devices) if isinstance(devices, (list, tuple)) and not hasattr(devices, "name") else [devices]
    )
    known = {d.name for d in list_physical_devices()}
    for device in given:
        if getattr(device, "name", device) not in known:
            raise ValueError(f"set_visible_devices: expected devices of this machine, received {device!r}")
    gpus = [d for d in given if d.device_type == "GPU"]
    if gpus:
        _config.set_device(gpus[0].name.removeprefix("/physical_device:").lower())
    elif device_type in (None, "GPU"):
        _config.set_device("cpu")


def get_logical_device_configuration(device: Any) -> list[LogicalDeviceConfiguration] | None:
    """None: devices are not divided."""
    if device not in list_physical_devices():
        raise ValueError(f"expected a device of this machine, received {device!r}")
    return None


def set_logical_device_configuration(device: Any, logical_devices: Any) -> None:
    """Checks that a device is whole: devices are not divided.

    Raises:
        ValueError: The configuration asks for several devices, or for a part of the memory.
    """
    get_logical_device_configuration(device)
    given = list(logical_devices)
    if len(given) != 1 or any(value is not None for value in given[0]):
        raise ValueError(
            "devices are whole, and take what memory they need; cnnrs.config.memory_info() says it"
        )


def get_soft_device_placement() -> bool:
    """Whether `tf.device("/GPU:0")` means the processor on a machine without a GPU."""
    return SETTINGS.soft_device_placement


def set_soft_device_placement(enabled: bool) -> None:
    """Says whether `tf.device("/GPU:0")` means the processor on a machine without a GPU, else an error."""
    SETTINGS.soft_device_placement = boolean(enabled, "config.set_soft_device_placement", "enabled")


def run_functions_eagerly(run_eagerly: bool) -> None:
    """Says whether what `tf.function` decorates runs as Python."""
    SETTINGS.functions_run_eagerly = boolean(run_eagerly, "config.run_functions_eagerly", "run_eagerly")


def functions_run_eagerly() -> bool:
    """Whether what `tf.function` decorates runs as Python."""
    return SETTINGS.functions_run_eagerly


class experimental:
    """Names that once stood in `tf.config.experimental`."""

    VirtualDeviceConfiguration = LogicalDeviceConfiguration
    list_physical_devices = staticmethod(list_physical_devices)
    list_logical_devices = staticmethod(list_logical_devices)
    get_visible_devices = staticmethod(get_visible_devices)
    set_visible_devices = staticmethod(set_visible_devices)
    set_virtual_device_configuration = staticmethod(set_logical_device_configuration)

    @staticmethod
    def set_memory_growth(device: Any, enable: bool) -> None:
        """Checks a device: memory always grows as it is needed.

        Raises:
            ValueError: The device is none, or `enable` is False.
        """
        if device not in list_physical_devices():
            raise ValueError(f"set_memory_growth: expected a device of this machine, received {device!r}")
        if not enable:
            raise ValueError("set_memory_growth: expected True, for memory grows as it is needed")

    @staticmethod
    def get_memory_growth(device: Any) -> bool:
        """True: memory grows as it is needed."""
        return device in list_physical_devices()

    @staticmethod
    def get_memory_info(device: Any) -> dict[str, int]:
        """What cnnrs holds beside tensors of the host, in bytes, as "current"."""
        if not isinstance(device, str):
            raise ValueError(f"get_memory_info: expected a name such as 'GPU:0', received {device!r}")
        info = _config.memory_info()
        return {"current": info["packed"] + info["idle"] + info["device"]}

    @staticmethod
    def enable_op_determinism() -> None:
        """Checks that a seed was set: results are always the same bits."""
        if _random._stream is None:
            raise RuntimeError("enable_op_determinism: expected a seed; call tf.keras.utils.set_random_seed")

    @staticmethod
    def enable_tensor_float_32_execution(enabled: bool) -> None:
        """Says whether products of float32 may round their factors: `cnnrs.config.set_precision`."""
        _config.set_precision("fast" if boolean(enabled, "config", "enabled") else "strict")

    @staticmethod
    def get_device_details(device: Any) -> dict[str, Any]:
        """What is known of a device."""
        name = device.name.removeprefix("/physical_device:").lower()
        found = [device.description for device in _devices() if device.name == name]
        return {"device_name": found[0]} if found else {}


class optimizer:
    """`tf.config.optimizer`."""

    @staticmethod
    def set_jit(enabled: Any) -> None:
        """Checks the argument: plans are always compiled.

        Raises:
            ValueError: It is none of True, False and "autoclustering".
        """
        if enabled not in (True, False, "autoclustering"):
            raise ValueError(f"set_jit: expected True, False or 'autoclustering', received {enabled!r}")

    @staticmethod
    def get_jit() -> str:
        """ "": it is cnnrs that compiles, and always does."""
        return ""


class threading:
    """`tf.config.threading`."""

    @staticmethod
    def set_intra_op_parallelism_threads(num_threads: int) -> None:
        """Says how many threads compute; 0 leaves it to cnnrs."""
        if num_threads:
            _config.set_num_threads(num_threads)

    @staticmethod
    def get_intra_op_parallelism_threads() -> int:
        """How many threads compute."""
        return _config.get_num_threads()

    @staticmethod
    def set_inter_op_parallelism_threads(num_threads: int) -> None:
        """Checks the number: operations run one after the other, each on all threads."""
        if not isinstance(num_threads, (int, np.integer)) or num_threads < 0:
            raise ValueError(f"expected a number of at least 0, received {num_threads!r}")

    @staticmethod
    def get_inter_op_parallelism_threads() -> int:
        """1: operations run one after the other."""
        return 1


__getattr__ = unknown(
    "tf.config",
    {"experimental_connect_to_cluster experimental_connect_to_host": "there is one machine"},
    __all__,
)
