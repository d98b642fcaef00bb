"""What Keras computes with layers for sequences, masks and attention (fixtures made by `make fixtures`)."""

from __future__ import annotations

import importlib.util
import inspect
from pathlib import Path

import numpy as np
import pytest

import cnnrs

FIXTURES = Path(__file__).parents[1] / "fixtures"
with np.load(FIXTURES / "keras_sequences.npz") as _file:
    ARRAYS = dict(_file)

_spec = importlib.util.spec_from_file_location("sequence_calls", FIXTURES / "sequence_calls.py")
sequence_calls = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sequence_calls)

CALLS = {name: rest for name, *rest in sequence_calls.calls(cnnrs.layers)}


def test_all_calls_are_there():
    assert {name.split("/")[0] for name in ARRAYS} == {*CALLS, "training", "signatures"}


# Arguments that make no sense here.
LEFT_OUT = {"lora_rank", "lora_alpha", "quantization_config", "gptq_unpacked_column_size"}


@pytest.mark.parametrize("signature", ARRAYS["signatures"], ids=lambda text: str(text).split(";")[0])
def test_constructors_have_the_arguments_of_keras(signature):
    name, *theirs = str(signature).split(";")
    kind = vars(cnnrs.layers).get(name)
    if kind is None:
        with pytest.raises(AttributeError, match="which Keras has"):
            getattr(cnnrs.layers, name)
        return
    own = inspect.signature(kind.__init__).parameters.values()
    wanted = [argument for argument in theirs if argument.split("=")[0] not in LEFT_OUT]
    assert [str(p.replace(annotation=p.empty)) for p in own] == wanted


@pytest.mark.parametrize("name", CALLS)
def test_a_layer_computes_what_keras_computes(name):
    layer, args, kwargs = CALLS[name]
    results = sequence_calls.results(layer, args, kwargs)
    expected = {part.split("/")[1]: v for part, v in ARRAYS.items() if part.startswith(f"{name}/")}
    assert results.keys() == expected.keys()
    for part, value in expected.items():
        if value.dtype.kind in "Ub":
            np.testing.assert_array_equal(results[part], value)
        else:
            scale = max(1.0, float(np.abs(value).max()))
            np.testing.assert_allclose(results[part], value, rtol=0, atol=2e-6 * scale)


@pytest.mark.parametrize("name", CALLS)
def test_a_config_makes_the_layer_again(name):
    layer, args, kwargs = CALLS[name]
    layer(*args, **kwargs)
    again = type(layer).from_config(layer.get_config())
    again(*args, **kwargs)
    again.set_weights(layer.get_weights())
    first, second = (x(*args, **{**kwargs, "training": False}) for x in (layer, again))
    for a, b in zip(cnnrs.tree.flatten(first), cnnrs.tree.flatten(second), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert again.get_config() == layer.get_config()


def test_a_masked_model_trains_as_in_keras():
    np.testing.assert_allclose(sequence_calls.train(cnnrs), ARRAYS["training"], rtol=2e-5)
