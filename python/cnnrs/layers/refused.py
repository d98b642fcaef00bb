"""Methods of Keras's layers that have no meaning here: they say what to use instead."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["RefusedMethods"]


class RefusedMethods:
    """Methods that raise NotImplementedError."""

    def stateless_call(
        self,
        trainable_variables: Any,
        non_trainable_variables: Any,
        *args: Any,
        return_losses: bool = False,
        **kwargs: Any,
    ) -> NoReturn:
        """Raises NotImplementedError: variables belong to layers. Call the layer in a `GradientTape`."""
        self._refuse("stateless_call", "variables belong to layers; call the layer, in a GradientTape")

    def rematerialized_call(self, layer_call: Any, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises NotImplementedError: plans decide by themselves what is computed again."""
        self._refuse("rematerialized_call", "plans recompute cheap values by themselves; call the layer")

    def quantize(self, mode: Any = None, type_check: bool = True, config: Any = None) -> NoReturn:
        """Raises NotImplementedError: layers compute in float types."""
        self._refuse("quantize", 'layers compute in float types; take dtype="bfloat16" for smaller weights')

    def quantized_build(self, input_shape: Any, mode: Any) -> NoReturn:
        """Raises NotImplementedError: layers compute in float types."""
        self._refuse("quantized_build", "layers compute in float types; use build")

    def quantized_call(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises NotImplementedError: layers compute in float types."""
        self._refuse("quantized_call", "layers compute in float types; use call")

    def _refuse(self, method: str, instead: str) -> NoReturn:
        raise NotImplementedError(f"{type(self).__name__}: {method} is not supported: {instead}")
