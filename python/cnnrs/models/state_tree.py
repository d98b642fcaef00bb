"""All state of a model as one nested dict by the paths of variables, and what is refused beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np

from cnnrs.training.trainer import Trainer

__all__ = ["StateTree"]


class StateTree(Trainer):
    """A model that gives and takes its state as a nested dict."""

    def get_state_tree(self, value_format: str = "backend_tensor") -> dict[str, Any]:
        """The values of all variables, by the parts of their paths.

        Args:
            value_format: "backend_tensor" for tensors, "numpy_array" for arrays.

        Returns:
            A dict of nested dicts: `trainable_variables`, `non_trainable_variables`, `optimizer_variables`,
            `metrics_variables`.

        Raises:
            ValueError: Two variables have one path.

        >>> import cnnrs
        >>> model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1, name="d")], name="m")
        >>> model.get_state_tree()["trainable_variables"]["m"]["d"]["kernel"].shape
        (2, 1)
        """
        if value_format not in ("backend_tensor", "numpy_array"):
            raise ValueError(
                f"{self.name}: get_state_tree: value_format: expected 'backend_tensor' or 'numpy_array', "
                f"received {value_format!r}"
            )
        state: dict[str, Any] = {}
        for kind, variables in self._variables_by_kind().items():
            tree: dict[str, Any] = {}
            for path, variable in _by_path(variables, self.name).items():
                *parts, last = path.split("/")
                inner = tree
                for part in parts:
                    inner = inner.setdefault(part, {})
                inner[last] = (
                    variable.value if value_format == "backend_tensor" else np.asarray(variable.numpy())
                )
            state[kind] = tree
        return state

    def set_state_tree(self, state_tree: dict[str, Any]) -> None:
        """Sets what `get_state_tree` gave, or a part of it: all of it, or nothing if a part does not fit.

        Args:
            state_tree: Nested dicts of values.

        Raises:
            ValueError: A path is unknown, or a value has another shape.
        """
        known = self._variables_by_kind()
        updates: list[tuple[Any, np.ndarray]] = []
        for kind, tree in state_tree.items():
            if kind not in known:
                raise ValueError(
                    f"{self.name}: set_state_tree: expected the keys {list(known)}, received {kind!r}"
                )
            variables = _by_path(known[kind], self.name)
            for path, value in _leaves(tree):
                if path not in variables:
                    raise ValueError(
                        f"{self.name}: set_state_tree: {kind}: expected paths of variables, received {path!r}"
                    )
                array = np.asarray(value)
                if array.shape != tuple(variables[path].shape):
                    raise ValueError(
                        f"{self.name}: set_state_tree: {path}: expected shape "
                        f"{tuple(variables[path].shape)}, received {array.shape}"
                    )
                updates.append((variables[path], array))
        for variable, array in updates:
            variable.assign(array)

    def _variables_by_kind(self) -> dict[str, list[Any]]:
        return {
            "trainable_variables": self.trainable_variables,
            "non_trainable_variables": self.non_trainable_variables,
            "optimizer_variables": [] if self.optimizer is None else self.optimizer.variables,
            "metrics_variables": self.metrics_variables,
        }

    # ---- refused

    def stateless_compute_loss(
        self,
        trainable_variables: Any,
        non_trainable_variables: Any,
        metrics_variables: Any,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> NoReturn:
        """Raises NotImplementedError: variables belong to layers."""
        raise NotImplementedError(
            f"{self.name}: stateless_compute_loss is not supported: variables belong to layers; call "
            "compute_loss(x, y, y_pred, sample_weight) in a GradientTape"
        )

    def export(
        self,
        filepath: Any,
        format: str = "tf_saved_model",
        verbose: Any = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> NoReturn:
        """Raises NotImplementedError: there is no format for other runtimes yet."""
        raise NotImplementedError(
            f"{self.name}: export: {format!r} is not written by this version; save(filepath) writes a model, "
            "save_weights(filepath) its weights, which other libraries read as safetensors"
        )

    def get_quantization_layer_structure(self, mode: Any = None) -> NoReturn:
        """Raises NotImplementedError: models compute in float types."""
        raise NotImplementedError(
            f"{self.name}: get_quantization_layer_structure: models are not quantized; "
            'dtype="bfloat16" makes weights smaller'
        )


def _by_path(variables: list[Any], model: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for variable in variables:
        if variable.path in found:
            raise ValueError(
                f"{model}: expected variables of different paths, received two {variable.path!r}; "
                "give layers different names"
            )
        found[variable.path] = variable
    return found


def _leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _leaves(value, f"{path}/{key}" if path else str(key))
    else:
        yield path, tree
