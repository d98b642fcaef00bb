"""`Hashing`, `HashedCrossing` and `FeatureSpace` beside Keras's: tests/fixtures/make_keras_data.py."""

from __future__ import annotations

import copy
import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

import cnnrs
from cnnrs import layers, saving, utils
from cnnrs.data import Dataset

FIXTURES = Path(__file__).parents[1] / "fixtures"
sys.path.insert(0, str(FIXTURES))
import data_cases as cases  # noqa: E402

FACTS = json.loads((FIXTURES / "keras_data.json").read_text("utf-8"))


@pytest.mark.parametrize("place", range(len(cases.HASHED)))
def test_bins_are_those_of_keras(place):
    values, arguments = cases.HASHED[place]
    layer = layers.Hashing(16, **arguments)
    for given in (values, np.array(values)):
        found = layer(given)
        assert found.tolist() == FACTS["hashed"][place]
    assert found.dtype == ("int64" if layer.output_mode == "int" else "float32")
    twin = layers.Hashing.from_config(layer.get_config())
    assert twin.get_config() == layer.get_config() and twin(values).tolist() == found.tolist()
    assert layer.compute_output_shape((len(values), 1)) == layer(np.array(values)[:, None]).shape


@pytest.mark.parametrize("place", range(len(cases.CROSSED)))
@pytest.mark.parametrize("mode", ["int", "one_hot"])
def test_crosses_are_those_of_keras(place, mode):
    features, expected = cases.CROSSED[place], FACTS["crossed"][place]
    layer = layers.HashedCrossing(50, mode)
    for shape in ((-1,), (-1, 1)):
        found = layer([np.array(feature).reshape(shape) for feature in features]).numpy()
        bins = found if mode == "int" else found.argmax(-1)
        assert bins.ravel().tolist() == expected
    # One row.
    assert np.max(layer([feature[0] for feature in features]).numpy()) == (
        expected[0] if mode == "int" else 1
    )
    assert layers.HashedCrossing.from_config(layer.get_config()).get_config() == layer.get_config()


def test_what_is_not_hashed_is_refused():
    for wrong in (
        {"num_bins": 0}, {"num_bins": 4, "salt": "x"}, {"num_bins": 4, "output_mode": "no"},
        {"num_bins": 4, "sparse": True}, {"num_bins": 4, "dtype": "float32"},
    ):  # fmt: skip
        with pytest.raises(ValueError, match="expected"):
            layers.Hashing(**wrong)
    for wrong in ({"num_bins": 4, "output_mode": "count"}, {"num_bins": 4, "sparse": True}):
        with pytest.raises(ValueError, match="expected"):
            layers.HashedCrossing(**wrong)
    for layer, given in ((layers.Hashing(4), [None]), (layers.HashedCrossing(4), ([1.5], [1]))):
        with pytest.raises((TypeError, ValueError), match="expected integers or strings"):
            layer(given)
    for given in ([1], [[1, 2], [3]], [np.ones((2, 2), int)] * 2):
        with pytest.raises(ValueError, match="expected"):
            layers.HashedCrossing(4)(given)
    with pytest.raises(ValueError, match="ragged"):
        layers.Hashing(4)([["a"], ["b", "c"]])
    with pytest.raises(TypeError, match="call the layer on the data"):
        layers.Hashing(4)(cnnrs.Input((1,), dtype="int32"))
    assert layers.Hashing(4, dtype="int32")([1, 2]).dtype == "int32"


@pytest.fixture(params=["concat", "dict"])
def space(request):
    """A space of the table with the columns that it has."""
    made = cases.spaces(utils.FeatureSpace)[request.param]
    return request.param, made, {key: cases.TABLE[key] for key in made.features}


def lists(found):
    return {k: v.tolist() for k, v in found.items()} if isinstance(found, dict) else found.tolist()


def check(found, expected):
    if isinstance(expected, dict):
        assert lists(found) == expected
    else:
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("source", ["dict", "rows", "batches"])
def test_spaces_are_those_of_keras(space, source):
    name, made, table = space
    rows = Dataset.from_tensor_slices(table)
    made.adapt({"dict": table, "rows": rows, "batches": rows.batch(3)}[source])
    check(made(table), FACTS[f"space/{name}/table"])
    check(
        made({key: np.array(values)[:, None] for key, values in table.items()}), FACTS[f"space/{name}/table"]
    )
    check(made({key: values[1] for key, values in table.items()}), FACTS[f"space/{name}/row"])
    [mapped] = rows.batch(4).map(made)
    check(mapped, FACTS[f"space/{name}/table"])


def test_a_space_is_copied_with_what_it_measured(space):
    name, made, table = space
    made.adapt(table)
    for twin in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert lists(twin(table)) == lists(made(table))
    # A configuration has vocabularies and boundaries, but no weights, as the means are.
    twin = saving.deserialize_keras_object(json.loads(json.dumps(saving.serialize_keras_object(made))))
    if name == "concat":
        with pytest.raises(ValueError, match="call of adapt"):
            twin(table)
        twin.adapt(table)
    assert lists(twin(table)) == lists(made(table))


def test_numbers_are_part_of_a_model():
    space = utils.FeatureSpace(
        {
            "a": "float",
            "b": "float_normalized",
            "c": "integer_categorical",
            "d": utils.FeatureSpace.float_discretized(2),
        }
    )
    table = {"a": [1.0, 2.0], "b": [3.0, 5.0], "c": [7, 8], "d": [0.0, 1.0]}
    with pytest.raises(ValueError, match="expected a call of adapt"):
        space.get_encoded_features()
    space.adapt(table)
    inputs, encoded = space.get_inputs(), space.get_encoded_features()
    assert list(inputs) == ["a", "b", "c", "d"] and space.get_encoded_features() is encoded
    model = cnnrs.Model(inputs, encoded)
    columns = {key: np.array(values)[:, None] for key, values in table.items()}
    np.testing.assert_allclose(model.predict(columns, verbose=0), space(table).numpy(), atol=1e-6)
    model = cnnrs.Model(inputs, layers.Dense(1)(encoded))
    model.compile("sgd", "mse")
    assert np.isfinite(model.fit(columns, np.ones((2, 1)), verbose=0).history["loss"][0])


def test_a_model_trains_on_what_a_space_gives(space):
    name, made, table = space
    if name == "dict":
        return
    made.adapt(table)
    data = Dataset.from_tensor_slices((table, [0.0, 1.0, 0.0, 1.0])).batch(2).map(lambda x, y: (made(x), y))
    model = cnnrs.Sequential([layers.Dense(1, activation="sigmoid")])
    model.compile(cnnrs.optimizers.Adam(0.1), "binary_crossentropy")
    history = model.fit(data, epochs=5, verbose=0).history["loss"]
    assert history[-1] < history[0]


def test_own_layers_are_features():
    own = utils.FeatureSpace.feature("float32", layers.Rescaling(3.0), "float")
    space = utils.FeatureSpace(
        {"x": own, "k": utils.FeatureSpace.feature("string", layers.Hashing(2), "int")}, "dict"
    )
    found = space({"x": [1.0, 2.0], "k": ["a", "b"]})
    assert found["x"].tolist() == [[3.0], [6.0]] and found["k"].shape == (2, 1)


def test_what_is_no_space_is_refused():
    for wrong in (
        {"features": {}}, {"features": {"a": "complex"}}, {"features": {"a": "float"}, "output_mode": "list"},
        {"features": {"a": "float"}, "crosses": [("a", "b")]},
        {"features": {"a": "float"}, "crosses": [("a",)]},
    ):  # fmt: skip
        with pytest.raises(ValueError, match="expected"):
            utils.FeatureSpace(**wrong)
    with pytest.raises(ValueError, match="output_mode: expected"):
        utils.FeatureSpace.cross(("a", "b"), 3, "float")
    with pytest.raises(ValueError, match="output_mode: expected"):
        utils.FeatureSpace.feature("float32", None, "other")
    space = utils.FeatureSpace({"a": "string_categorical"})
    with pytest.raises(ValueError, match="call of adapt"):
        space({"a": ["x"]})
    with pytest.raises(ValueError, match="expected a column 'a'"):
        space.adapt({"b": ["x"]})
    with pytest.raises(TypeError, match="expected a dict of columns or a data set"):
        space.adapt([1])
    space.adapt({"a": ["x"]})
    with pytest.raises(TypeError, match="expected a dict"):
        space(["x"])
    with pytest.raises(ValueError, match="expected columns"):
        space({"b": ["x"]})
    with pytest.raises(TypeError, match="tensors hold no strings"):
        space.get_inputs()
    bare = utils.FeatureSpace({"a": utils.FeatureSpace.integer_hashed(3, output_mode="int")})
    with pytest.raises(ValueError, match="output_mode='dict'"):
        bare({"a": [1]})
