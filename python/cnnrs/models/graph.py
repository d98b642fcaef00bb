"""The graph of a functional model: which operations lead from its inputs to its outputs."""

from __future__ import annotations

from typing import Any

from cnnrs import tree
from cnnrs.layers.input_layer import InputLayer
from cnnrs.symbolic import KerasTensor, Node, Operation

__all__ = ["Graph"]


class Graph:
    """Operations between symbolic inputs and outputs, in an order in which they can run.

    Args:
        inputs: Symbolic tensors, nested or not.
        outputs: Symbolic tensors, nested or not.
        model: What errors call the model.
        cut: Whether inputs may be what layers made. Else the graph is a copy that begins with inputs of its
            own in their places: its layers are the same.

    Raises:
        ValueError: An output depends on an input that is not given.
    """

    def __init__(self, inputs: Any, outputs: Any, model: str, *, cut: bool = False):
        for kind, structure in (("inputs", inputs), ("outputs", outputs)):
            for x in tree.flatten(structure):
                if not isinstance(x, KerasTensor) or x._keras_history is None:
                    raise ValueError(
                        f"{model}: {kind}: expected what Input gave or layers made of it, received {x!r}"
                    )
        if not cut and not all(_is_entry(x) for x in tree.flatten(inputs)):
            inputs, outputs = _cut_out(inputs, outputs, model)
        self.inputs_structure = inputs
        self.outputs_structure = outputs
        self.inputs: list[KerasTensor] = tree.flatten(inputs)
        self.outputs: list[KerasTensor] = tree.flatten(outputs)
        order, indices = self._visit(model)
        self.operations = self._sort_operations(order, indices)
        self.nodes = [node for node in order if node.arguments != ((), {})]

    def extend(self, output: KerasTensor) -> bool:
        """Puts the operation that makes `output` behind the others, and makes `output` the only output.

        Returns:
            Whether that was all: the operation is new and takes the graph's only output. Otherwise nothing
            has changed.
        """
        operation, index, _ = _history(output)
        node = operation._inbound_nodes[index]
        last = self.outputs_structure
        if len(node.inputs) != 1 or node.inputs[0] is not last or len(node.outputs) != 1 or index > 0:
            return False
        self.operations.append(operation)
        self.nodes.append(node)
        self.outputs_structure, self.outputs = output, [output]
        return True

    def shorten(self) -> bool:
        """Takes the operation that makes the only output away, if `extend` could put it there again.

        Returns:
            Whether that was all; otherwise nothing has changed.
        """
        last = self.nodes[-1] if self.nodes else None
        if last is None or len(last.inputs) != 1 or self.operations[-1] is not last.operation:
            return False
        if last.outputs[0] is not self.outputs_structure or len(last.outputs) != 1:
            return False
        self.nodes.pop()
        self.operations.pop()
        self.outputs_structure, self.outputs = last.inputs[0], [last.inputs[0]]
        return True

    def _visit(self, model: str) -> tuple[list[Node], dict[int, int]]:
        """Nodes after all that they need; and the rank in which the operations were met from the outputs."""
        given = {id(x) for x in self.inputs}
        order: list[Node] = []
        indices: dict[int, int] = {}
        done: set[int] = set()
        for output in self.outputs:
            pending = [(output, False)]
            while pending:
                x, ready = pending.pop()
                operation, index, _ = _history(x)
                node = operation._inbound_nodes[index]
                if id(node) in done:
                    continue
                indices.setdefault(id(operation), len(indices))
                if id(x) in given:
                    if not node.inputs:
                        done.add(id(node))
                        order.append(node)
                    continue
                if ready:
                    done.add(id(node))
                    order.append(node)
                    continue
                if not node.inputs:
                    raise ValueError(f"{model}: outputs depend on {x!r}, which is not among the inputs")
                pending.append((x, True))
                pending.extend((parent, False) for parent in reversed(node.inputs))
        return order, indices

    def _sort_operations(self, order: list[Node], indices: dict[int, int]) -> list[Operation]:
        """Operations by their distance from the outputs, farthest first, then in the order of the visit."""
        depths: dict[int, int] = {}
        by_id: dict[int, Operation] = {}
        node_depths: dict[int, int] = {}
        ids = {id(node) for node in order}
        for node in reversed(order):
            key = id(node.operation)
            by_id[key] = node.operation
            depth = max(node_depths.get(id(node), 0), depths.get(key, 0))
            depths[key] = node_depths[id(node)] = depth
            for parent in node.parents:
                if id(parent) in ids:
                    node_depths[id(parent)] = max(depth + 1, node_depths.get(id(parent), 0))
        for x in self.inputs:
            operation = _history(x)[0]
            if id(operation) not in by_id:
                by_id[id(operation)] = operation
                depths[id(operation)] = max(depths.values(), default=0)
                indices.setdefault(id(operation), -1)
        keys = sorted(by_id, key=lambda key: (-depths[key], indices[key]))
        return [by_id[key] for key in keys]

    def run(self, inputs: list[Any]) -> Any:
        """Outputs, in their structure, for flat inputs."""
        values = {id(x): value for x, value in zip(self.inputs, inputs, strict=True)}
        computes = not any(isinstance(value, KerasTensor) for value in inputs)
        for node in self.nodes:
            if id(node.outputs[0]) in values:
                continue
            args, kwargs = node.fill(values)
            outputs = node.operation._run_node(args, kwargs) if computes else node.operation(*args, **kwargs)
            if len(node.outputs) == 1:
                values[id(node.outputs[0])] = (
                    outputs if not tree.is_nested(outputs) else tree.flatten(outputs)[0]
                )
            else:
                for x, value in zip(node.outputs, tree.flatten(outputs), strict=True):
                    values[id(x)] = value
        if isinstance(self.outputs_structure, KerasTensor):
            return values[id(self.outputs_structure)]
        return tree.map_structure(lambda x: values[id(x)], self.outputs_structure)


def _history(x: KerasTensor) -> tuple[Operation, int, int]:
    assert x._keras_history is not None
    return x._keras_history


def _is_entry(x: KerasTensor) -> bool:
    return isinstance(_history(x)[0], InputLayer)


def _cut_out(inputs: Any, outputs: Any, model: str) -> tuple[Any, Any]:
    """Inputs and outputs of a copy of the graph between them that begins with inputs of its own."""
    graph = Graph(inputs, outputs, model, cut=True)
    copies: dict[int, KerasTensor] = {}
    for x in graph.inputs:
        copies[id(x)] = x
        if not _is_entry(x):
            copies[id(x)] = InputLayer(batch_shape=x.shape, dtype=x.dtype, name=f"{x.name}CLONE").output
    for node in graph.nodes:
        if any(id(x) in copies for x in node.outputs):
            continue
        if all(copies[id(x)] is x for x in node.inputs):
            copies.update((id(x), x) for x in node.outputs)
            continue
        made = [KerasTensor(x.shape, x.dtype) for x in node.outputs]
        Node(node.operation, *node.fill(copies), made)
        copies.update((id(x), copy) for x, copy in zip(node.outputs, made, strict=True))

    def copied(structure: Any) -> Any:
        return tree.map_structure(lambda x: copies[id(x)], structure)

    return copied(inputs), copied(outputs)
