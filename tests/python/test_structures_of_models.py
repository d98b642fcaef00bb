"""Inputs and outputs of models in any structure: what is given, what is left out, what is cut and cloned."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import Input, KerasTensor, Model, Sequential, layers, models, ops

X = np.arange(8, dtype=np.float32).reshape(4, 2)
Y = np.ones((4, 1), np.float32)


class MaybeAdd(layers.Layer):
    def call(self, x, y=None):
        return x if y is None else x + y


class TestOptionalInputs:
    def model(self, keyed: bool) -> Model:
        a, b = Input((2,), name="a"), Input((2,), name="b", optional=True)
        total = layers.Dense(1, kernel_initializer="ones")(MaybeAdd()(a, b))
        return Model({"a": a, "b": b} if keyed else [a, b], total)

    @pytest.mark.parametrize("keyed", [False, True])
    @pytest.mark.parametrize("absent", [False, True])
    def test_calls_and_training(self, keyed, absent):
        model = self.model(keyed)
        b = None if absent else X
        given: Any = {"a": X, "b": b} if keyed else [X, b]
        wanted = X.sum(1, keepdims=True) * (1 if absent else 2)
        np.testing.assert_allclose(model(given), wanted)
        np.testing.assert_allclose(model.predict(given, batch_size=3, verbose=0), wanted)
        model.compile("sgd", "mse")
        assert model.evaluate(given, Y, verbose=0) == pytest.approx(np.mean((wanted - 1) ** 2))
        model.fit(given, Y, verbose=0)
        batches = [({"a": X, "b": b} if keyed else (X, b), Y)]
        assert len(model.fit(batches, verbose=0).history["loss"]) == 1

    def test_others_are_required(self):
        model = self.model(True)
        model.compile("sgd", "mse")
        for call in (model, lambda x: model.predict(x, verbose=0), lambda x: model.fit(x, Y, verbose=0)):
            with pytest.raises(ValueError, match="'a': expected an array .* not optional; received None"):
                call({"a": None, "b": X})

    def test_a_config_keeps_it(self):
        copy = Model.from_config(self.model(True).get_config(), custom_objects={"MaybeAdd": MaybeAdd})
        assert copy({"a": X, "b": None}).shape == (4, 1)


class TestInputLayers:
    def test_a_tensor_that_is_given_is_the_output(self):
        tensor = KerasTensor((None, 3), "int32", name="mine")
        assert Input(tensor=tensor) is tensor
        assert layers.InputLayer(input_tensor=KerasTensor((2, 3)), shape=(3,)).batch_shape == (2, 3)
        for wrong in ({"shape": (4,)}, {"batch_size": 5}, {"batch_shape": (None, 4)}, {"dtype": "int32"}):
            with pytest.raises(ValueError, match=f"{next(iter(wrong))}: expected None or .*, received"):
                layers.InputLayer(input_tensor=KerasTensor((2, 3)), **wrong)
        with pytest.raises(ValueError, match="input_tensor: expected a symbolic tensor"):
            layers.InputLayer(input_tensor=X)

    @pytest.mark.parametrize("argument", ["sparse", "ragged"])
    def test_sparse_and_ragged_are_refused(self, argument):
        with pytest.raises(ValueError, match=f"{argument}: expected False"):
            Input((2,), **{argument: True})
        assert Input((2,), **{argument: False}).shape == (None, 2)

    def test_names_of_keras_2(self):
        with pytest.warns(UserWarning, match="input_shape is called shape"):
            assert layers.InputLayer(input_shape=(3,), batch_size=4).batch_shape == (4, 3)
        assert layers.InputLayer(batch_input_shape=(None, 3)).batch_shape == (None, 3)


class TestCuts:
    """Models between any two tensors of another model."""

    def chain(self) -> tuple[Model, list[KerasTensor]]:
        tensors = [Input((2,), name="entry")]
        for units in (3, 4, 5):
            tensors.append(layers.Dense(units, name=f"dense{units}")(tensors[-1]))
        return Model(tensors[0], tensors[-1]), tensors

    @pytest.mark.parametrize(("first", "last"), [(a, b) for a in range(4) for b in range(a + 1, 4)])
    def test_a_cut_has_an_input_of_its_own(self, first, last):
        whole, tensors = self.chain()
        part = Model(tensors[first], tensors[last])
        assert isinstance(part.layers[0], layers.InputLayer)
        assert [layer.name for layer in part.layers[1:]] == [
            layer.name for layer in whole.layers[first + 1 : last + 1]
        ]
        head = X if first == 0 else Model(tensors[0], tensors[first])(X)
        np.testing.assert_allclose(part(head), Model(tensors[0], tensors[last])(X), rtol=1e-5)
        copy = Model.from_config(part.get_config())
        assert copy.count_params() == part.count_params()
        # The layers are shared, and their tensors are still those of the first model.
        assert part.layers[-1] is whole.get_layer(part.layers[-1].name)
        assert part.layers[-1].output is tensors[last]

    def test_a_cut_with_two_inputs(self):
        a, b = Input((2,)), Input((2,))
        middle = layers.Dense(2)(a)
        out = middle + b
        part = Model([middle, b], out)
        np.testing.assert_allclose(part([X, X]), 2 * X)

    def test_input_and_output_are_those_of_the_first_call(self):
        layer = layers.Dense(2)
        with pytest.raises(AttributeError, match="has no 'output': expected it to be called"):
            layer.output  # noqa: B018
        a, b = Input((2,)), Input((2,))
        first, _ = layer(a), layer(b)
        assert layer.input is a and layer.output is first


class TestSequentials:
    @pytest.mark.parametrize("kind", [dict, list, tuple])
    def test_several_inputs(self, kind):
        class Twice(layers.Layer):
            def call(self, inputs):
                if isinstance(inputs, dict):
                    return {key: 2 * x for key, x in inputs.items()}
                return [2 * x for x in inputs]

        class Total(layers.Layer):
            def call(self, inputs):
                return sum(inputs.values() if isinstance(inputs, dict) else inputs)

        model = Sequential([Twice(), Total(), layers.Dense(1, kernel_initializer="ones")])
        given = {"a": X, "b": X} if kind is dict else kind([X, X])
        wanted = 4 * X.sum(1, keepdims=True)
        np.testing.assert_allclose(model(given), wanted)
        np.testing.assert_allclose(model.predict(given, verbose=0), wanted)
        model.compile("sgd", "mse")
        model.fit(given, Y, verbose=0)
        model.summary(print_fn=lambda text: None)
        assert len(model.trainable_variables) == 2

    def test_sizes_may_differ_without_an_input(self):
        model = Sequential([layers.Conv2D(2, 3), layers.GlobalAveragePooling2D(), layers.Dense(1)])
        model.compile("sgd", "mse")
        for size in (8, 12, 7):
            images = np.ones((4, size, size + 1, 1))
            assert model(images).shape == (4, 1)
            assert model.predict(images, verbose=0).shape == (4, 1)
            model.fit(images, Y, verbose=0)
        with pytest.raises(ValueError, match="expected an input with extent 1 on axis"):
            model(np.ones((4, 8, 8, 3)))

    def test_shapes_that_are_not_known_before_a_call(self):
        class Dynamic(layers.Layer):
            def call(self, x):
                return x + 1.0

            def compute_output_spec(self, *args, **kwargs):
                raise NotImplementedError

        for chain in ([Dynamic()], [Input((2,)), Dynamic()]):
            model = Sequential([*chain, layers.Dense(1, kernel_initializer="ones")])
            np.testing.assert_allclose(model(X), (X + 1).sum(1, keepdims=True))
            assert model.predict(X, verbose=0).shape == (4, 1)

    def test_wrong_use(self):
        with pytest.raises(ValueError, match="add: expected a layer, received dict"):
            Sequential([{}])
        with pytest.raises(ValueError, match=r"build: input_shape: expected \(None, 2\)"):
            Sequential([Input((2,)), layers.Dense(1)]).build((3, 4))


def test_the_structure_of_outputs_is_kept():
    x = Input((2,))
    a, b = layers.Dense(1, name="a")(x), layers.Dense(1, name="b")(x)
    for outputs in ([a, b], (a, b), {"p": a, "q": b}, [(a,), {"q": b}]):
        model = Model(x, outputs)
        for copy in (Model.from_config(model.get_config()), models.model_from_json(model.to_json())):
            found = copy(X)
            assert type(found) is type(outputs)
            assert cnnrs.tree.map_structure(lambda _: 0, found) == cnnrs.tree.map_structure(
                lambda _: 0, outputs
            )


def test_what_inputs_and_outputs_make_is_functional():
    class Own(Model):
        pass

    x = Input((2,))
    made = Own(x, layers.Dense(1)(x))
    assert isinstance(made, models.Model) and isinstance(made, type(Model(x, x + 1.0)))
    functional = type(Model(x, x + 1.0))
    assert not isinstance(Sequential([Input((2,)), layers.Dense(1)]), functional)
    assert not isinstance(Own(), functional)
    assert not isinstance(made, type("Other", (functional,), {}))
    with pytest.raises(AttributeError, match="layers: the model lists its layers there"):
        made.layers = []


class TestClones:
    def test_a_clone_is_compiled_as_the_model(self):
        def own_loss(y, p):
            return ops.mean(abs(y - p))

        model = Sequential([Input((2,)), layers.Dense(1)])
        assert not models.clone_model(model).compiled
        model.compile(cnnrs.optimizers.Adam(0.125), own_loss, metrics=["mae", lambda y, p: y - p])
        clone = models.clone_model(model)
        assert clone.compiled and clone.loss is own_loss
        assert clone.optimizer is not model.optimizer
        assert float(clone.optimizer.learning_rate) == 0.125
        clone.set_weights(model.get_weights())
        assert clone.evaluate(X, Y, verbose=0) == pytest.approx(model.evaluate(X, Y, verbose=0))

    def test_a_subclass(self):
        class Own(Model):
            def __init__(self, units, **kwargs):
                super().__init__(**kwargs)
                self.units = units
                self.dense = layers.Dense(units)

            def call(self, x):
                return self.dense(x)

        model = Own(3)
        clone = models.clone_model(model)
        assert clone(X).shape == (4, 3) and clone.dense is not model.dense
        with pytest.raises(ValueError, match="clone_function: expected None for a subclass"):
            models.clone_model(model, clone_function=lambda layer: layer)

    def test_inputs_of_another_structure(self):
        a = Input((2,), name="a")
        model = Model({"a": a}, layers.Dense(1)(a))
        assert set(models.clone_model(model, {"a": Input((2,))}).input) == {"a"}
        with pytest.raises(ValueError, match="input_tensors: expected the structure"):
            models.clone_model(model, Input((2,)))


class TestConfigsOfKeras:
    DENSE = {"class_name": "Dense", "config": {"name": "d", "units": 3, "activation": "relu"}}
    ENTRY = {"class_name": "InputLayer", "config": {"name": "entry", "batch_shape": [None, 2]}}

    @pytest.mark.parametrize("module", ["keras", "keras.src.models.sequential", None])
    @pytest.mark.parametrize("inner", ["keras.layers", "keras.src.layers.core.dense", None])
    def test_a_sequential(self, module, inner):
        parts = [{**part, "module": inner, "registered_name": None} for part in (self.ENTRY, self.DENSE)]
        config = {"name": "s", "trainable": True, "layers": parts}
        data = {"module": module, "class_name": "Sequential", "config": config, "registered_name": None}
        model = models.model_from_json(json.dumps(data))
        assert isinstance(model, Sequential) and model.count_params() == 9

    def test_a_functional_of_keras_2(self):
        dense = {**self.DENSE, "name": "d", "inbound_nodes": [[["entry", 0, 0, {}]]]}
        config = {
            "name": "m",
            "layers": [{**self.ENTRY, "name": "entry", "inbound_nodes": []}, dense],
            "input_layers": [["entry", 0, 0]],
            "output_layers": [["d", 0, 0]],
        }
        assert Model.from_config(config)(X).shape == (4, 3)
        dense["inbound_nodes"] = [[["absent", 0, 0, {}]]]
        with pytest.raises(ValueError, match="d: expected the name of a layer there, received 'absent'"):
            Model.from_config(config)
        dense["inbound_nodes"] = [[["d", 0, 0, {}]]]
        with pytest.raises(ValueError, match="expected nodes without a loop"):
            Model.from_config(config)

    def test_functions(self):
        data = {"class_name": "function", "module": "builtins", "config": "relu", "registered_name": "relu"}
        found = cnnrs.saving.deserialize_keras_object(data)
        assert found is cnnrs.activations.relu
        for name in ("system", "eval", "__import__"):
            with pytest.raises(TypeError, match="cannot find function"):
                cnnrs.saving.deserialize_keras_object({**data, "config": name, "registered_name": name})

    @pytest.mark.parametrize(
        "obj", [b"\x00\xff", slice(None, 20, 1), slice(1, None), Ellipsis, (1, slice(2))]
    )
    def test_values_of_python(self, obj):
        data = json.loads(json.dumps(cnnrs.saving.serialize_keras_object(obj)))
        assert cnnrs.saving.deserialize_keras_object(data) == obj

    def test_functions_as_arguments_of_ops(self):
        x = Input((2,))
        model = Model(x, ops.vectorized_map(cnnrs.activations.relu, x))
        copy = models.model_from_json(model.to_json())
        np.testing.assert_array_equal(copy(-X), model(-X))

    @pytest.mark.parametrize(
        ("data", "error", "message"),
        [
            ({"class_name": "Dense", "config": [1]}, TypeError, "config: expected a dict"),
            ({"class_name": "function", "config": ["x"]}, TypeError, "expected a string"),
            ({"class_name": "Sequential", "config": {"layers": []}}, ValueError, "'name' and 'layers'"),
        ],
    )
    def test_damaged(self, data, error, message):
        with pytest.raises(error, match=message):
            cnnrs.saving.deserialize_keras_object(data)


def test_blocks_that_begin_at_computed_places():
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    start = cnnrs.Input(batch_shape=(2,), dtype="int32")
    traced = cnnrs.function(lambda t, at: ops.slice(t, at + 0, (2, 2)))
    np.testing.assert_array_equal(traced(x, np.array([1, 2], np.int32)), x[1:3, 2:4])
    np.testing.assert_array_equal(ops.slice(x, (1, 1), (-1, 2)), x[1:, 1:3])
    assert ops.slice(KerasTensor((None, 3)), (1, 1), (-1, -1)).shape == (None, 2)
    assert ops.slice(KerasTensor((3, 3)), start, (2, 2)).shape == (2, 2)


def test_a_list_for_a_dict_whose_order_says_nothing():
    b, a = Input((2,), name="b"), Input((2,), name="a")
    model = Model({"b": b, "a": a}, b - a)
    with pytest.raises(ValueError, match="expected a dict with the keys"):
        model([X, X])
