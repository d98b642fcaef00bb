"""Utilities: seeds, labels, progress, serialisation."""

from __future__ import annotations

import gc
import random as _random
from typing import Any

import numpy as np

from cnnrs import identifiers
from cnnrs.saving import CustomObjectScope, custom_object_scope, register_keras_serializable
from cnnrs.utils.explaining import explain
from cnnrs.utils.profiling import profile
from cnnrs.utils.progbar import Progbar

__all__ = [
    "CustomObjectScope",
    "Progbar",
    "clear_session",
    "custom_object_scope",
    "explain",
    "is_keras_tensor",
    "normalize",
    "profile",
    "register_keras_serializable",
    "set_random_seed",
    "standardize_dtype",
    "to_categorical",
]


def set_random_seed(seed: int) -> None:
    """Seeds Python's `random`, numpy and cnnrs, so that a script gives the same numbers every time.

    Args:
        seed: Integer of 0..2³² - 1.

    Example:

    >>> import cnnrs
    >>> cnnrs.utils.set_random_seed(7)
    >>> a = cnnrs.initializers.GlorotUniform()((2, 2))
    >>> cnnrs.utils.set_random_seed(7)
    >>> bool((a == cnnrs.initializers.GlorotUniform()((2, 2))).all())
    True
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        raise ValueError(f"set_random_seed: seed: expected an integer of 0..2**32 - 1, received {seed!r}")
    from cnnrs.random import seed_everything

    _random.seed(int(seed))
    np.random.seed(int(seed))  # noqa: NPY002 - users draw from the legacy generator
    seed_everything(int(seed))


def clear_session(free_memory: bool = True) -> None:
    """Automatic names start afresh, and memory that only caches hold is freed.

    Models and tensors that are still referred to stay as they are.

    Args:
        free_memory: Whether cached plans are dropped and memory for intermediates goes back to the system.

    >>> import cnnrs
    >>> cnnrs.utils.clear_session()
    >>> cnnrs.layers.Flatten().name
    'flatten'
    """
    from cnnrs import _core, naming

    naming.reset_uids()
    if free_memory:
        gc.collect()
        _core.release_memory()


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """Integer labels as one-hot rows of dtype float32.

    >>> from cnnrs import utils
    >>> utils.to_categorical([0, 2], 3)
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    labels = np.asarray(x).astype("int64")
    shape = labels.shape
    if len(shape) > 1 and shape[-1] == 1:
        shape = shape[:-1]
    flat = labels.reshape(-1)
    count = int(flat.max()) + 1 if num_classes is None and flat.size else int(num_classes or 0)
    if flat.size and (flat.min() < 0 or flat.max() >= count):
        raise ValueError(
            f"to_categorical: expected labels of 0..{count - 1}, received {flat.min()} to {flat.max()}"
        )
    hot = np.zeros((flat.size, count), "float32")
    hot[np.arange(flat.size), flat] = 1.0
    return hot.reshape(*shape, count)


def normalize(x: Any, axis: int = -1, order: int = 2) -> Any:
    """`x` over its norm along `axis`; zeros stay zeros.

    Args:
        x: Array.
        axis: The axis of the vectors.
        order: Order of the norm.

    >>> from cnnrs import utils
    >>> utils.normalize([[3.0, 4.0]]).tolist()
    [[0.6, 0.8]]
    """
    x = np.asarray(x)
    norm = np.atleast_1d(np.linalg.norm(x, order, axis))
    norm[norm == 0] = 1
    return x / np.expand_dims(norm, axis)


def is_keras_tensor(x: Any) -> bool:
    """Whether `x` is a symbolic tensor.

    >>> import cnnrs
    >>> cnnrs.utils.is_keras_tensor(cnnrs.Input((2,)))
    True
    """
    from cnnrs.symbolic import KerasTensor

    return isinstance(x, KerasTensor)


def standardize_dtype(dtype: Any) -> str:
    """The name of an element type; "float32" for None.

    >>> from cnnrs import utils
    >>> utils.standardize_dtype("int64")
    'int32'
    """
    from cnnrs.ops.dispatch import standardize_dtype as standardize

    return standardize(dtype)


_missing = identifiers.without(
    "cnnrs.utils",
    {
        "plot_model model_to_dot": "use model.summary()",
        "load_img img_to_array array_to_img save_img": "use Pillow and numpy",
        "image_dataset_from_directory": "give fit a utils.PyDataset that reads the files",
        "audio_dataset_from_directory text_dataset_from_directory": "cnnrs is for images",
        "timeseries_dataset_from_array pad_sequences": "cnnrs is for images",
        "FeatureSpace": "cnnrs is for images",
    },
    __all__,
)

# Defined beside the trainer, which this module is imported by.
_DATA = {"PyDataset": "PyDataset", "Sequence": "PyDataset"}
_DATA |= {name: name for name in ("pack_x_y_sample_weight", "unpack_x_y_sample_weight")}


def __getattr__(name: str) -> Any:
    if name not in _DATA:
        return _missing(name)
    from cnnrs.models import data_adapter

    return getattr(data_adapter, _DATA[name])
