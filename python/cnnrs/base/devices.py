"""Which devices there are, and on which one a block of code computes."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from cnnrs import _core

__all__ = ["Device", "device", "devices"]


@dataclass(frozen=True)
class Device:
    """A device of this machine.

    Attributes:
        name: What `cnnrs.device` and `config.set_device` take: "cpu:0", "gpu:0".
        kind: "processor", "discrete" or "integrated" for GPUs, "software" for a driver that computes on the
            processor, "other".
        description: Its name, or for a processor its instruction set and the number of threads.
        driver: The interface and the driver that reach it; empty for a processor.
    """

    name: str
    kind: str
    description: str
    driver: str


def devices() -> list[Device]:
    """The devices of this machine, the one that is used by itself first.

    A GPU needs nothing but its driver, with Vulkan, Metal or DirectX 12. Drivers that compute on the
    processor are listed where `CNNRS_ADAPTER=software` asks for them.

    >>> import cnnrs
    >>> cnnrs.devices()[0].name
    'cpu:0'
    """
    return list(_found(tuple(os.environ.get(name) for name in _VARIABLES)))


# What a process sees of adapters follows these alone: drivers take up to a second to list them.
_VARIABLES = ("CNNRS_ADAPTER", "CNNRS_ADAPTER_COPIES", "CNNRS_GPU_PROBE")

# A driver may crash when it is asked for its adapters, so that another process asks first, once for a set of
# drivers. It loads the extension alone: nothing of the package, and no site.
_PROBE = """\
import sys
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("cnnrs._core", sys.argv[1])
module = module_from_spec(spec)
spec.loader.exec_module(module)
module.devices()
"""


def _is_python(executable: str) -> bool:
    """Whether a program takes Python's arguments: one made of a script does not, and would start itself."""
    name = os.path.basename(executable).lower()
    return name.startswith(("python", "pypy")) and not hasattr(sys, "frozen")


if _is_python(sys.executable or ""):
    _core.set_probe([sys.executable, "-I", "-S", "-c", _PROBE, _core.__file__])


@functools.lru_cache(maxsize=8)
def _found(variables: tuple[str | None, ...]) -> tuple[Device, ...]:
    return tuple(Device(*fields) for fields in _core.devices())


@contextlib.contextmanager
def device(name: str) -> Iterator[None]:
    """Computes on a device what the block asks for, in the thread that runs it.

    What a block records and does not look at is computed where it is looked at: ask for values inside.

    Args:
        name: "cpu" or "gpu", or as `cnnrs.devices()` names it; capitals do not matter.

    Raises:
        ValueError: There is no such device; the message says what to install.

    >>> import cnnrs
    >>> from cnnrs import ops
    >>> with cnnrs.device("cpu:0"):
    ...     total = float(ops.sum([1.0, 2.0]))
    >>> total
    3.0
    """
    if not isinstance(name, str):
        raise ValueError(f'device: name: expected a string such as "gpu:0", received {name!r}')
    before = _core.set_thread_device(name)
    try:
        yield
    finally:
        _core.restore_thread_device(before)
