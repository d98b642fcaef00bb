"""Dense layers by an equation."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from cnnrs import activations, initializers, ops, regularizers
from cnnrs.layers.arguments import NoLora, Parts, looked_up, refuse_lora
from cnnrs.layers.base import Layer
from cnnrs.layers.input_spec import InputSpec

__all__ = ["EinsumDense"]

_FORMS = re.compile(
    r"(?P<before>\.\.\.)?(?P<input>[a-zA-Z]+)(?P<after>\.\.\.)?,(?P<kernel>[a-zA-Z]+)->"
    r"(?P<before_out>\.\.\.)?(?P<output>[a-zA-Z]+)(?P<after_out>\.\.\.)?"
)


class _Shapes(NamedTuple):
    """What an equation says of an input's shape.

    Attributes:
        kernel: Shape of the kernel.
        bias: Shape of the bias; None if there is none.
        output: Shape of the output.
        input_axes: Axes of the kernel that are summed over.
        output_axes: Axes of the kernel that are in the output.
    """

    kernel: tuple[int, ...]
    bias: tuple[int, ...] | None
    output: tuple[int | None, ...]
    input_axes: list[int]
    output_axes: list[int]


class EinsumDense(NoLora, Layer):
    """`activation(einsum(equation, inputs, kernel) + bias)`.

    Args:
        equation: Of `ops.einsum`, with two operands: "ab,bc->ac", "...b,bc->...c" or "ab...,bc->ac...".
        output_shape: Extents of the output without the batch and without what "..." stands for; None for
            those of the input.
        activation: Name or function; None for none.
        bias_axes: Letters of the output that the bias has; None for no bias.
        kernel_initializer, bias_initializer: How the weights start.
        kernel_regularizer, bias_regularizer: Penalties of the weights.
        kernel_constraint, bias_constraint: Applied to the weights after each update.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layer = layers.EinsumDense("abc,cd->abd", output_shape=(None, 8), bias_axes="d")
    >>> layer(np.zeros((2, 5, 3))).shape, layer.count_params()
    ((2, 5, 8), 32)
    """

    def __init__(
        self,
        equation: str,
        output_shape: Any,
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        refuse_lora("EinsumDense", kwargs)
        super().__init__(**kwargs)
        self.equation = equation
        self.partial_output_shape = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
        self.activation = looked_up(activation, activations, self.name, "activation")
        self.bias_axes = bias_axes
        self._parts = Parts(
            self,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )

    def build(self, input_shape: Any) -> None:
        shapes = self._shapes(input_shape)
        self.input_spec = InputSpec(ndim=len(input_shape))
        part = self._parts.of("kernel")
        start = part["initializer"]
        if isinstance(start, initializers.VarianceScaling) and None in (start.input_axes, start.output_axes):
            axes = {"input_axes": shapes.input_axes, "output_axes": shapes.output_axes}
            part["initializer"] = type(start).from_config({**start.get_config(), **axes})
        self.kernel = self.add_weight(shape=shapes.kernel, **part)
        self.bias = None
        if shapes.bias is not None:
            self.bias = self.add_weight(shape=shapes.bias, **self._parts.of("bias"))

    def _shapes(self, input_shape: Any) -> _Shapes:
        found = _FORMS.fullmatch(self.equation)
        if found is None or (found["before"], found["after"]) != (found["before_out"], found["after_out"]):
            found = None
        if found is None or (found["before"] and found["after"]):
            raise ValueError(
                f"{self.name}: equation: expected 'ab,bc->ac', '...b,bc->...c' or 'ab...,bc->ac...', "
                f"received {self.equation!r}"
            )
        letters, kernel, outputs = found["input"], found["kernel"], found["output"]
        free = len(input_shape) - len(letters)
        if free < 0 or (free and not (found["before"] or found["after"])):
            raise ValueError(
                f"{self.name}: equation {self.equation!r}: expected an input of {len(letters)} axes, "
                f"received shape {input_shape}"
            )
        # What "..." stands for: before the letters it begins with the batch.
        elided = tuple(input_shape[:free] if found["before"] else input_shape[len(letters) :])
        extents = dict(zip(letters, input_shape[free:] if found["before"] else input_shape, strict=False))
        given = self.partial_output_shape
        named = given if found["before"] and free else (input_shape[0], *given)
        if len(named) != len(outputs):
            raise ValueError(
                f"{self.name}: output_shape: expected {len(outputs) - (len(named) - len(given))} extents for "
                f"{self.equation!r}, received {given}"
            )
        wanted = dict(zip(outputs, named, strict=True))
        for letter in letters:
            if wanted.get(letter) not in (None, extents[letter]):
                raise ValueError(
                    f"{self.name}: output_shape: expected {extents[letter]} on axis {letter!r}, as in the "
                    f"input's shape {input_shape}, received {wanted[letter]}"
                )
        filled = [extents.get(c) if wanted[c] is None else wanted[c] for c in outputs]
        output = (*elided, *filled) if named is given else (*filled, *elided)
        for letter in outputs:
            if letter not in letters and letter not in kernel:
                raise ValueError(
                    f"{self.name}: equation {self.equation!r}: axis {letter!r} of the output is in no operand"
                )
        shape: list[int] = []
        for letter in kernel:
            if letter not in wanted and letter not in extents:
                raise ValueError(
                    f"{self.name}: equation {self.equation!r}: axis {letter!r} of the kernel is neither in "
                    "the input nor in the output"
                )
            extent = wanted[letter] if letter in wanted else extents[letter]
            if extent is None:
                extent = extents.get(letter)
            if extent is None:
                raise ValueError(
                    f"{self.name}: expected a known extent of axis {letter!r}, received input shape "
                    f"{input_shape} and output_shape {given}"
                )
            shape.append(extent)
        bias = None
        if self.bias_axes is not None:
            bias = self._bias_shape(outputs, wanted) + (1,) * (free if found["after"] else 0)
        place = [i for i, letter in enumerate(kernel) if letter in wanted]
        return _Shapes(tuple(shape), bias, output, [i for i in range(len(kernel)) if i not in place], place)

    def _bias_shape(self, outputs: str, extents: dict[str, Any]) -> tuple[int, ...]:
        axes = str(self.bias_axes)
        for letter in axes:
            if letter not in outputs:
                raise ValueError(
                    f"{self.name}: bias_axes: expected letters of the output {outputs!r}, received {letter!r}"
                )
        first = min(map(outputs.index, axes))
        return tuple(extents[letter] if letter in axes else 1 for letter in outputs[first:])

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self._shapes(input_shape).output

    def call(self, inputs: Any, training: Any = None) -> Any:
        outputs = ops.einsum(self.equation, inputs, self.kernel)
        if self.bias is not None:
            outputs = outputs + self.bias
        return outputs if self.activation is None else self.activation(outputs)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "equation": self.equation,
            "output_shape": self.partial_output_shape,
            "activation": activations.serialize(self.activation),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "bias_axes": self.bias_axes,
            **self._parts.config(),
        }
