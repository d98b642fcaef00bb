"""Names that layers and models of Keras 2 had: who asks for one is told what to use."""

from __future__ import annotations

from typing import Any

__all__ = ["FormerNames"]

_OF_LAYERS = {
    "add_metric": "make a metric an attribute in __init__ and call its update_state() in call()",
    "add_update": "assign variables in call(): self.mean.assign(...)",
    "get_input_at": "layer.input is the input of the first call; keep the tensors of others",
    "get_input_mask_at": "compute_mask(inputs, previous_mask) gives masks",
    "get_input_shape_at": "layer.input.shape is the shape of the first call's input",
    "get_losses_for": "layer.losses lists the losses of the last call",
    "get_output_at": "layer.output is the output of the first call; keep the tensors of others",
    "get_output_mask_at": "compute_mask(inputs, previous_mask) gives masks",
    "get_output_shape_at": "layer.output.shape is the shape of the first call's output",
    "get_updates_for": "variables are assigned in call(); nothing is to be run besides it",
    "inbound_nodes": "layer.input is the input of the first call",
    "outbound_nodes": "model.layers lists layers in their order",
    "updates": "variables are assigned in call(); nothing is to be run besides it",
}
# Models have these.
_SHAPES = {
    "input_shape": "layer.input.shape is the shape of the first call's input",
    "output_shape": "layer.output.shape is the shape of the first call's output",
}
_OF_MODELS = {
    "distribute_strategy": "there is one device, which cnnrs.device() chooses",
    "evaluate_generator": "evaluate() takes generators",
    "fit_generator": "fit() takes generators",
    "predict_classes": "use predict(x).argmax(-1)",
    "predict_generator": "predict() takes generators",
    "predict_proba": "predict() gives what the last layer gives",
    "reset_states": "call reset_state() of the layers that keep one, or reset_metrics() of the model",
    "sample_weight_mode": "weights with an axis for time steps are taken as they are",
    "save_spec": "model.input_shape has the shapes of inputs",
    "state_updates": "variables are assigned in call(); nothing is to be run besides it",
    "to_yaml": "use to_json()",
}


class FormerNames:
    """Answers for attributes that only former versions had."""

    # What is told for each name.
    _former_names = {**_OF_LAYERS, **_SHAPES}

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(type(self), name, None)
        if isinstance(attribute, property) and attribute.fget is not None:
            # Python comes here after an AttributeError of the property, and forgets what it said.
            return attribute.fget(self)
        hint = type(self)._former_names.get(name)
        message = f"{type(self).__name__!r} object has no attribute {name!r}"
        if hint is not None:
            message += f", which Keras 2 had: {hint}"
        raise AttributeError(message, name=name, obj=self)


class FormerNamesOfModels(FormerNames):
    """As `FormerNames`, for models."""

    _former_names = {**_OF_LAYERS, **_OF_MODELS}
