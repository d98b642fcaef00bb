"""Settings of the process."""

from __future__ import annotations

import os

from cnnrs import _core
from cnnrs.base import suggest
from cnnrs.base.arguments import integer, number
from cnnrs.base.consent import allow_code
from cnnrs.base.policies import dtype_policy, set_dtype_policy

__all__ = [
    "backend",
    "disable_flash_attention",
    "disable_interactive_logging",
    "disable_traceback_filtering",
    "dtype_policy",
    "enable_interactive_logging",
    "enable_unsafe_deserialization",
    "epsilon",
    "floatx",
    "get_num_threads",
    "image_data_format",
    "is_flash_attention_enabled",
    "is_interactive_logging_enabled",
    "is_nnx_enabled",
    "is_traceback_filtering_enabled",
    "max_epochs",
    "max_steps_per_epoch",
    "memory_info",
    "packed_limit",
    "precision",
    "release_memory",
    "set_backend",
    "set_debug",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "set_max_epochs",
    "set_max_steps_per_epoch",
    "get_device",
    "set_device",
    "set_dtype_policy",
    "set_num_threads",
    "set_packed_limit",
    "set_precision",
]

__getattr__ = suggest.without(
    "cnnrs.config",
    {
        "enable_traceback_filtering": "tracebacks have all their frames; the last line says what is wrong",
        "enable_flash_attention": "attention is fused where that is faster; there is nothing to choose",
    },
    __all__,
)

_LIMITS: dict[str, int | None] = {}
_SETTINGS = {"backend": "cnnrs", "epsilon": 1e-7, "image_data_format": "channels_last", "interactive": True}


def backend() -> str:
    """Name of the engine; under `python -m cnnrs.keras` "tensorflow", whose names serve there.

    >>> from cnnrs import config
    >>> config.backend()
    'cnnrs'
    """
    return str(_SETTINGS["backend"])


def answer_backend(backend: str) -> None:
    """Sets what `backend()` says: scripts ask it which functions serve beside those of Keras."""
    _SETTINGS["backend"] = backend


def enable_unsafe_deserialization() -> None:
    """Lets `load_model` read code, that is lambdas, in all files from now on, and `save` write them.

    Such code may do anything. Call it for files that you trust as programs.

    >>> from cnnrs import config
    >>> callable(config.enable_unsafe_deserialization)
    True
    """
    allow_code()


def set_backend(backend: str) -> None:
    """Accepts "cnnrs", the only engine.

    Raises:
        ValueError: It is another one.
    """
    if backend not in ("cnnrs", _SETTINGS["backend"]):
        raise ValueError(f"set_backend: backend: expected 'cnnrs', the only engine, received {backend!r}")


def _limit(setting: str, variable: str) -> int | None:
    """A limit of training: as it was set, else what the environment says."""
    if setting not in _LIMITS:
        text = os.environ.get(variable, "")
        value = int(text) if text.isdigit() else text
        _LIMITS[setting] = integer(value, variable, "value", least=1) if text else None
    return _LIMITS[setting]


def max_epochs() -> int | None:
    """The most epochs that `fit` trains, whatever it is told; None for no limit.

    The environment variable `KERAS_MAX_EPOCHS` sets it from outside.

    >>> from cnnrs import config
    >>> config.max_epochs() is None
    True
    """
    return _limit("epochs", "KERAS_MAX_EPOCHS")


def set_max_epochs(max_epochs: int | None) -> None:
    """Sets `max_epochs()`, for trying a long script.

    Args:
        max_epochs: The most epochs, or None.

    Raises:
        ValueError: It is no integer of at least 1.
    """
    value = None if max_epochs is None else integer(max_epochs, "set_max_epochs", "max_epochs", least=1)
    _LIMITS["epochs"] = value


def max_steps_per_epoch() -> int | None:
    """The most batches of an epoch of `fit`, of `evaluate` and of `predict`; None for no limit.

    The environment variable `KERAS_MAX_STEPS_PER_EPOCH` sets it from outside.

    >>> from cnnrs import config
    >>> config.max_steps_per_epoch() is None
    True
    """
    return _limit("steps", "KERAS_MAX_STEPS_PER_EPOCH")


def set_max_steps_per_epoch(max_steps_per_epoch: int | None) -> None:
    """Sets `max_steps_per_epoch()`, for trying a long script.

    Args:
        max_steps_per_epoch: The most batches, or None.

    Raises:
        ValueError: It is no integer of at least 1.
    """
    value = max_steps_per_epoch
    if value is not None:
        value = integer(value, "set_max_steps_per_epoch", "max_steps_per_epoch", least=1)
    _LIMITS["steps"] = value


def disable_traceback_filtering() -> None:
    """Tracebacks have all their frames; so they always do."""


def is_traceback_filtering_enabled() -> bool:
    """False: no frame is ever left out of a traceback."""
    return False


def disable_flash_attention() -> None:
    """Attention is computed in the one way that there is; so it always is."""


def is_flash_attention_enabled() -> bool:
    """False: there is one way to compute attention."""
    return False


def is_nnx_enabled() -> bool:
    """False: there is no Flax."""
    return False


def set_device(name: str) -> None:
    """Makes the process compute on a device, until it is set again; `cnnrs.device` does so for a block.

    Weights and tensors stay in the host's memory: what is computed next is computed there. The environment
    variable `CNNRS_DEVICE` sets it before the program starts.

    Args:
        name: "cpu" or "gpu", or as `cnnrs.devices()` names it.

    Raises:
        ValueError: There is no such device; the message says what to install.

    >>> from cnnrs import config
    >>> config.set_device("cpu")
    >>> config.get_device()
    'cpu'
    """
    _core.set_device(_device_name("set_device", name))


def get_device() -> str:
    """The kind of device that computes: "cpu" or "gpu".

    >>> from cnnrs import config
    >>> config.get_device()
    'cpu'
    """
    return _core.get_device()


def _device_name(caller: str, name: str) -> str:
    if not isinstance(name, str):
        raise ValueError(f'{caller}: name: expected a string such as "gpu:0", received {name!r}')
    return name


def set_num_threads(n: int) -> None:
    """How many threads runs use from now on. Results do not depend on it.

    Raises:
        ValueError: `n` is no integer from 1 to 1024.
    """
    if isinstance(n, bool) or not isinstance(n, int):
        raise ValueError(f"set_num_threads: n: expected an integer, received {n!r}")
    _core.set_num_threads(n)


def get_num_threads() -> int:
    """How many threads runs use."""
    return _core.get_num_threads()


def packed_limit() -> int:
    """The most bytes that packed filters of all models may have together; see `set_packed_limit`."""
    return _core.memory_info()["held_limit"]


def set_packed_limit(bytes: int) -> None:
    """Bounds the memory of filters that were folded and packed once for many runs.

    Models that predict keep such forms of their weights beside them. Batches and images of other sizes share
    them where they can. When all of them exceed the bound, those used longest ago are dropped, and made again
    when they are needed: results stay the same. What a run needs stays until it ends; a model that
    needs more than the bound makes its forms anew in each run.

    Args:
        bytes: The bound. Before the first call it is what the environment variable CNNRS_PACKED_BYTES says,
            else 1 GiB.

    Raises:
        ValueError: `bytes` is no integer of at least 0.

    >>> from cnnrs import config
    >>> config.set_packed_limit(256 << 20)
    >>> config.packed_limit()
    268435456
    >>> config.set_packed_limit(1 << 30)
    """
    if isinstance(bytes, bool) or not isinstance(bytes, int) or not 0 <= bytes < 2**63:
        raise ValueError(f"set_packed_limit: bytes: expected an integer >= 0, received {bytes!r}")
    _core.set_held_limit(bytes)


def memory_info() -> dict[str, int]:
    """Bytes of what outlasts runs.

    Returns:
        `packed`: folded and packed filters; `packed_limit`: the most that these may have; `idle`: memory
        that no run and no tensor uses at the moment; `device`: tensors in a GPU's memory. Tensors in the
        host's memory are not among them.

    >>> from cnnrs import config
    >>> sorted(config.memory_info())
    ['device', 'idle', 'packed', 'packed_limit']
    """
    info = _core.memory_info()
    return {
        "packed": info["held_bytes"],
        "packed_limit": info["held_limit"],
        "idle": info["idle_bytes"],
        "device": info["device_bytes"],
    }


def release_memory() -> None:
    """Gives memory back to the system that only spares work: plans, packed filters, room for intermediates.

    What is needed again is made again. Models and tensors stay as they are.

    >>> from cnnrs import config
    >>> config.release_memory()
    >>> config.memory_info()["packed"]
    0
    """
    _core.release_memory()


def set_debug(on: bool) -> None:
    """Whether every operation runs at once, unfused, and the first layer that makes a NaN raises an error."""
    _core.set_debug(bool(on))


def precision() -> str:
    """What kernels may do to sums of products: "fast" by default, or "strict".

    >>> from cnnrs import config
    >>> config.precision()
    'fast'
    """
    return _core.get_precision()


def set_precision(precision: str) -> None:
    """Chooses between speed and the rounding of plain float32 sums.

    Either way results are float32 and the same on every run and any number of threads. A function or model
    that has run before is recorded again when the setting differs from the one under which it was recorded.

    Args:
        precision: "fast" lets convolutions of stride 1 with filters of 2x2, 3x3, 4x4, or of 3, 5 or 7
            columns, and of stride 2 with larger ones use Winograd transforms, which multiply less and round
            about twice as much. The outputs of a tile (of 4x4 outputs, or 7 of a row, at most) then share
            their sums: an infinity or NaN in the image reaches all outputs of the tiles whose windows hold
            it, and a pixel far larger than the others leaves errors of about 1e-7 of its size on them, also
            where they do not see it. "strict" sums the products themselves: what a pixel is reaches the
            outputs whose filters meet it, and no other.

    Raises:
        ValueError: `precision` is neither.

    >>> from cnnrs import config
    >>> config.set_precision("strict")
    >>> config.precision()
    'strict'
    >>> config.set_precision("fast")
    """
    if not isinstance(precision, str) or precision not in ("strict", "fast"):
        raise ValueError(f"set_precision: precision: expected 'strict' or 'fast', received {precision!r}")
    _core.set_precision(precision)


def floatx() -> str:
    """The default float type: "float32"."""
    return "float32"


def set_floatx(value: str) -> None:
    """Accepts "float32", the only default of weights and functions; layers take a `dtype` of their own.

    Raises:
        ValueError: It is another one.
    """
    if value != "float32":
        raise ValueError(
            f"set_floatx: value: expected 'float32', the only default, received {value!r}; "
            f"pass dtype={value!r} to layers and functions"
        )


def epsilon() -> float:
    """A small number that keeps divisions and logarithms finite, 1e-7 by default."""
    return float(_SETTINGS["epsilon"])  # type: ignore[arg-type]


def set_epsilon(value: float) -> None:
    """Sets `epsilon()`.

    Args:
        value: A finite number above 0.

    Raises:
        ValueError: It is no such number.
    """
    _SETTINGS["epsilon"] = float(number(value, "set_epsilon", "value", above=0))


def image_data_format() -> str:
    """Where layers expect the channels of images unless told otherwise: "channels_last" by default."""
    return str(_SETTINGS["image_data_format"])


def set_image_data_format(data_format: str) -> None:
    """Sets `image_data_format()`."""
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(
            "set_image_data_format: data_format: "
            f"expected 'channels_last' or 'channels_first', received {data_format!r}"
        )
    _SETTINGS["image_data_format"] = data_format


def enable_interactive_logging() -> None:
    """`verbose="auto"` shows a progress bar on terminals.

    >>> from cnnrs import utils
    >>> utils.enable_interactive_logging()
    """
    _SETTINGS["interactive"] = True


def disable_interactive_logging() -> None:
    """`verbose="auto"` prints one line per epoch.

    >>> from cnnrs import utils
    >>> utils.disable_interactive_logging()
    >>> utils.is_interactive_logging_enabled()
    False
    >>> utils.enable_interactive_logging()
    """
    _SETTINGS["interactive"] = False


def is_interactive_logging_enabled() -> bool:
    """Whether `verbose="auto"` may show a progress bar.

    >>> from cnnrs import utils
    >>> utils.is_interactive_logging_enabled()
    True
    """
    return bool(_SETTINGS["interactive"])
