"""A recurrent layer in both directions."""

from __future__ import annotations

from typing import Any

from cnnrs import ops, serialization, tree
from cnnrs.layers.base import Layer
from cnnrs.layers.calls import _call_signature

__all__ = ["Bidirectional"]

_MODES = ("sum", "mul", "ave", "concat", None)


class Bidirectional(Layer):
    """A recurrent layer that goes along a sequence forwards, and another one backwards.

    Args:
        layer: The layer, of which both directions get a copy.
        merge_mode: How outputs are merged: "concat", "sum", "mul", "ave", or None for both of them.
        weights: Arrays to start with, those of the forward layer first; None for the initializers'.
        backward_layer: The layer that goes backwards, if it is not to be like the other.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.Bidirectional(layers.LSTM(4, return_sequences=True))(np.zeros((2, 7, 3))).shape
    (2, 7, 8)
    """

    _supports_masking = True

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ):
        for argument, given in (("layer", layer), ("backward_layer", backward_layer)):
            if not isinstance(given, Layer) and not (given is None and argument == "backward_layer"):
                raise ValueError(f"Bidirectional: {argument}: expected a layer, received {given!r}")
        if merge_mode not in _MODES:
            raise ValueError(f"Bidirectional: merge_mode: expected one of {_MODES}, received {merge_mode!r}")
        super().__init__(**kwargs)
        self.forward_layer = _copy(layer, "forward_")
        self.backward_layer = backward_layer or _copy(layer, "backward_", go_backwards=True)
        self._check_directions()
        for own in (self.forward_layer, self.backward_layer):
            if getattr(own, "zero_output_for_mask", None) is not None:
                own.zero_output_for_mask = own.return_sequences
        self.merge_mode = merge_mode
        self._start = weights
        self.stateful = layer.stateful
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.input_spec = layer.input_spec

    def _check_directions(self) -> None:
        forward, backward = self.forward_layer, self.backward_layer
        if forward.go_backwards == backward.go_backwards:
            raise ValueError(
                f"{self.name}: backward_layer: expected another go_backwards than {forward.go_backwards}"
            )
        for name in ("stateful", "return_sequences", "return_state"):
            if getattr(forward, name) != getattr(backward, name):
                raise ValueError(
                    f"{self.name}: backward_layer: expected {name}={getattr(forward, name)}, as layer has, "
                    f"received {getattr(backward, name)}"
                )

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer._build_with(sequences_shape)
        if self._start:
            half = len(self._start) // 2
            self.forward_layer.set_weights(self._start[:half])
            self.backward_layer.set_weights(self._start[half:])

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: Any = None) -> Any:
        half = None if initial_state is None else len(initial_state) // 2
        both = []
        for layer, forwards in ((self.forward_layer, True), (self.backward_layer, False)):
            kwargs: dict[str, Any] = {}
            signature = _call_signature(type(layer))
            if signature.training_position is not None:
                kwargs["training"] = training
            if mask is not None and "mask" in signature.mask_names:
                kwargs["mask"] = mask
            if half is not None:
                kwargs["initial_state"] = initial_state[:half] if forwards else initial_state[half:]
            both.append(layer(sequences, **kwargs))
        states: tuple[Any, ...] = ()
        if self.return_state:
            states = (*both[0][1:], *both[1][1:])
            both = [outputs[0] for outputs in both]
        forward, backward = (ops.cast(output, self.compute_dtype) for output in both)
        if self.return_sequences:
            backward = ops.flip(backward, axis=1)
        if self.merge_mode is None:
            return (forward, backward, *states)
        if self.merge_mode == "concat":
            output = ops.concatenate([forward, backward], axis=-1)
        elif self.merge_mode == "mul":
            output = forward * backward
        else:
            output = forward + backward
            if self.merge_mode == "ave":
                output = output / 2.0
        return (output, *states) if self.return_state else output

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        output = self.forward_layer.compute_output_shape(sequences_shape)
        states: tuple[Any, ...] = ()
        if self.return_state:
            output, states = output[0], tuple(output[1:]) * 2
        if self.merge_mode is None:
            return (output, output, *states)
        if self.merge_mode == "concat":
            output = (*output[:-1], 2 * output[-1])
        return (output, *states) if self.return_state else output

    def compute_mask(self, inputs: Any, mask: Any) -> Any:
        mask = tree.flatten(mask)[0] if mask is not None else None
        output = mask if self.return_sequences else None
        outputs = (output, output) if self.merge_mode is None else (output,)
        if not self.return_state:
            return outputs if self.merge_mode is None else output
        return (*outputs, *[None] * 2 * len(getattr(self.forward_layer, "state_size", ())))

    @property
    def states(self) -> Any:
        """The states that `stateful` keeps, of both layers; None if there are none."""
        if self.forward_layer.states and self.backward_layer.states:
            return (*self.forward_layer.states, *self.backward_layer.states)
        return None

    def reset_state(self) -> None:
        """Sets the states that `stateful` keeps to 0."""
        if not self.stateful:
            raise AttributeError(f"{self.name}: reset_state: expected a layer with stateful=True")
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    def reset_states(self) -> None:
        """`reset_state`."""
        self.reset_state()

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "merge_mode": self.merge_mode,
            "layer": serialization.serialize_keras_object(self.forward_layer),
            "backward_layer": serialization.serialize_keras_object(self.backward_layer),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        config = dict(config)
        for name in ("layer", "backward_layer"):
            if isinstance(config.get(name), dict):
                config[name] = serialization.deserialize_keras_object(
                    config[name], custom_objects=custom_objects
                )
        return cls(**config)


def _copy(layer: Any, prefix: str, **other: Any) -> Any:
    """A layer with the config of another, and without its state."""
    config = {**layer.get_config(), **other, "name": prefix + layer.name.removeprefix(prefix)}
    return type(layer).from_config(config)
