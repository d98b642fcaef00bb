"""What layers share that are made of other layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cnnrs import activations, serialization
from cnnrs.base.suggest import did_you_mean
from cnnrs.layers.arguments import Parts, looked_up
from cnnrs.layers.base import Layer
from cnnrs.layers.calls import _symbols
from cnnrs.layers.input_spec import InputSpec
from cnnrs.ops.spatial import image_data_format, spatial_numbers
from cnnrs.serialization.objects import sharing

__all__ = ["ComposedLayer", "activation_argument", "copy_of", "in_turn", "layer_argument", "window_argument"]


def layer_argument(value: Any, names: Mapping[str, Any], owner: str, argument: str) -> str | Layer | None:
    """An argument that says which layer is put somewhere, checked.

    Args:
        value: None for no layer, a name, a layer that is copied, a function or class that makes one when it
            is called without arguments, or the config of a layer.
        names: The known names.
        owner: Name of the layer whose argument it is.
        argument: Name of the argument.

    Returns:
        None, the name, or a layer of which `copy_of` makes copies.

    Raises:
        ValueError: It is none of these.
    """
    if value is None or isinstance(value, Layer):
        return value
    if isinstance(value, str) and value in names:
        return value
    made = value
    if isinstance(value, dict) and "class_name" in value:
        made = serialization.deserialize_keras_object(value)
    elif callable(value):
        made = value()
    if isinstance(made, Layer):
        return made
    hint = did_you_mean(value, names) if isinstance(value, str) else ""
    raise ValueError(
        f"{owner}: {argument}: expected {', '.join(map(repr, names))}, None, a layer, or a function without "
        f"arguments that makes one, received {value!r}{hint if 'did' in hint else ''}"
    )


def activation_argument(value: Any, owner: str, argument: str = "activation") -> Any:
    """An argument that names an activation: a function, or a layer of which `copy_of` makes copies.

    Args:
        value: The argument.
        owner: Name of the layer whose argument it is.
        argument: Its name.

    Raises:
        ValueError: There is no activation of that name.
        TypeError: It is neither a name nor callable.
    """
    if isinstance(value, type) and issubclass(value, Layer):
        return value()
    if isinstance(value, dict) and isinstance(value.get("config"), dict):
        return serialization.deserialize_keras_object(value)
    return looked_up(value, activations, owner, argument)


def copy_of(layer: Layer, **options: Any) -> Any:
    """A layer with the arguments of another one, and weights of its own.

    Args:
        layer: The layer that is copied.
        **options: Arguments that are others, as `name`; those that the layer does not take are left out.

    >>> from cnnrs import layers
    >>> copy_of(layers.BatchNormalization(epsilon=1e-5), name="norm").epsilon
    1e-05
    """
    # Numbers of shared objects in a file that is being read are not those of this config.
    with sharing():
        config = layer.get_config()
        return type(layer).from_config({**config, **{k: v for k, v in options.items() if k in config}})


# Plans keep a row for each tap of a depthwise filter: a window that no image fills would take all memory.
_WIDEST = 1023


def window_argument(value: Any, owner: str, argument: str = "kernel_size") -> tuple[int, int]:
    """The size of a filter: an integer, or one for height and width, checked.

    Args:
        value: The argument.
        owner: Name of the layer whose argument it is.
        argument: Its name.

    Raises:
        ValueError: It is none of these, or a number is less than 1 or more than 1023.

    >>> window_argument((3, 5), "block")
    (3, 5)
    """
    height, width = spatial_numbers(value, f"{owner}: {argument}", 2, 1)
    if max(height, width) > _WIDEST:
        raise ValueError(f"{owner}: {argument}: expected at most {_WIDEST} along an axis, received {value!r}")
    return height, width


def in_turn(x: Any, *steps: Callable[[Any], Any] | None) -> Any:
    """`x` through layers and functions, one after the other. None stands for a layer that is left out.

    >>> in_turn(3, abs, None, float)
    3.0
    """
    for step in steps:
        if step is not None:
            x = step(x)
    return x


class ComposedLayer(Layer):
    """The base of layers of feature maps that are made of other layers.

    A subclass keeps its arguments with `_keep`, makes the layers inside in `_make_layers(input_shape)`, and
    uses them in `call`. They are built with the shapes that they meet when a call is recorded, so that a
    subclass computes no shapes. Arguments that are layers are patterns: each use makes a copy of them.

    Args:
        kernel_initializer: How kernels start.
        kernel_regularizer: Penalty of kernels.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        **kwargs: As for `Layer`.
    """

    # Patterns, which are no layers of the block.
    _unowned = Layer._unowned | {"_kept", "activation", "attention", "gate", "norm"}

    # Axes of an input; None where a subclass has several inputs.
    _input_ndim: int | None = 4

    def __init__(
        self,
        *,
        kernel_initializer: Any = "glorot_uniform",
        kernel_regularizer: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self._parts = Parts(
            self, kernel_initializer=kernel_initializer, kernel_regularizer=kernel_regularizer
        )
        self._kept: dict[str, None] = {}
        self._keep(data_format=image_data_format(data_format, self.name))
        if self._input_ndim is not None:
            self.input_spec = InputSpec(ndim=self._input_ndim)

    def _keep(self, **arguments: Any) -> None:
        """Makes checked arguments attributes, and entries of the config."""
        for name, value in arguments.items():
            setattr(self, name, value)
            self._kept[name] = None

    @property
    def _axis(self) -> int:
        """The axis of the channels."""
        return -1 if self.data_format == "channels_last" else 1

    @property
    def _spatial_axes(self) -> tuple[int, int]:
        return (1, 2) if self.data_format == "channels_last" else (2, 3)

    def _channels(self, input_shape: Any) -> int:
        channels = input_shape[self._axis]
        if channels is None:
            raise ValueError(
                f"{self.name}: expected a known number of channels, received shape {input_shape}"
            )
        return channels

    def _inside(self, name: str) -> dict[str, Any]:
        """Arguments of a layer inside."""
        return {"name": name, "dtype": self.dtype_policy, "trainable": self.trainable}

    def _weights(self) -> dict[str, Any]:
        """Arguments of a layer inside that has a kernel."""
        return {"kernel_initializer": self.kernel_initializer, "kernel_regularizer": self.kernel_regularizer}

    def _function(self, activation: Any, name: str) -> Any:
        """An activation for one place: the function, or a copy of the pattern."""
        return copy_of(activation, **self._inside(name)) if isinstance(activation, Layer) else activation

    def _make_layers(self, input_shape: Any) -> None:
        """Makes the layers inside, and weights of its own."""
        raise NotImplementedError(f"{type(self).__name__}: expected the class to define _make_layers()")

    def build(self, input_shape: Any) -> None:
        self._make_layers(input_shape)
        if self._input_ndim is not None:
            self.input_spec = InputSpec(ndim=self._input_ndim, axes={self._axis: self._channels(input_shape)})
        self._recorded_spec((_symbols(self._recorded_shape(input_shape), self.compute_dtype),), {})

    def _recorded_shape(self, input_shape: Any) -> Any:
        """Shapes of the call that builds the layers inside."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        kept = {name: _plain(getattr(self, name)) for name in self._kept}
        return {**super().get_config(), **kept, **self._parts.config()}


def _plain(value: Any) -> Any:
    """An argument as a config has it."""
    if isinstance(value, Layer):
        return serialization.serialize_keras_object(value)
    if callable(value):
        return activations.serialize(value)
    return value
