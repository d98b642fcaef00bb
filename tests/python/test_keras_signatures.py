"""Names, order and defaults of arguments are Keras's, wherever cnnrs has the thing.

`tests/fixtures/keras_signatures.json` was read from Keras 3.15.1.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest

import cnnrs

SIGNATURES: dict[str, str] = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "keras_signatures.json").read_text()
)

# Arguments that Keras has and that make no sense here.
LEFT_OUT = {
    "Dense": {"lora_rank", "lora_alpha", "quantization_config"},
}
# Arguments that Keras does not have, given by name only: by the last part of a name, or by all of it.
FURTHER = {
    "fit": {"batch_augmentation"},
    "average_pool": {"ceil_mode", "count_include_pad"},
    "gaussian_blur": {"fill_mode", "fill_value"},
    "image_dataset_from_directory": {"exif_orientation", "max_pixels", "on_error"},
    "max_pool": {"ceil_mode"},
    "losses.SparseCategoricalCrossentropy": {"label_smoothing"},
    "losses.sparse_categorical_crossentropy": {"label_smoothing"},
    "metrics.sparse_categorical_crossentropy": {"label_smoothing"},
    "summary": {"flops", "input_shape", "memory", "output_stride", "receptive_field"},
}

# What must be there; everything else is compared if it exists.
REQUIRED_BY_HOME = {
    "layers": "Activation Add AveragePooling2D BatchNormalization Concatenate Conv2D Dense DepthwiseConv2D "
    "Dropout Flatten GlobalAveragePooling2D GlobalMaxPooling2D Input LayerNormalization LeakyReLU "
    "MaxPooling2D Multiply ReLU Rescaling Reshape Softmax ZeroPadding2D",
    "losses": "BinaryCrossentropy CategoricalCrossentropy Huber MeanAbsoluteError MeanSquaredError "
    "SparseCategoricalCrossentropy",
    "metrics": "Accuracy BinaryAccuracy CategoricalAccuracy Mean Precision Recall SparseCategoricalAccuracy",
    "optimizers": "Adam AdamW RMSprop SGD",
    "callbacks": "CSVLogger Callback EarlyStopping History LearningRateScheduler ModelCheckpoint "
    "ProgbarLogger ReduceLROnPlateau TerminateOnNaN",
    "Model": "compile evaluate fit get_layer predict predict_on_batch save set_weights summary "
    "train_on_batch",
    "Layer": "add_weight get_weights",
    "datasets": "mnist.load_data",
    "initializers": "GlorotUniform HeNormal",
    "regularizers": "L1 L2",
    "utils": "set_random_seed",
}
REQUIRED = [f"{home}.{name}" for home, names in REQUIRED_BY_HOME.items() for name in names.split()]


def resolve(name: str) -> Any:
    """The object that `name` means in cnnrs, or None."""
    if name.split(".")[0] in ("Layer", "Loss", "Metric", "Callback", "Optimizer"):
        home = {"Layer": "layers", "Loss": "losses", "Metric": "metrics", "Callback": "callbacks"}
        name = f"{home.get(name.split('.')[0], 'optimizers')}.{name}"
    if name.startswith("schedules."):
        name = f"optimizers.{name}"
    current: Any = cnnrs
    for part in name.split("."):
        try:
            current = getattr(current, part)
        except AttributeError:
            try:
                current = importlib.import_module(f"{current.__name__}.{part}")
            except (ImportError, AttributeError):
                return None
    return current


def parameters(signature: inspect.Signature) -> list[tuple[str, str]]:
    """Name and default of every argument; annotations and `self` do not count."""
    return [
        ("*" * (p.kind is p.VAR_POSITIONAL) + "**" * (p.kind is p.VAR_KEYWORD) + p.name, repr(p.default))
        for p in signature.parameters.values()
        if p.name not in ("self", "cls")
    ]


def expected_parameters(name: str) -> list[tuple[str, str]]:
    text = re.sub(r": \w+ =", "=", SIGNATURES[name])
    made: dict[str, Any] = {}
    exec(f"def function{text}: ...", made)
    left_out = LEFT_OUT.get(name.rsplit(".", 1)[-1], set())
    expected = parameters(inspect.signature(made["function"]))
    return [p for p in expected if p[0] not in left_out]


# Keras's own base class hides its arguments behind *args and **kwargs.
OPAQUE = {"optimizers.Optimizer"}


def has_signature(name: str) -> bool:
    return name not in OPAQUE and SIGNATURES[name] != "property" and "/, *args" not in SIGNATURES[name]


@pytest.mark.parametrize("name", REQUIRED)
def test_required_name_is_there(name):
    assert name in SIGNATURES
    assert resolve(name) is not None


PRESENT = [name for name in SIGNATURES if has_signature(name) and callable(resolve(name))]


@pytest.mark.parametrize("name", PRESENT)
def test_signature(name):
    found = resolve(name)
    function = found.__init__ if inspect.isclass(found) else found
    signature = inspect.signature(function)
    further = FURTHER.get(name) or FURTHER.get(name.rsplit(".", 1)[-1], set())
    assert all(signature.parameters[argument].kind is inspect.Parameter.KEYWORD_ONLY for argument in further)
    found_parameters = [p for p in parameters(signature) if p[0] not in further]
    assert found_parameters == expected_parameters(name)


@pytest.mark.parametrize("name", [n for n in SIGNATURES if SIGNATURES[n] == "property" and resolve(n)])
def test_property(name):
    assert isinstance(resolve(name), property) or not callable(resolve(name))
