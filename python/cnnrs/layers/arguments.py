"""Arguments that many layers share: their check, and their form in a config."""

from __future__ import annotations

import inspect
from types import FunctionType
from typing import Any, NoReturn

from cnnrs import constraints, initializers, regularizers
from cnnrs.base.arguments import integer

__all__ = ["NoLora", "Parts", "looked_up", "positive", "refuse_lora", "with_defaults"]


def positive(value: Any, layer: str, argument: str, most: int | None = None) -> int:
    """`value` as an integer of at least 1, and of at most `most`: layers are made one by one, say.

    Raises:
        ValueError: It is none; the message names the layer and the argument.
    """
    return integer(value, layer, argument, least=1, most=most)


def looked_up(value: Any, module: Any, layer: str, argument: str) -> Any:
    """What `value` stands for in a module that looks names up.

    Args:
        value: A name, a config or an object.
        module: `activations`, `initializers`, `regularizers` or `constraints`.
        layer: Name of the layer whose argument it is.
        argument: Name of the argument.

    Raises:
        ValueError: Nothing is called so; the message names the layer and the argument.
        TypeError: It is nothing that the module looks up; likewise.

    >>> from cnnrs import activations
    >>> looked_up("rleu", activations, "dense", "activation")
    Traceback (most recent call last):
    ValueError: dense: activation: nothing is called 'rleu'; did you mean 'relu'?
    """
    try:
        return module.get(value)
    except (TypeError, ValueError) as error:
        kind = module.__name__.rpartition(".")[2].removesuffix("s")
        # The same error with more in it: readers of files tell unknown names from other errors by the class.
        text = str(error).removeprefix(f"{kind}: ")
        error.args = (f"{layer}: {argument}: {text}",)
        raise


_INSTEAD = "there is no low-rank adaptation; set `trainable` of layers to choose what is trained"


def refuse_lora(layer: str, kwargs: dict[str, Any]) -> None:
    """Takes the arguments of low-rank adaptation out of `kwargs`: None, which asks for none, is accepted.

    Raises:
        ValueError: One asks for it.
    """
    for argument in ("lora_rank", "lora_alpha"):
        given = kwargs.pop(argument, None)
        if given is not None:
            raise ValueError(f"{layer}: {argument}: expected None, received {given!r}: {_INSTEAD}")


class NoLora:
    """A layer that has `enable_lora` in Keras."""

    def enable_lora(
        self,
        rank: Any,
        lora_alpha: Any = None,
        a_initializer: Any = "he_uniform",
        b_initializer: Any = "zeros",
    ) -> NoReturn:
        """Raises NotImplementedError: set `trainable` of layers to choose what is trained."""
        raise NotImplementedError(f"{type(self).__name__}: enable_lora is not supported: {_INSTEAD}")


def with_defaults(function: Any, **defaults: Any) -> Any:
    """A copy of a function whose arguments have other defaults.

    Layers for sequences, images and volumes differ in these, and in how many spatial axes they have.

    >>> def step(strides=(1, 1)):
    ...     return strides
    >>> with_defaults(step, strides=1)()
    1
    """
    function = inspect.unwrap(function)
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]
    given = function.__defaults__
    values = tuple(defaults.get(n, v) for n, v in zip(names[-len(given) :], given, strict=True))
    copy = FunctionType(code, function.__globals__, function.__name__, values, function.__closure__)
    copy.__qualname__, copy.__annotations__ = function.__qualname__, function.__annotations__
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


class Parts:
    """Initializers, regularizers and constraints of a layer's weights.

    They become attributes of the layer, as `kernel_initializer`, and entries of its config.
    """

    def __init__(self, layer: Any, **given: Any):
        self.layer = layer
        self.kinds = {"initializer": initializers, "regularizer": regularizers, "constraint": constraints}
        self.names = list(given)
        for name, value in given.items():
            setattr(layer, name, looked_up(value, self._module(name), layer.name, name))

    def _module(self, name: str) -> Any:
        return self.kinds[name.rpartition("_")[2]]

    def of(self, weight: str) -> dict[str, Any]:
        """Arguments of `add_weight` for a weight."""
        found = {kind: getattr(self.layer, f"{weight}_{kind}", None) for kind in self.kinds}
        return {"name": weight, **found}

    def config(self) -> dict[str, Any]:
        """All of them, serialized."""
        return {name: self._module(name).serialize(getattr(self.layer, name)) for name in self.names}
