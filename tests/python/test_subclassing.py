"""Models of a class of the user's own: steps without `call`, and a `call` that reads values."""

from __future__ import annotations

import numpy as np
import pytest

import cnnrs
from cnnrs import Input, Model, Sequential, layers, ops
from cnnrs.base import context, naming

X = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
Y = X.sum(1)


class Encoder(Model):
    """A model that is trained but never called."""

    def __init__(self):
        super().__init__()
        self.inner = layers.Dense(2)
        self.tracker = cnnrs.metrics.Mean(name="loss")

    @property
    def metrics(self):
        return [self.tracker]

    def train_step(self, data):
        with cnnrs.GradientTape() as tape:
            loss = ops.sum(ops.square(self.inner(data)))
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        self.tracker.update_state(loss)
        return {"loss": self.tracker.result()}

    def test_step(self, data):
        self.tracker.update_state(ops.sum(ops.square(self.inner(data))))
        return {"loss": self.tracker.result()}


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: "adam",
        lambda: cnnrs.optimizers.Adam(0.1, use_ema=True, amsgrad=True),
        lambda: cnnrs.optimizers.RMSprop(0.1, gradient_accumulation_steps=2),
    ],
)
def test_a_model_without_call(optimizer):
    runs = []
    for jit_compile in ("auto", True):
        cnnrs.utils.set_random_seed(1)
        model = Encoder()
        model.compile(optimizer(), jit_compile=jit_compile)
        losses = model.fit(X, epochs=3, batch_size=4, shuffle=False, verbose=0).history["loss"]
        # As in Keras, only a call makes the model itself built.
        assert not model.built and len(model.weights) == 2 and int(model.optimizer._iterations) == 9
        assert model.evaluate(X, batch_size=12, verbose=0) < 12 / 4 * losses[0]
        runs.append([losses, *model.get_weights()])
    for eager, recorded in zip(*runs, strict=True):
        np.testing.assert_allclose(eager, recorded, rtol=1e-5)
    for use in (model, lambda x: model.predict(x, verbose=0)):
        with pytest.raises(NotImplementedError, match=r"Encoder.*call"):
            use(X)


def test_two_networks_without_call_and_with_optimizers_of_their_own():
    class Gan(Model):
        def __init__(self):
            super().__init__()
            self.generator = Sequential([Input((3,)), layers.Dense(4)])
            # Built by the first step.
            self.discriminator = Sequential([layers.Dense(5, activation="relu"), layers.Dense(1)])

        def compile(self, d_optimizer, g_optimizer, loss):
            super().compile()
            self.d_optimizer, self.g_optimizer, self.loss_of = d_optimizer, g_optimizer, loss

        def train_step(self, real):
            count = ops.shape(real)[0]
            noise = cnnrs.random.normal((count, 3))
            logs = {}
            for name, network, optimizer, label in (
                ("d", self.discriminator, self.d_optimizer, 0.0),
                ("g", self.generator, self.g_optimizer, 1.0),
            ):
                with cnnrs.GradientTape() as tape:
                    made = self.discriminator(self.generator(noise))
                    logs[name] = self.loss_of(ops.full((count, 1), label), made)
                variables = network.trainable_variables
                optimizer.apply_gradients(zip(tape.gradient(logs[name], variables), variables, strict=True))
            return logs

    model = Gan()
    before = model.generator.get_weights()[0].copy()
    loss = cnnrs.losses.BinaryCrossentropy(from_logits=True)
    model.compile(cnnrs.optimizers.Adam(0.01), cnnrs.optimizers.Adam(0.01), loss)
    history = model.fit(X, epochs=2, batch_size=4, verbose=0).history
    assert sorted(history) == ["d", "g"] and np.isfinite(history["d"]).all()
    assert int(model.d_optimizer.iterations) == int(model.g_optimizer.iterations) == 6
    assert (model.generator.get_weights()[0] != before).any()


class Reader(Model):
    """A `call` that looks at values."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = layers.Dense(1)
        self.shapes = []

    def call(self, x, training=None):
        if float(ops.max(x)) > -1e9:
            self.shapes.append(tuple(x.shape))
        return self.inner(x)


@pytest.mark.parametrize("use", ["call", "fit", "evaluate", "predict", "build"])
@pytest.mark.parametrize("eager", [False, True])
def test_a_call_that_reads_values_needs_no_build(use, eager):
    model = Reader()
    model.compile("adam", "mse", run_eagerly=eager)
    shapes = {
        "call": [(12, 4)],
        "fit": [(8, 4), (4, 4)],
        "evaluate": [(8, 4), (4, 4)],
        "predict": [(8, 4), (4, 4)],
        "build": [(1, 4)],
    }[use]
    if use == "call":
        model(X)
    elif use == "build":
        model.build((None, 4))
    elif use == "predict":
        assert model.predict(X, batch_size=8, verbose=0).shape == (12, 1)
    else:
        getattr(model, use)(X, Y, batch_size=8, verbose=0)
    # Python has run for each batch, and not otherwise.
    assert model.shapes == shapes
    assert model.built and [w.shape for w in model.get_weights()] == [(4, 1), (1,)]
    assert model.optimizer.built == (use == "fit")
    model.fit(X, Y, verbose=0)
    assert len(model.optimizer.variables) == 2 + 2 * 2


def test_a_call_that_reads_values_is_saved_and_built_again(tmp_path):
    model = Reader()
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    path = tmp_path / "reader.safetensors"
    model.save(path)
    again = cnnrs.models.load_model(path, custom_objects={"Reader": Reader})
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))


def test_an_unknown_extent_cannot_be_built_for_a_call_that_reads_values():
    with pytest.raises(RuntimeError, match="reader.*reads a value"):
        Reader(name="reader").build((None, None))


def test_a_first_call_that_fails_leaves_the_model_unbuilt():
    class Fails(Reader):
        def call(self, x):
            if not self.shapes:
                self.shapes.append(x.shape)
                raise KeyboardInterrupt
            return super().call(x)

    model = Fails()
    model.compile("adam", "mse")
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, verbose=0)
    assert not model.built and not model.optimizer.built
    model.fit(X, Y, verbose=0)
    assert len(model.optimizer.variables) == 2 + 2 * 2


def test_a_build_that_is_interrupted_starts_afresh():
    class Base(layers.Layer):
        def build(self, input_shape):
            self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")

    class Shifted(Base):
        interrupted = False

        def build(self, input_shape):
            super().build(input_shape)
            assert not self.built
            if not self.interrupted:
                self.interrupted = True
                raise KeyboardInterrupt
            self.shift = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="shift")

        def call(self, x):
            return x * self.scale + self.shift

    layer = Shifted(name="shifted")
    with pytest.raises(KeyboardInterrupt):
        layer(X)
    assert not layer.built
    np.testing.assert_array_equal(layer(X).numpy(), X)
    assert [w.path for w in layer.weights] == ["shifted/scale", "shifted/shift"]
    assert layer.get_build_config() == {"input_shape": (12, 4)}


def test_contexts_survive_an_exit_that_an_interrupt_skipped():
    with context.calling(True):
        context.calling(False).__enter__()
    assert context.is_outermost() and context.current_training() is None
    with context.calling(True):
        with context.trace():
            assert context.is_outermost() and context.is_tracing()
            context.calling(False).__enter__()
        assert context.current_training() is True and not context.is_outermost()
    assert context.is_outermost() and not context.is_tracing()
    with naming.name_scope("outer"):
        naming.name_scope("inner").__enter__()
        assert naming.current_path() == "outer/inner"
    assert naming.current_path() == ""
