"""deepcopy and pickle of layers, models, optimizers and History."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import cnnrs
from cnnrs import callbacks, layers, losses, metrics, ops, optimizers, saving

RANDOM = np.random.default_rng(4)
X = RANDOM.normal(size=(20, 6, 6, 2)).astype(np.float32)
Y = RANDOM.integers(0, 3, 20)

by_pickle = lambda obj: pickle.loads(pickle.dumps(obj))  # noqa: E731
either_way = pytest.mark.parametrize("again", [copy.deepcopy, by_pickle], ids=["deepcopy", "pickle"])


class Scale(layers.Layer):
    """A class of the user, not registered, with a layer inside that a build makes."""

    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape):
        self.inner = layers.Dense(input_shape[-1], name="inner")
        self.inner.build(input_shape)

    def call(self, inputs):
        return self.factor * self.inner(inputs)


class Dense(layers.Layer):
    """A class of the user with the name of another."""

    def call(self, inputs):
        return inputs + 1.0


class Net(cnnrs.Model):
    def __init__(self, units=3):
        super().__init__()
        self.flat = layers.Flatten()
        self.head = layers.Dense(units)

    def call(self, inputs):
        return self.head(self.flat(inputs))


def sequential():
    return cnnrs.Sequential(
        [
            cnnrs.Input((6, 6, 2)),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            layers.Flatten(),
            Scale(0.5),
            Dense(),
            layers.Dense(3),
        ]
    )


def functional():
    inputs = cnnrs.Input((6, 6, 2))
    x = layers.Conv2D(2, 3, padding="same")(inputs)
    x = layers.Add()([x, inputs]) * 0.5
    return cnnrs.Model(inputs, layers.Dense(3)(layers.Flatten()(ops.relu(x))))


def compiled(model):
    model.compile(
        optimizers.Adam(0.01), losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
    )
    return model


@either_way
@pytest.mark.parametrize("make", [sequential, functional, Net], ids=["sequential", "functional", "subclass"])
def test_a_copied_model_trains_on_with_the_same_bits(make, again):
    model = compiled(make())
    model.fit(X, Y, batch_size=8, epochs=2, verbose=0)
    other = again(model)
    assert type(other) is type(model) and other.name == model.name
    np.testing.assert_array_equal(other.predict(X, verbose=0), model.predict(X, verbose=0))
    histories = [m.fit(X, Y, batch_size=8, epochs=2, verbose=0).history for m in (model, other)]
    assert histories[0] == histories[1]
    for a, b in zip(model.variables, other.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
        assert a is not b


@either_way
def test_copies_of_models_that_are_not_built(again):
    model = cnnrs.Sequential([layers.Flatten(), layers.Dense(3)])
    other = again(model)
    assert not other.built and other(X).shape == (20, 3) and not model.built
    unbuilt = again(Net(units=5))
    assert unbuilt(X).shape == (20, 5)


@either_way
def test_copies_of_layers(again):
    layer = Scale(3.0, name="scale")
    fresh = again(layer)
    assert (fresh.name, fresh.factor, fresh.built) == ("scale", 3.0, False)
    x = np.ones((2, 4), np.float32)
    layer(x)
    layer.inner.bias.trainable = False
    other = again(layer)
    assert other(x).tolist() == layer(x).tolist()
    assert [v.trainable for v in other.variables] == [v.trainable for v in layer.variables] == [True, False]
    other.inner.kernel.assign(np.zeros((4, 4)))
    assert other(x).tolist() != layer(x).tolist()


@either_way
def test_a_copy_keeps_what_is_frozen(again):
    model = sequential()
    model.layers[0].trainable = False
    assert len(again(model).trainable_weights) == len(model.trainable_weights) < len(model.weights)


@either_way
def test_a_copied_optimizer_goes_on(again):
    optimizer = optimizers.SGD(optimizers.schedules.ExponentialDecay(0.1, 5, 0.5), momentum=0.9)
    v, w = cnnrs.Variable([1.0]), cnnrs.Variable([1.0])
    assert not again(optimizer).built
    optimizer.apply([[1.0]], [v])
    w.assign(v)
    other = again(again(optimizer))
    assert int(other.iterations) == 1 and other.get_config() == optimizer.get_config()
    optimizer.apply([[1.0]], [v])
    other.apply([[1.0]], [w])
    assert v.numpy().tolist() == w.numpy().tolist() and int(other.iterations) == 2


@either_way
def test_copies_of_history_and_callbacks(again):
    model = compiled(functional())
    stop = callbacks.EarlyStopping("loss", patience=3)
    history = model.fit(X, Y, epochs=2, verbose=0, callbacks=[stop])
    other = again(history)
    assert (other.history, other.epoch, other.params) == (history.history, history.epoch, history.params)
    assert again(stop).patience == 3


_NEEDED = {
    "IoU": {"num_classes": 3, "target_class_ids": [1]},
    "MeanIoU": {"num_classes": 3},
    "OneHotIoU": {"num_classes": 3, "target_class_ids": [1]},
    "OneHotMeanIoU": {"num_classes": 3},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
}


@either_way
@pytest.mark.parametrize(
    "cls",
    [getattr(home, name) for home in (losses, metrics) for name in home.__all__ if name[0].isupper()],
    ids=lambda cls: f"{cls.__module__}.{cls.__name__}",
)
def test_copies_of_losses_and_metrics(cls, again):
    if cls in (losses.Loss, metrics.Metric):
        obj = cls(name="base")
    elif cls is metrics.MeanMetricWrapper:
        obj = cls(losses.mean_squared_error)
    else:
        obj = cls(**_NEEDED.get(cls.__name__, {}))
    assert again(obj).get_config() == obj.get_config()


def test_a_copy_in_the_process_may_use_lambdas_a_pickle_may_not():
    model = cnnrs.Sequential([cnnrs.Input((4,)), layers.Lambda(lambda x: x * 3), layers.Dense(1)])
    model.compile("sgd", loss=lambda y, p: (y - p) * (y - p))
    x, y = np.ones((4, 4), np.float32), np.ones((4, 1), np.float32)
    model.fit(x, y, verbose=0)
    other = copy.deepcopy(model)
    assert other.fit(x, y, verbose=0).history == model.fit(x, y, verbose=0).history
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(model)
    with pytest.raises(ValueError, match="lambda"):
        saving.serialize_keras_object(model.layers[0])


def test_a_pickle_names_no_code():
    """The classes of cnnrs are named in data; only those of the user are referred to."""
    text = pickle.dumps(compiled(sequential()), protocol=0).decode("latin-1")
    referred = {line for line in text.splitlines() if line.startswith("c")}
    assert any("Scale" in line for line in text.splitlines())
    assert not any(line.startswith("ccnnrs.layers") for line in referred)


def test_a_copy_of_another_model_with_a_class_of_the_same_name():
    class Scale(layers.Layer):
        def call(self, inputs):
            return inputs - 1.0

    model = cnnrs.Sequential([cnnrs.Input((2,)), Scale(), globals()["Scale"](2.0), Dense(), layers.Dense(2)])
    x = np.ones((1, 2), np.float32)
    assert copy.deepcopy(model)(x).tolist() == model(x).tolist()


class OwnCompile(Net):
    def compile(self, rate):
        super().compile(optimizers.SGD(rate), "mse")


@either_way
def test_a_compile_that_the_user_wrote_is_left_to_him(again):
    model = OwnCompile()
    model(X)
    model.compile(0.5)
    with pytest.warns(UserWarning, match="OwnCompile defines compile"):
        other = again(model)
    assert not other.compiled
    np.testing.assert_array_equal(other(X).numpy(), model(X).numpy())


@either_way
def test_copies_of_tensors_hold_their_values(again):
    tensor = ops.array([1.0, 2.0]) * 2.0
    tracked = ops.array([[3.0]])
    tracked.requires_grad = True
    labels = ops.array(np.array([1, 2]))
    results = again({"a": tensor, "b": [tracked, labels]})
    assert results["a"].tolist() == [2.0, 4.0] and not results["a"].requires_grad
    assert results["b"][0].tolist() == [[3.0]] and results["b"][0].requires_grad
    assert results["b"][1].dtype == labels.dtype
