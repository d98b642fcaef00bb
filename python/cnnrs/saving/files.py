"""Models and weights in files: each format by the ending of the path.

`.safetensors` is cnnrs's own, `.keras`, `.weights.h5`, `.weights.json` and `.h5` are Keras's, which reads
what is written here. Files are written whole or not at all, and nothing in them is run as code.
"""

from __future__ import annotations

import os
from typing import Any

from cnnrs.base.arguments import file_path, named, reject
from cnnrs.base.user_warnings import warn_user
from cnnrs.saving import keras_archive, keras_weights, legacy_hdf5, native
from cnnrs.saving.weights import is_model
from cnnrs.serialization import hdf5
from cnnrs.serialization.formats import check_model_path, check_weights_path, kind_of_file, kind_of_path
from cnnrs.serialization.hdf5 import Group

__all__ = ["content", "load_model", "load_weights", "save_model", "save_weights", "write"]

# What `save_model` takes besides its arguments, as Keras does.
OPTIONS = ("include_optimizer", "save_format")

_NOT_BUILT = "{}: {} has no weights yet: expected a model that was built; call it on data, or build() it"


def content(model: Any, path: str = "m.safetensors", include_optimizer: bool = True) -> Any:
    """What a file of a model holds; its numbers stay as they are if training goes on before they are written.

    Args:
        model: A built model.
        path: Path of the file, whose ending says the format.
        include_optimizer: Whether the state of the optimizer is in it.
    """
    makers = {"keras": keras_archive.content, "hdf5": legacy_hdf5.content, "native": native.content}
    return makers[kind_of_path(path)](model, include_optimizer)


def write(path: str, content: Any, overwrite: bool = True) -> None:
    """Writes what `content` gave, atomically."""
    if not overwrite and os.path.exists(path):
        raise FileExistsError(f"{path!r} exists; pass overwrite=True to replace it")
    content.write(path)


@named
def save_model(model: Any, filepath: Any, overwrite: bool = True, zipped: Any = None, **kwargs: Any) -> None:
    """Writes architecture, weights, optimizer state and generator states, atomically.

    Args:
        model: A built model.
        filepath: Path ending in ".keras", ".h5" or ".safetensors"; or an open file of bytes, which then holds
            what a ".keras" file holds.
        overwrite: Whether an existing file is replaced.
        zipped: False writes the members of a ".keras" file into a folder; None and True write a file.
        **kwargs: `include_optimizer`: whether the optimizer and its state are written; the model of a file of
            Keras is not compiled without it. `save_format`, of Keras 2: what the ending says.

    Raises:
        ValueError: The path has another ending, or the model cannot be described in this format.
        OSError: The file cannot be written; whatever stood there is untouched.

    >>> import os, tempfile
    >>> import numpy as np
    >>> import cnnrs
    >>> model = cnnrs.Sequential([cnnrs.Input((3,)), cnnrs.layers.Dense(2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "m.keras")
    ...     cnnrs.saving.save_model(model, path)
    ...     again = cnnrs.saving.load_model(path)
    >>> x = np.ones((1, 3))
    >>> model(x).tolist() == again(x).tolist()
    True
    """
    include_optimizer = bool(kwargs.pop("include_optimizer", True))
    _check_save_format(kwargs.pop("save_format", None), filepath)
    reject(save_model, kwargs, OPTIONS)
    if not is_model(model):
        raise TypeError(f"save_model: expected a model, received {type(model).__name__}")
    if hasattr(filepath, "write"):
        keras_archive.content(model, include_optimizer).write_into(filepath)
        return
    if zipped is not None and not zipped:
        path = file_path(filepath, "save_model")
        if path.endswith((".keras", ".h5", ".hdf5", ".safetensors")):
            raise ValueError(
                f"save_model: zipped=False writes a folder: expected a path without the ending of a file, "
                f"received {path!r}"
            )
        if not overwrite and os.path.exists(path):
            raise FileExistsError(f"{path!r} exists; pass overwrite=True to replace it")
        if os.path.exists(path) and not os.path.exists(os.path.join(path, "config.json")):
            raise ValueError(f"{path!r}: expected nothing, or the folder of a model, received something else")
        keras_archive.content(model, include_optimizer).write_folder(path)
        return
    path = check_model_path(filepath)
    if zipped and kind_of_path(path) != "keras":
        raise ValueError(f"save_model: zipped=True: expected a path ending in '.keras', received {path!r}")
    write(path, content(model, path, include_optimizer), overwrite)


def _check_save_format(save_format: Any, filepath: Any) -> None:
    """The argument of Keras 2: accepted where it says what the ending says."""
    if save_format is None:
        return
    path = file_path(filepath, "save_model")
    endings = {"keras": (".keras",), "h5": (".h5", ".hdf5"), "hdf5": (".h5", ".hdf5")}
    if save_format not in endings:
        raise ValueError(
            f"save_model: save_format: expected 'keras' or 'h5', received {save_format!r}; Keras 3 has the "
            "argument no more, the ending of the path says the format: '.keras', '.h5' or '.safetensors'"
        )
    if not path.endswith(endings[save_format]):
        raise ValueError(
            f"save_model: save_format={save_format!r}: expected a path ending in "
            f"{endings[save_format][0]!r}, received {path!r}; Keras 3 has the argument no more, the ending "
            "says the format"
        )
    warn_user("save_model: save_format is deprecated since Keras 3: the ending of the path says the format")


@named
def load_model(
    filepath: Any, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True
) -> Any:
    """The model of a file that `save_model` or Keras wrote, ready to predict and to train on.

    Args:
        filepath: The file, or the folder that `zipped=False` made; or an open file of bytes that holds what a
            ".keras" file holds.
        custom_objects: Classes and functions by name, for those that are not registered.
        compile: Whether loss, optimizer and metrics are restored.
        safe_mode: Whether a file with code, such as a lambda, is refused. Whoever sets it to False trusts
            the file as a program.

    Raises:
        OSError: There is no such file, it cannot be read, or it is no regular file.
        ValueError: The file is truncated, damaged, foreign or newer than this release, or does not fit.
        TypeError: It names a class or function that is not known here.
        MemoryError: It, or the model that it describes, does not fit into memory.

    >>> import os, tempfile
    >>> import numpy as np
    >>> import cnnrs
    >>> model = cnnrs.Sequential([cnnrs.Input((3,)), cnnrs.layers.Dense(2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "m.safetensors")
    ...     cnnrs.saving.save_model(model, path)
    ...     again = cnnrs.saving.load_model(path)
    >>> x = np.ones((1, 3))
    >>> model(x).tolist() == again(x).tolist()
    True
    """
    if hasattr(filepath, "read"):
        if hasattr(filepath, "seekable") and filepath.seekable():
            # As Keras, whose archives are read from their end: a buffer just written to is read as it is.
            filepath.seek(0)
        raw = filepath.read()
        if not isinstance(raw, bytes):
            raise TypeError(f"load_model: expected a file of bytes, received one of {type(raw).__name__}")
        members = keras_archive.read(raw)
        return keras_archive.load_model(members, "the open file", custom_objects, compile, safe_mode)
    path = file_path(filepath, "load_model")
    arguments = (path, custom_objects, compile, safe_mode)
    if os.path.isdir(path) and os.path.exists(os.path.join(path, "config.json")):
        return keras_archive.load_model(keras_archive.read_folder(path), *arguments)
    kind = kind_of_file(path)
    if kind == "keras":
        return keras_archive.load_model(keras_archive.read(path), *arguments)
    if kind == "hdf5":
        return legacy_hdf5.load_model(hdf5.read(path), *arguments)
    if kind == "shards":
        raise ValueError(f"{path!r} holds weights alone; build the model and use load_weights")
    return native.load_model(*arguments)


@named
def save_weights(
    model: Any, filepath: Any, overwrite: bool = True, max_shard_size: Any = None, **kwargs: Any
) -> None:
    """Writes the weights alone, atomically. Keras's formats have the state of the optimizer, too.

    Args:
        model: A built model.
        filepath: Path ending in ".weights.h5" or ".weights.safetensors"; with `max_shard_size` in
            ".weights.json", a table of files beside it.
        overwrite: Whether an existing file is replaced.
        max_shard_size: Size of each file in GB, that is 2³⁰ bytes; None for one file.
        **kwargs: `objects_to_skip`: layers, or the optimizer, that are left out.

    >>> import os, tempfile
    >>> import numpy as np
    >>> import cnnrs
    >>> model = cnnrs.Sequential([cnnrs.Input((3,)), cnnrs.layers.Dense(2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "m.weights.h5")
    ...     cnnrs.saving.save_weights(model, path)
    ...     again = cnnrs.models.clone_model(model)
    ...     cnnrs.saving.load_weights(again, path)
    >>> x = np.ones((1, 3))
    >>> model(x).tolist() == again(x).tolist()
    True
    """
    skip = kwargs.pop("objects_to_skip", None)
    _check_save_format(kwargs.pop("save_format", None), filepath)
    reject(save_weights, kwargs)
    path = check_weights_path(filepath, sharded=max_shard_size is not None)
    if not model.built:
        raise ValueError(_NOT_BUILT.format("save_weights", model.name))
    if max_shard_size is not None:
        if path.endswith(".h5"):
            path = path.removesuffix(".h5") + ".json"
            warn_user(f"save_weights: with max_shard_size the file is a table, {path!r}")
        write(path, keras_weights.shards(model, max_shard_size, skip), overwrite)
    elif kind_of_path(path) == "hdf5":
        write(path, keras_weights.content(model, skip), overwrite)
    else:
        _refuse_skip(skip, "save_weights", path)
        write(path, native.weights_content(model), overwrite)


@named
def load_weights(model: Any, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
    """Reads weights from a file of weights or of a model, of any format.

    Files of Keras say where in a model each layer is; those of cnnrs go by name, or by order where names
    differ; legacy HDF5 goes by order. A layer with `load_own_variables` gets what its `save_own_variables`
    stored. What does not fit leaves the model as it was.

    Args:
        model: A built model.
        filepath: The file.
        skip_mismatch: Whether weights that are missing or of another shape are left as they are, with a
            warning that names them.
        **kwargs: `objects_to_skip`: layers, or the optimizer, that are left as they are. `by_name`: whether
            legacy HDF5 goes by the names of layers.

    >>> import os, tempfile
    >>> import numpy as np
    >>> import cnnrs
    >>> model = cnnrs.Sequential([cnnrs.Input((3,)), cnnrs.layers.Dense(2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "m.weights.safetensors")
    ...     cnnrs.saving.save_weights(model, path)
    ...     again = cnnrs.models.clone_model(model)
    ...     cnnrs.saving.load_weights(again, path)
    >>> x = np.ones((1, 3))
    >>> model(x).tolist() == again(x).tolist()
    True
    """
    skip, by_name = kwargs.pop("objects_to_skip", None), bool(kwargs.pop("by_name", False))
    reject(load_weights, kwargs)
    path = file_path(filepath, "load_weights")
    if not model.built:
        raise ValueError(_NOT_BUILT.format("load_weights", model.name))
    kind = kind_of_file(path)
    root = hdf5.read(path) if kind == "hdf5" else None
    legacy = _legacy_group(root) if root is not None else None
    if by_name and legacy is None:
        raise ValueError(
            f"load_weights: by_name: expected False but for legacy HDF5 files, received {path!r}"
        )
    if legacy is not None:
        _refuse_skip(skip, "load_weights", path)
        load = legacy_hdf5.load_weights_by_name if by_name else legacy_hdf5.load_weights
        load(model, legacy, path, skip_mismatch)
    elif root is not None:
        keras_weights.load(model, root, repr(path), skip, skip_mismatch)
    elif kind == "keras":
        keras_archive.load_weights(model, keras_archive.read(path), path, skip, skip_mismatch)
    elif kind == "shards":
        keras_weights.load_shards(model, path, skip, skip_mismatch)
    else:
        _refuse_skip(skip, "load_weights", path)
        native.load_weights(model, path, skip_mismatch)


def _legacy_group(root: Group) -> Group | None:
    """The group of weights by layers, in files of models and of weights as Keras 2 wrote them."""
    inner = root.groups.get("model_weights", root)
    has = any(key.startswith("layer_names") for key in inner.attrs)
    return inner if has else None


def _refuse_skip(skip: Any, owner: str, path: str) -> None:
    if skip:
        raise ValueError(
            f"{owner}: objects_to_skip: expected None but for files of Keras 3, received {path!r}"
        )
