"""What the guides of Keras teach: each by the lines that a reader would copy."""

import numpy as np

import cnnrs as keras
from cnnrs import ops

X = np.random.default_rng(0).random((32, 4)).astype("float32")
Y = X.sum(1, keepdims=True)


def test_a_train_step_that_returns_the_results_of_all_metrics():
    class Own(keras.Model):
        def train_step(self, data):
            x, y = data
            with keras.GradientTape() as tape:
                y_pred = self(x, training=True)
                loss = self.compute_loss(y=y, y_pred=y_pred)
            variables = self.trainable_variables
            self.optimizer.apply(tape.gradient(loss, variables), variables)
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
                else:
                    metric.update_state(y, y_pred)
            return {m.name: m.result() for m in self.metrics}

    inputs = keras.Input((4,))
    model = Own(inputs, keras.layers.Dense(1)(inputs))
    model.compile("adam", "mse", metrics=["mae"])
    history = model.fit(X, Y, epochs=2, verbose=0).history
    assert sorted(history) == ["loss", "mae"]
    assert all(isinstance(value, float) for values in history.values() for value in values)
    assert sorted(model.train_on_batch(X, Y, return_dict=True)) == ["loss", "mae"]


def test_an_optimizer_of_ones_own():
    class Momentum(keras.optimizers.Optimizer):
        def build(self, variables):
            super().build(variables)
            self.kept = [self.add_variable_from_reference(v, "kept") for v in variables]

        def update_step(self, gradient, variable, learning_rate):
            kept = self.kept[self._get_variable_index(variable)]
            self.assign(kept, ops.add(ops.multiply(kept, 0.9), gradient))
            self.assign_sub(variable, ops.multiply(learning_rate, kept))

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(Momentum(learning_rate=0.05), "mse")
    losses = model.fit(X, Y, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2


def test_arrays_of_float64_beside_tensors_take_their_float_type():
    x = ops.ones((2, 3))
    means = np.array([103.9, 116.8, 123.7])
    for y in (x - means, means - x, x * means, keras.Variable(x) / means):
        assert y.dtype == "float32"
    assert (ops.ones((3,), "float16") + means).dtype == "float16"
    assert (ops.ones((3,), "float64") + means).dtype == "float64"
    assert (ops.ones((3,), "int32") * means).dtype == "float32"


def test_inverse_functions_have_infinite_gradients_where_their_domains_end():
    v = keras.Variable([1.0, -1.0])
    for function, expected in ((ops.arcsin, [1, 1]), (ops.arccos, [-1, -1]), (ops.arctanh, [1, 1])):
        with keras.GradientTape() as tape:
            total = ops.sum(function(v))
        np.testing.assert_array_equal(tape.gradient(total, v), np.inf * np.array(expected))
