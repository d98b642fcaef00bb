"""Weights of torchvision's networks, between its arrays by name and the variables of layers of the same
names.

Filters lie as (out, in, height, width) there, and as (height, width, in, out) here; matrices of dense layers
are transposed; features that a dense layer reads flat have their channels first there, and last here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from cnnrs import layers
from cnnrs.applications.convnext import LayerScale
from cnnrs.base.arguments import file_path
from cnnrs.models import Model
from cnnrs.serialization.formats import FORMATS, kind_of_file

__all__ = ["load_state_dict", "load_weights", "state_dict"]

_PICKLES = (".pth", ".pt", ".pth.tar", ".bin")

# Names in files that older versions wrote.
_FORMER = (
    # Dense blocks, before parts had names without dots.
    (re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\."), r"\1\2."),
    # The dense layers of vision transformers.
    (re.compile(r"(encoder_layer_\d+\.mlp)\.linear_1\."), r"\1.0."),
    (re.compile(r"(encoder_layer_\d+\.mlp)\.linear_2\."), r"\1.3."),
)
# What batch normalisation counts and nothing reads.
_COUNTER = "num_batches_tracked"


class _Array(NamedTuple):
    """An array of torchvision, and the variables that hold it.

    Attributes:
        key: Its name.
        variables: Variables of a layer.
        shape: Its shape.
        read: From the array to values of the variables.
        write: From values of the variables to the array.
    """

    key: str
    variables: list[Any]
    shape: tuple[int, ...]
    read: Callable[[np.ndarray], list[np.ndarray]]
    write: Callable[[list[np.ndarray]], np.ndarray]


def _moved(key: str, variable: Any, axes: tuple[int, ...]) -> _Array:
    """An array whose axes lie in another order: axis i of the variable is axis `axes[i]` of the array."""
    back = tuple(int(axis) for axis in np.argsort(axes))
    shape = tuple(variable.shape[axis] for axis in back)
    return _Array(
        key, [variable], shape, lambda a: [a.transpose(axes)], lambda values: values[0].transpose(back)
    )


def _same(key: str, variable: Any) -> _Array:
    return _moved(key, variable, tuple(range(len(variable.shape))))


def _biased(layer: Any, kernel: _Array) -> Iterator[_Array]:
    yield kernel
    if layer.use_bias:
        yield _same(f"{layer.name}.bias", layer.bias)


def _convolution(layer: Any) -> Iterator[_Array]:
    return _biased(layer, _moved(f"{layer.name}.weight", layer.kernel, (2, 3, 1, 0)))


def _depthwise(layer: Any) -> Iterator[_Array]:
    return _biased(layer, _moved(f"{layer.name}.weight", layer.kernel, (2, 3, 0, 1)))


def _flattened(layer: Any) -> tuple[int, int, int] | None:
    """Height, width and channels of what a dense layer reads flat; None if it reads no images."""
    tensor = layer.input
    while tensor._keras_history is not None:
        maker, index, _ = tensor._keras_history
        (tensor, *_) = maker._inbound_nodes[index].inputs
        if isinstance(maker, layers.Flatten):
            return tensor.shape[1:] if len(tensor.shape) == 4 else None
        if not isinstance(maker, layers.Dropout):
            return None
    return None


def _dense(layer: Any) -> Iterator[_Array]:
    key, kernel = f"{layer.name}.weight", layer.kernel
    images = _flattened(layer)
    if images is None:
        return _biased(layer, _moved(key, kernel, (1, 0)))
    height, width, channels = images
    units = kernel.shape[1]

    def read(array: np.ndarray) -> list[np.ndarray]:
        return [array.reshape(units, channels, height, width).transpose(2, 3, 1, 0).reshape(-1, units)]

    def write(values: list[np.ndarray]) -> np.ndarray:
        return values[0].reshape(height, width, channels, units).transpose(3, 2, 0, 1).reshape(units, -1)

    return _biased(layer, _Array(key, [kernel], (units, kernel.shape[0]), read, write))


def _batch_norm(layer: Any) -> Iterator[_Array]:
    parts = {
        "weight": layer.gamma,
        "bias": layer.beta,
        "running_mean": layer.moving_mean,
        "running_var": layer.moving_variance,
    }
    return (_same(f"{layer.name}.{part}", variable) for part, variable in parts.items())


def _layer_norm(layer: Any) -> Iterator[_Array]:
    yield _same(f"{layer.name}.weight", layer.gamma)
    yield _same(f"{layer.name}.bias", layer.beta)


def _layer_scale(layer: Any) -> Iterator[_Array]:
    shape = (*layer.gamma.shape, 1, 1)
    yield _Array(
        layer.name, [layer.gamma], shape, lambda a: [a.reshape(-1)], lambda values: values[0].reshape(shape)
    )


def _tokens(layer: Any) -> Iterator[_Array]:
    yield _same("class_token", layer.token)
    embedding = layer.embedding
    shape = tuple(embedding.shape)
    yield _Array(layer.name, [embedding], shape, lambda a: [layer.resampled(a)], lambda values: values[0])


def _attention(layer: Any) -> Iterator[_Array]:
    """The three projections of attention are one array there, one behind the other."""
    parts = [layer._query_dense, layer._key_dense, layer._value_dense]
    kernels, biases = [part.kernel for part in parts], [part.bias for part in parts]
    channels = kernels[0].shape[0]

    def read(array: np.ndarray) -> list[np.ndarray]:
        return [part.T.reshape(kernels[0].shape) for part in np.split(array, 3)]

    def write(values: list[np.ndarray]) -> np.ndarray:
        return np.concatenate([value.reshape(channels, -1).T for value in values])

    yield _Array(f"{layer.name}.in_proj_weight", kernels, (3 * channels, channels), read, write)

    def read_bias(array: np.ndarray) -> list[np.ndarray]:
        return [part.reshape(biases[0].shape) for part in np.split(array, 3)]

    def write_bias(values: list[np.ndarray]) -> np.ndarray:
        return np.concatenate([value.reshape(-1) for value in values])

    yield _Array(f"{layer.name}.in_proj_bias", biases, (3 * channels,), read_bias, write_bias)
    out = layer._output_dense.kernel
    yield _Array(
        f"{layer.name}.out_proj.weight",
        [out],
        (channels, channels),
        lambda a: [a.T.reshape(out.shape)],
        lambda values: values[0].reshape(-1, channels).T,
    )
    yield _same(f"{layer.name}.out_proj.bias", layer._output_dense.bias)


_KINDS: dict[type, Callable[[Any], Iterator[_Array]]] = {
    layers.DepthwiseConv2D: _depthwise,
    layers.Conv2D: _convolution,
    layers.Dense: _dense,
    layers.BatchNormalization: _batch_norm,
    layers.LayerNormalization: _layer_norm,
    layers.MultiHeadAttention: _attention,
    layers.PatchTokens: _tokens,
    LayerScale: _layer_scale,
}


def _arrays(model: Any) -> list[_Array]:
    """All arrays of a model.

    Raises:
        ValueError: A layer is none of those of torchvision's networks.
    """
    found: list[Any] = []
    for layer in model.layers:
        if not layer.weights:
            continue
        if type(layer) not in _KINDS:
            raise ValueError(
                f"{model.name}: expected a network of cnnrs.applications.torchvision, received one with "
                f"the layer {layer.name!r}, a {type(layer).__name__}"
            )
        found += _KINDS[type(layer)](layer)
    return found


def load_state_dict(model: Model, state: dict[str, Any], source: str = "state") -> None:
    """Gives a network the arrays of torchvision's `state_dict()`.

    Arrays of parts that the model was built without, as a classifier or auxiliary ones, are left out.
    Embeddings of positions of another size of images are interpolated.

    Args:
        model: A network of `cnnrs.applications.torchvision`.
        state: Arrays by torchvision's names.
        source: What to call them in messages.

    Raises:
        ValueError: An array is missing, is of no layer or does not fit; the model is as it was.

    >>> from cnnrs.applications import torchvision
    >>> model = torchvision.squeezenet1_1(include_top=False)
    >>> state = torchvision.state_dict(model)
    >>> state["features.0.weight"].shape
    (64, 3, 3, 3)
    >>> torchvision.load_state_dict(model, state)
    """
    state = {_current(key): value for key, value in state.items() if not key.endswith(_COUNTER)}
    wanted = {array.key: array for array in _arrays(model)}
    roots = {layer.name.split(".")[0] for layer in model.layers}
    unknown = [key for key in state if key not in wanted and key.split(".")[0] in roots]
    missing = [key for key in wanted if key not in state]
    if missing or unknown:
        parts = [
            f"{len(keys)} {what}, as {keys[0]!r}"
            for keys, what in ((missing, "are missing"), (unknown, "too many"))
            if keys
        ]
        raise ValueError(
            f"{source}: expected the {len(wanted)} arrays of {model.name}, of which {'; '.join(parts)}: "
            "it is of another network, or the classifier has another form"
        )
    pairs: list[Any] = []
    for key, array in wanted.items():
        value = np.asarray(state[key])
        resampled = len(array.shape) == 3 and value.ndim == 3
        if value.shape != array.shape and not resampled:
            raise ValueError(
                f"{source}: {key}: expected shape {array.shape}, received {value.shape}; a classifier of "
                "other classes is left out by include_top=False"
            )
        pairs += zip(array.variables, array.read(value), strict=True)
    for variable, value in pairs:
        variable.assign(np.ascontiguousarray(value))


def _current(key: str) -> str:
    """The name that an array has today."""
    for former, name in _FORMER:
        key = former.sub(name, key)
    return key


def load_weights(model: Model, filepath: Any) -> None:
    """Gives a network the weights of a file: of torchvision's `state_dict()`, or of `model.save_weights`.

    Args:
        model: A network of `cnnrs.applications.torchvision`.
        filepath: A `.safetensors` file, as `safetensors.torch.save_file` writes it; or a file of this
        library.

    Raises:
        ValueError: The file is a pickle, or its arrays do not fit.
        OSError: There is no such file.
    """
    path = file_path(filepath, "load_weights")
    if path.endswith(_PICKLES):
        target = re.sub(r"(\.(pth|pt|tar|bin))+$", "", path) + ".safetensors"
        raise ValueError(
            f"{model.name}: weights: expected a .safetensors file, received {path!r}, a pickle, which may "
            "run any code when it is read. Where PyTorch and safetensors are installed, two lines convert "
            "it:\n"
            "    import torch; from safetensors.torch import save_file\n"
            f"    save_file(torch.load({path!r}, weights_only=True), {target!r})"
        )
    if kind_of_file(path) == "native":
        tensors, metadata, _ = FORMATS[0].read(path)
        if not any(key.startswith("cnnrs") for key in metadata):
            load_state_dict(model, tensors, repr(path))
            return
    model.load_weights(path)


def state_dict(model: Model) -> dict[str, np.ndarray]:
    """The weights of a network as torchvision's `state_dict()` has them, for PyTorch.

    Args:
        model: A network of `cnnrs.applications.torchvision`.

    Returns:
        Arrays by torchvision's names, without those that count batches.

    Raises:
        ValueError: A layer is none of those of torchvision's networks.

    >>> from cnnrs.applications import torchvision
    >>> state = torchvision.state_dict(torchvision.mobilenet_v3_small())
    >>> state["classifier.3.weight"].shape
    (1000, 1024)
    """
    return {
        array.key: np.ascontiguousarray(array.write([np.asarray(v.numpy()) for v in array.variables]))
        for array in _arrays(model)
    }
