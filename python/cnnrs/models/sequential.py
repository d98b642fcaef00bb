"""`Sequential`: layers one after the other."""

from __future__ import annotations

from typing import Any

from cnnrs import ops, serialization, symbolic, tree
from cnnrs.base import naming
from cnnrs.layers.base import Layer
from cnnrs.layers.calls import _tuples
from cnnrs.layers.input_layer import Input, InputLayer
from cnnrs.models.graph import Graph
from cnnrs.models.model import Model
from cnnrs.ops.masks import with_mask

__all__ = ["Sequential"]


class Sequential(Model):
    """Layers, each of which takes what the one before gives.

    Args:
        layers: The layers; the first may be an `Input`. Without it the weights are made at the first call. A
            layer that stands at several places has the same weights at each.
        trainable: Whether training changes the weights.
        name: Name.

    >>> from cnnrs import Input, Sequential, layers
    >>> model = Sequential([Input((4,)), layers.Dense(3, activation="relu"), layers.Dense(1)])
    >>> [layer.units for layer in model.layers], model.count_params()
    ([3, 1], 19)
    """

    def __init__(self, layers: Any = None, trainable: bool = True, name: str | None = None):
        super().__init__(trainable=trainable, name=name)
        self._chain: list[Layer] = []
        self._names: dict[str, Layer] = {}
        # Whether the shape of the input is that of the data on which the first model was called.
        self._borrows_shape = False
        for layer in layers if layers is not None else []:
            self.add(layer)

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Appends a layer.

        Args:
            layer: A layer, or what `Input` gave as the first one.
            rebuild: Whether to make its weights now if the shape of its input is known.
        """
        if isinstance(layer, symbolic.KerasTensor):
            history = layer._keras_history
            if history is None or not isinstance(history[0], InputLayer):
                raise ValueError(f"{self.name}: add: expected a layer or what Input gave, received {layer!r}")
            layer = history[0]
        if not isinstance(layer, Layer):
            raise ValueError(
                f"{self.name}: add: expected a layer, received {type(layer).__name__}: {layer!r}"
            )
        if isinstance(layer, InputLayer) and self._chain:
            raise ValueError(
                f"{self.name}: add: expected an Input as the first layer only, received {layer.name!r}"
            )
        if self._names.get(layer.name, layer) is not layer:
            raise ValueError(
                f"{self.name}: add: expected layers with different names, received another {layer.name!r}"
            )
        shape = getattr(layer, "_input_shape_argument", None)
        if not self._chain and shape is not None:
            self.add(Input(shape, name=f"{layer.name}_input"))
        elif (
            not self._chain
            and isinstance(layer, Model)
            and layer._graph is not None
            and len(layer.inputs) == 1
        ):
            self.add(Input(batch_shape=layer.inputs[0].shape, dtype=layer.inputs[0].dtype))
            self._borrows_shape = isinstance(layer, Sequential) and not layer._has_input()
        self._chain.append(layer)
        self._names[layer.name] = layer
        if isinstance(layer, InputLayer):
            self._set_graph(Graph(layer.output, layer.output, self.name))
        elif rebuild and self._graph is not None:
            try:
                self._extend([layer])
            except ValueError:
                if not self._borrows_shape:
                    raise
                self._return_shape()
        else:
            self.built = self._graph is not None

    def _has_input(self) -> bool:
        """Whether the model was given an `Input`."""
        return bool(self._chain) and isinstance(self._chain[0], InputLayer) and not self._borrows_shape

    def _return_shape(self) -> None:
        """Leaves the shape of inputs to the first call: the one that was assumed does not fit the layers."""
        entry = self._chain.pop(0)
        del self._names[entry.name]
        self._graph, self.built, self._borrows_shape = None, False, False
        self._forget_recorded()

    def _extend(self, layers: list[Layer]) -> None:
        assert self._graph is not None
        inputs, x = self._graph.inputs_structure, self._graph.outputs_structure
        whole = True
        for layer in layers:
            outer = naming.enter_scopes(self._scopes())
            try:
                x = layer(x)
            except NotImplementedError:
                # The shape of its outputs is not known before it is called; there is no graph then.
                self._graph, self.built = None, False
                self._forget_recorded()
                return
            finally:
                naming.enter_scopes(outer)
            whole = whole and isinstance(x, symbolic.KerasTensor) and self._graph.extend(x)
        if whole:
            self._note_graph()
        else:
            self._set_graph(Graph(inputs, x, self.name))

    def pop(self, rebuild: bool = True) -> Layer:
        """Removes the last layer and returns it.

        Args:
            rebuild: Whether the model stays built if it is; else the next call builds it.
        """
        if not self._chain or isinstance(self._chain[-1], InputLayer):
            raise ValueError(f"{self.name}: pop: there are no layers left")
        layer = self._chain.pop()
        if not any(other is layer for other in self._chain):
            del self._names[layer.name]
        if self._graph is not None and not rebuild:
            layer._inbound_nodes.pop()
            self._graph, self.built = None, False
            self._forget_recorded()
        elif self._graph is not None:
            whole = self._graph.operations[-1] is layer and self._graph.shorten()
            node = layer._inbound_nodes.pop()
            if whole:
                self._note_graph()
                return layer
            previous = node.inputs[0] if len(node.inputs) == 1 else node.inputs
            self._set_graph(Graph(self._graph.inputs_structure, previous, self.name))
        return layer

    def build(self, input_shape: Any = None) -> None:
        """Makes the weights for inputs of this shape, whose first extent is the batch.

        Several inputs have no graph: layers make their weights when they are called.

        Raises:
            ValueError: The model has an `Input` of another shape, or no layer.
        """
        if self._graph is not None:
            self._check_shape(input_shape)
            return
        if input_shape is None:
            raise ValueError(
                f"{self.name}: build: input_shape: expected the shape with the batch, received None"
            )
        if not self._chain:
            raise ValueError(f"{self.name}: expected at least one layer")
        if isinstance(input_shape, dict) or any(isinstance(e, (list, tuple)) for e in input_shape):
            self.built = True
            return
        if isinstance(self._chain[0], InputLayer):
            self._check_shape(input_shape)
            entry = self._chain[0].output
        else:
            entry = Input(batch_shape=(None, *tuple(input_shape)[1:]))
        self._set_graph(Graph(entry, entry, self.name))
        try:
            self._extend(self._sublayers())
        except BaseException:
            self._graph, self.built = None, False
            raise

    def _check_shape(self, input_shape: Any) -> None:
        if input_shape is None or not isinstance(self._chain[0], InputLayer):
            return
        own, given = self._chain[0].batch_shape, tuple(input_shape)
        if len(own) != len(given) or any(o != g for o, g in zip(own[1:], given[1:], strict=True)):
            raise ValueError(
                f"{self.name}: build: input_shape: expected {own}, the shape of the model's Input, "
                f"received {given}"
            )

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """What the last layer gives for inputs of the first one."""
        if self._graph is not None and not self._differs(inputs):
            return super().call(inputs, training, mask)
        if self._graph is not None and inputs.dtype != self._graph.inputs[0].dtype:
            # As for inputs of the shape that the graph has, so that the numbers are the same.
            inputs = ops.cast(inputs, self._graph.inputs[0].dtype)
        if mask is not None:
            inputs = tree.map_structure(with_mask, inputs, mask)
        for layer in self.layers:
            inputs = layer(inputs)
        return inputs

    def _differs(self, inputs: Any) -> bool:
        """Whether the shape of an input differs from that of the call that built a model without `Input`."""
        if isinstance(self._chain[0], InputLayer) or not hasattr(inputs, "shape"):
            return False
        assert self._graph is not None
        known, given = self._graph.inputs[0].shape, tuple(inputs.shape)
        if len(known) != len(given):
            # Steps of preprocessing take one image or a batch of them, whichever came first.
            return not self.trainable_weights
        return known[1:] != given[1:]

    def _is_functional(self) -> bool:
        return False

    def _defines_call(self) -> bool:
        return True

    def _sublayers(self) -> list[Any]:
        return [layer for layer in self._chain if not isinstance(layer, InputLayer)]

    def get_config(self) -> dict[str, Any]:
        chain = list(self._chain)
        if self._graph is not None and not isinstance(chain[0], InputLayer):
            history = self._graph.inputs[0]._keras_history
            assert history is not None
            chain.insert(0, history[0])  # type: ignore[arg-type]
        layers = [serialization.serialize_keras_object(layer) for layer in chain]
        config: dict[str, Any] = {**Layer.get_config(self), "layers": layers}
        if self._graph is not None:
            config["build_input_shape"] = self.input_shape
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Sequential:
        missing = [key for key in ("name", "layers") if key not in config]
        if missing:
            raise ValueError(
                f"the config of a Sequential: expected the keys 'name' and 'layers', received {list(config)}"
            )
        model = cls(name=config.get("name"))
        model._restore_policy(config)
        # A layer that was built is built again before it is added, and its weights keep their paths.
        outer = naming.enter_scopes(model._scopes())
        try:
            layers = _layers_of(config["layers"], custom_objects)
        finally:
            naming.enter_scopes(outer)
        for layer in layers:
            model.add(layer)
        shape = config.get("build_input_shape")
        if model._graph is None and shape is not None:
            model.build(_tuples(shape))
        if not config.get("trainable", True):
            model._trainable = False
        return model


def _layers_of(configs: list[Any], custom_objects: dict[str, Any] | None) -> list[Any]:
    """The layers of a chain, whose names tell which of its places hold one layer."""
    layers: list[Any] = []
    known: dict[str, Any] = {}
    for config in configs:
        inner = config.get("config") if isinstance(config, dict) else None
        name = inner.get("name") if isinstance(inner, dict) else None
        layer = known.get(name) if isinstance(name, str) else None
        if layer is None:
            layer = serialization.deserialize_keras_object(config, custom_objects)
            if isinstance(name, str):
                known[name] = layer
        layers.append(layer)
    return layers
