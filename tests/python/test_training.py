"""fit, evaluate, predict, steps of the user's own, data of every kind."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import cnnrs
from cnnrs import Input, Model, Sequential, layers, ops
from cnnrs.training.py_dataset import PyDataset


def blobs(count=96, seed=0):
    """Three classes of 6 x 6 images, told apart by which third is bright."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, count)
    x = rng.normal(size=(count, 6, 6, 1)).astype(np.float32) * 0.3
    for i, label in enumerate(y):
        x[i, :, 2 * label : 2 * label + 2] += 1
    return x, y


def build(seed=1, dropout=0.0, metrics=("accuracy",), **arguments):
    cnnrs.utils.set_random_seed(seed)
    model = Sequential(
        [
            Input((6, 6, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dropout(dropout),
            layers.Dense(3, activation="softmax"),
        ]
    )
    arguments = {
        "optimizer": cnnrs.optimizers.Adam(0.01),
        "loss": "sparse_categorical_crossentropy",
        **arguments,
    }
    model.compile(metrics=list(metrics), **arguments)
    return model


def same(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_fit_learns_and_keeps_a_history():
    x, y = blobs()
    model = build()
    history = model.fit(x, y, epochs=8, batch_size=16, validation_split=0.25, verbose=0)
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert all(len(values) == 8 for values in history.history.values())
    assert history.history["accuracy"][-1] > 0.95
    assert int(model.optimizer.iterations) == 8 * -(-72 // 16)
    assert history.epoch == list(range(8)) and model.history is history


def test_evaluate_agrees_with_numpy():
    x, y = blobs(50)
    model = build()
    loss, accuracy = model.evaluate(x, y, batch_size=16, verbose=0)
    probabilities = model.predict(x, batch_size=16, verbose=0)
    assert accuracy == pytest.approx((probabilities.argmax(-1) == y).mean())
    assert loss == pytest.approx(-np.log(probabilities[np.arange(50), y]).mean(), rel=1e-5)
    assert model.evaluate(x, y, verbose=0, return_dict=True).keys() == {"loss", "accuracy"}


def test_predict_of_short_batches_and_single_images():
    x, _ = blobs(21)
    model = build()
    whole = model.predict_on_batch(x)
    np.testing.assert_allclose(model.predict(x, batch_size=8, verbose=0), whole, atol=1e-6)
    np.testing.assert_allclose(model.predict(x[:1], verbose=0), whole[:1], atol=1e-6)
    np.testing.assert_allclose(model(x).numpy(), whole, atol=1e-6)


def test_same_seed_same_bits():
    x, y = blobs()
    runs = []
    for _ in range(2):
        model = build(seed=7, dropout=0.3)
        model.fit(x, y, epochs=2, batch_size=20, verbose=0)
        runs.append(model.get_weights())
    same(*runs)


def test_another_seed_other_bits():
    x, y = blobs()
    weights = []
    for seed in (1, 2):
        model = build(seed=seed)
        model.fit(x, y, epochs=1, verbose=0)
        weights.append(model.get_weights()[0])
    assert (weights[0] != weights[1]).any()


def test_python_at_every_batch_computes_the_same():
    x, y = blobs()
    runs = []
    for eager in (False, True):
        model = build(run_eagerly=eager)
        history = model.fit(x, y, epochs=2, batch_size=20, verbose=0, shuffle=False).history
        runs.append((history, model.get_weights()))
    assert runs[0][0]["loss"] == pytest.approx(runs[1][0]["loss"], rel=1e-5)
    for a, b in zip(runs[0][1], runs[1][1], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_batch_by_batch_is_fit():
    x, y = blobs(64)
    fitted, stepped, logs = build(), build(), []
    fitted.fit(x, y, batch_size=16, verbose=0, shuffle=False)
    for i in range(0, 64, 16):
        logs.append(stepped.train_on_batch(x[i : i + 16], y[i : i + 16]))
    same(fitted.get_weights(), stepped.get_weights())
    means = [fitted.history.history[k][0] for k in ("loss", "accuracy")]
    assert np.mean(logs, axis=0).tolist() == pytest.approx(means, rel=1e-6)


def test_shuffling_visits_every_sample_once():
    seen = []

    class Spy(Model):
        def train_step(self, data):
            seen.extend(data[0].numpy()[:, 0].tolist())
            return super().train_step(data)

    x = np.arange(50, dtype=np.float32)[:, None]
    inputs = Input((1,))
    model = Spy(inputs, layers.Dense(1)(inputs))
    model.compile(cnnrs.optimizers.SGD(1e-6), "mse")
    model.fit(x, x, epochs=2, batch_size=16, verbose=0)
    first, second = seen[:50], seen[50:]
    assert sorted(first) == sorted(second) == list(range(50)) and first != second != list(range(50))


def test_sample_weights_and_class_weights():
    x, y = blobs(48)
    weights = np.where(y == 0, 2.0, np.where(y == 1, 0.5, 1.0))
    runs = []
    for arguments in ({"sample_weight": weights}, {"class_weight": {0: 2.0, 1: 0.5}}):
        model = build()
        model.fit(x, y, verbose=0, shuffle=False, **arguments)
        runs.append(model.get_weights())
    same(*runs)
    unweighted = build()
    unweighted.fit(x, y, verbose=0, shuffle=False)
    assert (unweighted.get_weights()[0] != runs[0][0]).any()


def batches(x, y, size=16):
    for i in range(0, len(x), size):
        yield x[i : i + size], y[i : i + size]


class Batched(PyDataset):
    def __init__(self, x, y, size=16, **kwargs):
        super().__init__(**kwargs)
        self.x, self.y, self.size = x, y, size
        self.epochs = 0

    def __len__(self):
        return -(-len(self.x) // self.size)

    def __getitem__(self, index):
        rows = slice(index * self.size, (index + 1) * self.size)
        return self.x[rows], self.y[rows]

    def on_epoch_end(self):
        self.epochs += 1


@pytest.mark.parametrize("kind", ["generator", "list", "dataset", "threads"])
def test_batches_of_every_kind_train_as_arrays_do(kind):
    x, y = blobs(40)
    arrays, model = build(), build()
    arrays.fit(x, y, batch_size=16, verbose=0, shuffle=False)
    data = {
        "generator": lambda: batches(x, y),
        "list": lambda: list(batches(x, y)),
        "dataset": lambda: Batched(x, y),
        "threads": lambda: Batched(x, y, workers=3, max_queue_size=2),
    }[kind]()
    model.fit(data, verbose=0, shuffle=False)
    same(arrays.get_weights(), model.get_weights())
    if isinstance(data, PyDataset):
        assert data.epochs == 1


def test_generators_with_steps_go_on_where_they_stopped():
    x, y = blobs(64)
    model = build()

    def endless():
        while True:
            yield from batches(x, y)

    model.fit(endless(), steps_per_epoch=3, epochs=2, verbose=0)
    assert int(model.optimizer.iterations) == 6


def test_a_generator_that_ends_early_warns():
    x, y = blobs(32)
    model = build()
    with pytest.warns(UserWarning, match="input ran out of data: it holds 2 of the 5 batches"):
        model.fit(batches(x, y), steps_per_epoch=5, epochs=3, verbose=0)
    assert int(model.optimizer.iterations) == 2


class Batches(cnnrs.callbacks.Callback):
    """The numbers of batches."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(batch)


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize(
    ("samples", "epochs", "steps", "batch_size", "expected", "held"),
    [
        # As Keras: an epoch ends with the arrays, and goes on where the one before stopped.
        (8, 3, 5, 4, [0, 1] * 3, [2, 2, 2]),
        (20, 3, 2, 4, [0, 1, 0, 1, 0], [1]),
        (20, 2, 3, None, [0, 1, 2] * 2, []),
    ],
)
def test_steps_per_epoch_of_arrays(samples, epochs, steps, batch_size, expected, held, eager):
    model = build(run_eagerly=eager)
    x, y = blobs(samples)
    watcher = Batches()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = model.fit(
            x,
            y,
            batch_size,
            epochs=epochs,
            steps_per_epoch=steps,
            callbacks=[watcher],
            verbose=0,
        )
    assert watcher.seen == expected and int(model.optimizer.iterations) == len(expected)
    assert history.epoch == list(range(epochs))
    assert [str(w.message) for w in caught] == [
        f"Your input ran out of data: it holds {count} of the {steps} batches of the epoch" for count in held
    ]
    assert all(w.filename == __file__ for w in caught)


@pytest.mark.parametrize("eager", [False, True])
def test_short_epochs_visit_every_sample(eager):
    class Sum(cnnrs.metrics.Metric):
        def __init__(self):
            super().__init__(name="sum")
            self.total = self.add_weight(name="total")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.total.assign_add(ops.sum(y_true))

        def result(self):
            return self.total.value

    x = 2.0 ** np.arange(12)
    model = Sequential([Input((1,)), layers.Dense(1)])
    model.compile("sgd", "mae", metrics=[Sum()], run_eagerly=eager)
    arguments = {"batch_size": 2, "verbose": 0}
    plain = model.fit(x, x, epochs=2, steps_per_epoch=3, shuffle=False, **arguments).history["sum"]
    assert plain == [sum(x[:6]), sum(x[6:])]
    shuffled = model.fit(x, x, epochs=2, steps_per_epoch=3, **arguments).history["sum"]
    assert sum(shuffled) == sum(x) and shuffled != plain


def test_steps_above_the_batches_of_arrays():
    x, y = blobs(20)
    model = build()
    expected = model.evaluate(x, y, verbose=0)
    with pytest.warns(UserWarning, match="2 of the 5"):
        assert model.evaluate(x, y, batch_size=10, steps=5, verbose=0) == pytest.approx(expected)
    with pytest.warns(UserWarning, match="2 of the 5"):
        assert model.predict(x, batch_size=10, steps=5, verbose=0).shape == (20, 3)
    assert model.predict(x, batch_size=4, steps=2, verbose=0).shape == (8, 3)
    assert model.predict(x, steps=2, verbose=0).shape == (20, 3)
    with pytest.warns(UserWarning, match="2 of the 5"):
        model.fit(x, y, batch_size=10, validation_data=(x, y), validation_steps=5, verbose=0)


def test_validation_data_and_frequency():
    x, y = blobs()
    history = (
        build().fit(x, y, epochs=4, validation_data=(x[:20], y[:20]), validation_freq=2, verbose=0).history
    )
    assert len(history["loss"]) == 4 and len(history["val_loss"]) == 2


def test_callbacks_see_batches_and_may_stop():
    x, y = blobs(64)
    calls = []

    class Watcher(cnnrs.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            calls.append((batch, sorted(logs)))
            if len(calls) == 3:
                self.model.stop_training = True

    model = build()
    model.fit(x, y, batch_size=16, epochs=5, callbacks=[Watcher()], verbose=0)
    assert [batch for batch, _ in calls] == [0, 1, 2] and calls[0][1] == ["accuracy", "loss"]
    assert int(model.optimizer.iterations) == 3


def test_steps_per_execution_joins_batches():
    x, y = blobs(96)
    seen = []

    class Watcher(cnnrs.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(batch)

    plain, joined = build(), build(steps_per_execution=4)
    plain.fit(x, y, batch_size=16, verbose=0, shuffle=False)
    joined.fit(x, y, batch_size=16, verbose=0, shuffle=False, callbacks=[Watcher()])
    assert seen == [3, 5]
    same(plain.get_weights(), joined.get_weights())


def test_several_outputs_with_losses_weights_and_metrics():
    x = Input((4,), name="x")
    hidden = layers.Dense(5)(x)
    model = Model(
        x, [layers.Dense(1, name="value")(hidden), layers.Dense(3, activation="softmax", name="kind")(hidden)]
    )
    model.compile(
        "sgd",
        {"value": "mse", "kind": "sparse_categorical_crossentropy"},
        loss_weights={"kind": 0.5},
        metrics={"kind": ["accuracy"]},
    )
    rng = np.random.default_rng(0)
    data = rng.normal(size=(20, 4)), [rng.normal(size=(20, 1)), rng.integers(0, 3, 20)]
    logs = model.evaluate(*data, verbose=0, return_dict=True)
    assert logs.keys() == {"loss", "value_loss", "kind_loss", "kind_accuracy"}
    assert logs["loss"] == pytest.approx(logs["value_loss"] + 0.5 * logs["kind_loss"], rel=1e-5)
    model.fit(data[0], {"value": data[1][0], "kind": data[1][1]}, verbose=0)


def test_targets_without_the_last_axis():
    x, y = np.ones((8, 3), np.float32), np.arange(8.0)
    model = Sequential([Input((3,)), layers.Dense(1, kernel_initializer="zeros")])
    model.compile("sgd", "mse")
    assert model.evaluate(x, y, verbose=0) == pytest.approx((y**2).mean(), rel=1e-6)


def test_layer_losses_count():
    inputs = Input((3,))
    out = layers.Dense(1, kernel_initializer="ones", kernel_regularizer=cnnrs.regularizers.L2(0.5))(inputs)
    model = Model(inputs, out)
    model.compile(cnnrs.optimizers.SGD(0.0), "mse")
    zeros = np.zeros((4, 3)), np.zeros((4, 1))
    assert model.evaluate(*zeros, verbose=0) == pytest.approx(1.5)
    assert model.fit(*zeros, verbose=0).history["loss"] == pytest.approx([1.5])


def test_frozen_layers_stay():
    x, y = blobs(32)
    model = build()
    model.layers[0].trainable = False
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = model.get_weights()
    model.fit(x, y, verbose=0)
    after = model.get_weights()
    same(before[:2], after[:2])
    assert (before[-2] != after[-2]).any()


class OwnStep(Model):
    """The documented form of a step of one's own."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.seen = cnnrs.metrics.Mean(name="seen")

    def train_step(self, data):
        x, y = data
        with cnnrs.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=y_pred)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        self.seen.update_state(loss)
        return {"seen": self.seen.result()}

    def test_step(self, data):
        x, y = data
        self.seen.update_state(self.compute_loss(y=y, y_pred=self(x, training=False), training=False))
        return {"seen": self.seen.result()}

    @property
    def metrics(self):
        return [self.seen]


@pytest.mark.parametrize("jit_compile", ["auto", True])
def test_own_train_step(jit_compile):
    x, y = blobs(48)
    cnnrs.utils.set_random_seed(3)
    inputs = Input((6, 6, 1))
    model = OwnStep(inputs, layers.Dense(3, activation="softmax")(layers.Flatten()(inputs)))
    plain = Model(inputs, model.output)
    start = model.get_weights()
    model.compile(cnnrs.optimizers.Adam(0.01), "sparse_categorical_crossentropy", jit_compile=jit_compile)
    history = model.fit(x, y, epochs=3, batch_size=16, verbose=0, shuffle=False).history
    assert history.keys() == {"seen"} and history["seen"][-1] < history["seen"][0]
    evaluated = model.evaluate(x, y, batch_size=16, verbose=0)
    own = model.get_weights()
    plain.set_weights(start)
    plain.compile(cnnrs.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    plain.fit(x, y, epochs=3, batch_size=16, verbose=0, shuffle=False)
    for a, b in zip(own, plain.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert evaluated == pytest.approx(plain.evaluate(x, y, verbose=0), rel=1e-4)


def test_own_compute_loss():
    class Doubled(Model):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return 2.0 * super().compute_loss(x, y, y_pred, sample_weight, training)

    inputs = Input((2,))
    model = Doubled(inputs, layers.Dense(1, kernel_initializer="zeros")(inputs))
    model.compile("sgd", "mse")
    assert model.evaluate(np.ones((4, 2)), np.ones((4, 1)), verbose=0) == pytest.approx(2.0)


def test_loop_of_ones_own_with_backward():
    x, y = blobs(48)
    model = build()
    optimizer = cnnrs.optimizers.SGD(0.1)
    loss_of = cnnrs.losses.SparseCategoricalCrossentropy()
    losses = []
    for _ in range(10):
        with cnnrs.GradientTape() as tape:
            loss = loss_of(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        losses.append(float(loss))
    assert losses[-1] < 0.5 * losses[0]


def test_learning_rate_can_be_set_between_epochs_without_recording_again():
    x, y = blobs(32)
    model = build(metrics=())
    model.fit(x, y, batch_size=16, verbose=0)
    steps = model._recorded.values()
    model.optimizer.learning_rate = 0.0
    before = model.get_weights()
    model.fit(x, y, batch_size=16, verbose=0)
    assert model._recorded.values() == steps
    same(before[:2], model.get_weights()[:2])


def test_arrays_are_predicted_by_what_was_recorded_for_them_until_something_changes(monkeypatch):
    x, _ = blobs(8)
    model = build()
    first = model.predict_on_batch(x)
    step = model._recorded.of_arrays.values()[0]
    calls = []
    replay = type(step).__call__
    monkeypatch.setattr(
        type(step), "__call__", lambda self, arrays: calls.append(self) or replay(self, arrays)
    )
    same(model.predict_on_batch(x), first)
    assert calls == [step]

    model.layers[0].kernel.assign(model.layers[0].kernel * 2)
    doubled = model.predict_on_batch(x)
    assert np.abs(doubled - first).max() > 1e-3
    model.run_eagerly = True
    same(model.predict_on_batch(x), doubled)
    assert calls == [step, step], "Python runs at every batch"
    model.run_eagerly = False
    model.predict_function = lambda iterator: ops.multiply(model(next(iterator)[0]), 3)
    same(model.predict_on_batch(x), 3 * doubled)
    model.predict_function = None
    monkeypatch.setattr(type(model), "predict_step", lambda self, data: ops.negative(self(data)))
    same(model.predict_on_batch(x), -doubled)
    monkeypatch.undo()
    precision = cnnrs.config.precision()
    cnnrs.config.set_precision("strict" if precision == "fast" else "fast")
    try:
        model.predict_on_batch(x)
    finally:
        cnnrs.config.set_precision(precision)
    assert len(model._recorded.of_arrays) == 2
    model.compile("sgd", "mse")
    assert len(model._recorded.of_arrays) == 0


def test_functions_of_the_user_run_single_batches_too():
    x, y = blobs(8)
    model = build()
    model.train_function = lambda iterator: {"loss": ops.sum(next(iterator)[1])}
    model.test_function = lambda iterator: {"loss": len(next(iterator)[0])}
    assert model.train_on_batch(x, y, return_dict=True) == {"loss": y.sum()}
    assert model.test_on_batch(x, y, return_dict=True) == {"loss": 8}


def test_arrays_whose_values_must_be_looked_at_are_looked_at_in_each_call():
    model = Sequential([Input((1,), dtype="int32"), layers.Embedding(4, 2)])
    good = np.array([[1]])
    for _ in range(2):
        model.predict_on_batch(good)
    with pytest.raises(ValueError, match="x: expected integers within int32, received 4294967296"):
        model.predict_on_batch(np.array([[2**32]]))
    assert len(model._recorded.of_arrays) == 0
    # Lists, nested inputs and numbers of other types take the longer way.
    same(model.predict_on_batch([[1]]), model.predict_on_batch(good.astype(np.int32)))


def test_interrupt_leaves_the_model_whole():
    x, y = blobs(64)
    model = build()

    class Interrupt(cnnrs.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, batch_size=16, callbacks=[Interrupt()], verbose=0)
    assert int(model.optimizer.iterations) == 2
    assert all(np.isfinite(w).all() for w in model.get_weights())
    model.fit(x, y, verbose=0)


class Interrupting:
    """Raises KeyboardInterrupt in the n-th call of a function."""

    def __init__(self, function, n):
        self.function, self.left = function, n

    def __call__(self, *args, **kwargs):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return self.function(*args, **kwargs)


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (cnnrs.optimizers.Optimizer, "add_variable_from_reference"),
        (cnnrs.metrics.Metric, "add_variable"),
        (cnnrs.optimizers.Adam, "update_step"),
        (layers.Layer, "add_weight"),
    ],
)
def test_an_interrupt_anywhere_in_the_first_fit(owner, name, eager, monkeypatch):
    x, y = blobs(16)

    def make():
        cnnrs.utils.set_random_seed(1)
        stack = [layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3, activation="softmax")]
        model = Sequential(stack)
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=eager)
        return model

    expected = make()
    expected.fit(x, y, batch_size=16, verbose=0)
    original = getattr(owner, name)
    for n in range(1, 20):
        model = make()
        interrupting = Interrupting(original, n)
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, lambda *args, do=interrupting, **kwargs: do(*args, **kwargs))
            try:
                model.fit(x, y, batch_size=16, verbose=0)
            except KeyboardInterrupt:
                pass
            else:
                break
        assert not model.optimizer.built or len(model.optimizer.variables) == 2 + 2 * 4
        done = int(model.optimizer.iterations)
        history = model.fit(x, y, batch_size=16, verbose=0).history
        assert list(history) == ["accuracy", "loss"]
        assert int(model.optimizer.iterations) == done + 1
        shapes = [v.shape for v in expected.optimizer.variables]
        assert [v.shape for v in model.optimizer.variables] == shapes
        assert [w.shape for w in model.get_weights()] == [w.shape for w in expected.get_weights()]
    # Each of its calls has been interrupted.
    assert n > 2


def test_progress_lines(capsys):
    x, y = blobs(32)
    build().fit(x, y, epochs=2, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("Epoch")] == ["Epoch 1/2", "Epoch 2/2"]
    assert "loss: " in lines[1] and "accuracy: " in lines[1]


def test_ops_in_a_subclassed_layer_train():
    class Gate(layers.Layer):
        def build(self, input_shape):
            self.w = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="w")

        def call(self, inputs):
            return ops.sum(inputs * ops.sigmoid(self.w), axis=-1, keepdims=True)

    inputs = Input((3,))
    model = Model(inputs, Gate()(inputs))
    model.compile(cnnrs.optimizers.SGD(0.5), "mse")
    x = np.eye(3, dtype=np.float32)
    losses = model.fit(x, np.ones((3, 1)), epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize("name", ["AUC", "Precision", "Recall", "MeanSquaredError", "BinaryAccuracy"])
def test_metrics_are_recorded_and_agree_with_python_at_every_batch(name):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)), rng.integers(0, 2, (40, 1)).astype(np.float32)
    values = []
    for eager in (False, True):
        model = Sequential([Input((3,)), layers.Dense(1, "sigmoid", kernel_initializer="ones")])
        metric = getattr(cnnrs.metrics, name)()
        model.compile("sgd", "binary_crossentropy", metrics=[metric], run_eagerly=eager)
        values.append(model.evaluate(x, y, batch_size=16, verbose=0))
    np.testing.assert_allclose(np.asarray(values[0][1]), np.asarray(values[1][1]), rtol=1e-5)


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_loss_without_reduction_is_the_mean_over_all_samples(outputs):
    inputs = Input((3,))
    model = Model(inputs, [layers.Dense(1, kernel_initializer="ones")(inputs) for _ in range(outputs)])
    model.compile("sgd", cnnrs.losses.MeanSquaredError(reduction=None))
    x = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
    y = np.zeros((10, 1), np.float32)
    expected = np.square(x.sum(1)).mean()
    # The last batch is smaller.
    logs = model.evaluate(x, [y] * outputs, batch_size=4, verbose=0, return_dict=True)
    assert logs.pop("loss") == pytest.approx(outputs * expected, rel=1e-5)
    assert list(logs.values()) == pytest.approx([expected] * len(logs), rel=1e-5)


@pytest.mark.parametrize("structure", [tuple, list])
@pytest.mark.parametrize("weights", [(), (np.ones(6, np.float32),)])
def test_several_inputs_are_validated_on_in_a_tuple_too(structure, weights):
    wide, deep = cnnrs.Input((2,)), cnnrs.Input((3,))
    joined = layers.Concatenate()([wide, deep])
    model = cnnrs.Model(
        [wide, deep], [layers.Dense(1, name="main")(joined), layers.Dense(1, name="aux")(deep)]
    )
    model.compile("sgd", "mse", loss_weights=[0.5, 0.5])
    x = structure([np.ones((6, 2), np.float32), np.ones((6, 3), np.float32)])
    y = structure([np.ones((6, 1), np.float32), np.zeros((6, 1), np.float32)])
    history = model.fit(x, y, validation_data=(x, y, *weights), epochs=2, verbose=0).history
    assert history["val_loss"][-1] == pytest.approx(model.evaluate(x, y, verbose=0)[0], rel=1e-5)
    # A list of tuples is a list of batches.
    batches = [((x[0][:3], x[1][:3]), (y[0][:3], y[1][:3])), ((x[0][3:], x[1][3:]), (y[0][3:], y[1][3:]))]
    of_batches = model.fit(x, y, validation_data=batches, verbose=0).history["val_loss"]
    assert of_batches[-1] == pytest.approx(model.evaluate(x, y, verbose=0)[0], rel=1e-5)


def test_texts_are_to_be_turned_into_numbers():
    with pytest.raises(
        TypeError, match="x: expected numbers or booleans, received texts: turn them into numbers"
    ):
        build().fit(np.array(["a", "b"]), np.ones(2), verbose=0)
