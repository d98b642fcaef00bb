"""What a call hands to a layer and what it refuses; symbols as values of Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import Input, KerasTensor, Model, Operation, Sequential, layers, ops

X = np.ones((2, 3), np.float32)


def watcher(default: Any) -> tuple[layers.Layer, list[Any]]:
    """A layer whose `training` has a default, and the values that it has been called with."""
    seen: list[Any] = []

    class Watching(layers.Layer):
        def call(self, x, training=default):
            seen.append(training)
            return x

    return Watching(), seen


class TestTraining:
    @pytest.mark.parametrize("default", [None, False, True])
    @pytest.mark.parametrize("model", ["layer", "sequential", "functional", "subclass"])
    def test_the_default_of_the_class_stays(self, default, model):
        layer, seen = watcher(default)
        if model == "sequential":
            made: Any = Sequential([Input((3,)), layer])
        elif model == "functional":
            entry = Input((3,))
            made = Model(entry, layer(entry))
        elif model == "subclass":
            made = type("Own", (Model,), {"call": lambda self, x: layer(x)})()
        else:
            made = layer
        for given in (None, True, False):
            seen.clear()
            made(X, **({} if given is None else {"training": given}))
            assert seen == [default if given is None else given]

    def test_a_default_does_not_reach_other_layers(self):
        outer, _ = watcher(True)
        inner, seen = watcher(None)

        class Around(layers.Layer):
            def call(self, x, training=True):
                return inner(outer(x))

        Around()(X)
        assert seen == [None]
        Around()(X, training=True)
        assert seen == [None, True]

    def test_fit_and_predict_say_it(self):
        layer, seen = watcher(None)
        model = Sequential([Input((3,)), layer, layers.Dense(1)])
        model.compile("sgd", "mse", run_eagerly=True)
        seen.clear()
        model.fit(X, np.ones((2, 1)), verbose=0)
        model.predict(X, verbose=0)
        assert seen == [True, False]

    def test_without_a_default_it_is_false(self):
        seen = []

        class Needs(layers.Layer):
            def call(self, x, training):
                seen.append(training)
                return x

        Needs()(X)
        entry = Input((3,))
        Model(entry, Needs()(entry))(X)
        assert set(seen) == {False}


class TestArguments:
    @pytest.mark.parametrize("wrong", [True, "text", np.sum])
    def test_what_is_no_tensor_is_given_by_name(self, wrong):
        class Own(layers.Layer):
            def call(self, x, other):
                return x

        with pytest.raises(ValueError, match="own.*: expected tensors as positional arguments, received"):
            Own()(X, wrong)
        assert Own()(X, other=wrong).shape == (2, 3)
        assert Own()(X, None).shape == Own()(X, X).shape == Own()([X, X], [X])[0].shape

    def test_names_of_build(self):
        class NoSuffix(layers.Layer):
            def build(self, a_shape, b):
                pass

            def call(self, a, b):
                return a + b

        class Stranger(layers.Layer):
            def build(self, a_shape, c_shape):
                pass

            def call(self, a, b):
                return a + b

        with pytest.raises(ValueError, match="build: expected names of arguments .* received 'b'"):
            NoSuffix()(X, X)
        with pytest.raises(ValueError, match=r"build: received 'c_shape', but call\(\) has no argument 'c'"):
            Stranger()(X, X)

    def test_weights_are_made_before_calls(self):
        class Each(layers.Layer):
            def call(self, x):
                return x * self.add_weight(shape=(), name="w")

        class First(layers.Layer):
            def __init__(self, **kwargs):
                super().__init__(**kwargs)
                self.w = self.add_weight(shape=(), initializer="ones")

            def call(self, x):
                return x * self.w

        with pytest.raises(ValueError, match="add_weight: expected weights to be made in __init__"):
            Each()(X)
        layer = First()
        layer.add_weight(shape=(), name="second")
        layer(X)
        with pytest.raises(ValueError, match="'?third'? is made in or after a call"):
            layer.add_weight(shape=(), name="third")
        with pytest.raises(ValueError, match=r"expected the shape first, received 'w'"):
            First().add_weight("w")

    def test_shapes_of_a_layer_without_call(self):
        with pytest.raises(NotImplementedError, match="compute_output_shape"):
            layers.Layer().compute_output_shape((2, 3))


class TestSymbols:
    def test_equality(self):
        x, y = Input((3,)), Input((3,))
        assert isinstance(x == y, KerasTensor) and isinstance(x != 0.0, KerasTensor)
        assert x in [y, x] and [y, x].index(x) == 1 and x not in [y]
        assert x != y and not x != x
        assert x not in [KerasTensor((4, 5))]
        with pytest.raises(TypeError, match="symbolic"):
            bool(x == 0.0)
        model = Model([x, y], ops.cast(x == y, "float32"))
        np.testing.assert_array_equal(model([X, 2 * X - 1]), 1.0)

    def test_rounding(self):
        x = Input((3,))
        model = Model(x, round(x))
        values = np.array([[0.4, 1.6, -2.2]], np.float32)
        np.testing.assert_array_equal(model(values), np.round(values))
        for kind in (ops.array, cnnrs.Variable):
            np.testing.assert_array_equal(round(kind(values)), np.round(values))
            np.testing.assert_allclose(round(kind(values * 0.1), 1), np.round(values * 0.1, 1), rtol=1e-6)

    def test_element_types_of_numpy(self):
        assert KerasTensor((2,), np.dtype("int32")).dtype == "int32"
        assert KerasTensor((2,), np.float32).dtype == "float32"
        assert KerasTensor((2,)).ragged_rank is None and KerasTensor((2,)).row_splits_dtype is None
        with pytest.raises(AttributeError):
            KerasTensor((2,)).shape = (3,)


class TestOperations:
    """An `Operation` has a config, and knows its first call on symbols."""

    class Scale(Operation):
        def __init__(self, factor, offset=1.0, *, name=None):
            super().__init__(name)
            self.factor, self.offset = factor, offset

        def call(self, x):
            return x * self.factor + self.offset

    def test_configs(self):
        scale = self.Scale(2.0)
        assert scale.get_config() == {"factor": 2.0, "offset": 1.0, "name": scale.name}
        again = self.Scale.from_config(scale.get_config())
        assert again.get_config() == scale.get_config()
        assert again(3.0) == 7.0
        with pytest.raises(NotImplementedError, match="expected get_config"):
            self.Scale(object()).get_config()

    def test_input_and_output(self):
        scale, x = self.Scale(2.0), Input((3,))
        y = scale(x)
        assert scale.input is x and scale.output is y
        np.testing.assert_array_equal(Model(x, y)(X), 3.0)


def test_what_is_made_without_history_has_none():
    plain, silent = KerasTensor((None, 3)), KerasTensor((None, 3), record_history=False)
    layer = layers.Dense(2)
    assert layer(silent)._keras_history is None and layer._inbound_nodes == []
    assert layer(plain)._keras_history is not None and (plain + silent)._keras_history is None
