"""Layers around another layer."""

from __future__ import annotations

from typing import Any

from cnnrs import initializers, ops, serialization
from cnnrs.layers.arguments import positive
from cnnrs.layers.base import Layer
from cnnrs.layers.calls import _call_signature
from cnnrs.layers.input_spec import InputSpec
from cnnrs.layers.separate import computes_samples_alone
from cnnrs.ops import raw

__all__ = ["SpectralNormalization", "TimeDistributed", "Wrapper"]


class Wrapper(Layer):
    """The base of layers around another layer. A subclass defines `call`.

    Args:
        layer: The layer.

    >>> from cnnrs import layers
    >>> class Twice(layers.Wrapper):
    ...     def call(self, inputs):
    ...         return self.layer(self.layer(inputs))
    >>> Twice(layers.Dense(3)).layer.units
    3
    """

    def __init__(self, layer: Any, **kwargs: Any):
        if not isinstance(layer, Layer):
            raise ValueError(f"{type(self).__name__}: layer: expected a layer, received {layer!r}")
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer._build_with(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layer": serialization.serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        config = dict(config)
        layer = config.pop("layer")
        if isinstance(layer, dict):
            layer = serialization.deserialize_keras_object(layer, custom_objects=custom_objects)
        return cls(layer, **config)


class TimeDistributed(Wrapper):
    """A layer for each step of a sequence.

    Steps of layers that are known to compute each sample by itself, such as Dense and Conv2D, and of models
    of such layers, are computed as one batch of batch · steps samples.

    Args:
        layer: Computes a step.

    Input shape: (batch, steps, ...). Output shape: (batch, steps, ...).

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.TimeDistributed(layers.Conv2D(4, 3))(np.zeros((2, 10, 8, 8, 3))).shape
    (2, 10, 6, 6, 4)
    """

    _supports_masking = True

    def _step_shape(self, input_shape: Any) -> tuple[Any, ...]:
        if not isinstance(input_shape, (tuple, list)) or len(input_shape) < 3:
            raise ValueError(
                f"{self.name}: expected an input of at least 3 axes, received shape {input_shape}"
            )
        return (input_shape[0], *input_shape[2:])

    def build(self, input_shape: Any) -> None:  # type: ignore[override]  # it needs the shape
        super().build(self._step_shape(input_shape))

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, *rest = self.layer.compute_output_shape(self._step_shape(input_shape))
        return (batch, input_shape[1], *rest)

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        shape = tuple(inputs.shape)
        if mask is not None and tuple(mask.shape[:2]) != shape[:2]:
            raise ValueError(
                f"{self.name}: mask: expected shape {shape[:2]}, as the input's {shape}, "
                f"received {tuple(mask.shape)}"
            )
        names = _call_signature(type(self.layer)).mask_names
        if mask is not None and "mask" in names:
            separate = False
        else:
            separate = 0 not in shape[:2] and computes_samples_alone(self.layer)
        if separate:
            outputs = self.layer(ops.reshape(inputs, (-1, *shape[2:])))
            return ops.reshape(outputs, (*shape[:2], *outputs.shape[1:]))
        steps = []
        for i in range(shape[1]):
            kwargs = {"mask": mask[:, i]} if mask is not None and "mask" in names else {}
            steps.append(self.layer(inputs[:, i], **kwargs))
        return ops.stack(steps, axis=1)


class SpectralNormalization(Wrapper):
    """A layer whose kernel is divided by its largest singular value (Miyato et al. 2018) in training.

    Args:
        layer: A layer with a `kernel`, or with `embeddings`.
        power_iterations: Steps of the power method at each call.

    Weights: those of the layer, and vector_u (1, last extent of the kernel).

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layer = layers.SpectralNormalization(layers.Dense(10))
    >>> layer(np.ones((2, 3)), training=True).shape
    (2, 10)
    """

    def __init__(self, layer: Any, power_iterations: int = 1, **kwargs: Any):
        super().__init__(layer, **kwargs)
        self.power_iterations = positive(power_iterations, self.name, "power_iterations")

    def build(self, input_shape: Any) -> None:  # type: ignore[override]  # it needs the shape
        super().build(input_shape)
        self.input_spec = InputSpec(min_ndim=1, axes={-1: input_shape[-1]})
        # The wrapper's own weight, too, as in Keras: it comes first.
        self.kernel = kernel = self._kernel()
        self.vector_u = self.add_weight(
            shape=(1, kernel.shape[-1]),
            initializer=initializers.TruncatedNormal(stddev=0.02),
            trainable=False,
            name="vector_u",
            dtype=kernel.dtype,
        )

    def _kernel(self) -> Any:
        for name in ("kernel", "embeddings"):
            if getattr(self.layer, name, None) is not None:
                return getattr(self.layer, name)
        raise ValueError(
            f"{self.name}: layer: expected one with a kernel or embeddings, "
            f"received {type(self.layer).__name__}"
        )

    def call(self, inputs: Any, training: Any = False) -> Any:
        # A batch without samples trains nothing.
        if training and inputs.shape[0] != 0:
            vector_u, kernel = self.normalized_weights()
            zero = ops.all(ops.equal(self._kernel(), 0))
            self.vector_u.assign(ops.where(zero, self.vector_u, vector_u))
            self._kernel().assign(ops.where(zero, self._kernel(), kernel))
        return ops.cast(self.layer(inputs), inputs.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)

    def normalized_weights(self) -> tuple[Any, Any]:
        """The next `vector_u`, and the kernel over its largest singular value as they estimate it."""
        kernel = self._kernel().value
        rows = ops.reshape(kernel, (-1, kernel.shape[-1]))
        u = self.vector_u.value
        for _ in range(self.power_iterations):
            v = _unit(ops.matmul(u, ops.transpose(rows)))
            u = _unit(ops.matmul(v, rows))
        u, v = raw.stop_gradient(u), raw.stop_gradient(v)
        sigma = ops.matmul(ops.matmul(v, rows), ops.transpose(u))
        return u, ops.reshape(rows / sigma, kernel.shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "power_iterations": self.power_iterations}


def _unit(x: Any) -> Any:
    return x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x)), 1e-12))
