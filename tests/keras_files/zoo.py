"""Small models of every kind, as functions of the library: real Keras or cnnrs, whose names are the same."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

__all__ = ["BUILDERS", "LEGACY", "Case", "custom_objects", "data_of"]


class Case(NamedTuple):
    """A model with data to call and train it on.

    Attributes:
        model: The model, compiled unless it has nothing to train.
        x: Inputs.
        y: Targets; None if it is not trained.
    """

    model: Any
    x: Any
    y: Any


def _draw(*shape: int) -> np.ndarray:
    """The same numbers for the same shape, in whichever library."""
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


def data_of(name: str, keras: Any) -> tuple[Any, Any]:
    """Inputs and targets of a case."""
    case = BUILDERS[name](keras)
    return case.x, case.y


def sequential(keras: Any) -> Case:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(2, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.DepthwiseConv2D(2),
            layers.Flatten(),
            layers.Dropout(0.25),
            layers.Dense(3, activation="softmax", kernel_regularizer=keras.regularizers.L2(0.01)),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    if hasattr(model, "set_image_preprocessing"):
        # Keras looks past what the file says of images.
        model.set_image_preprocessing(["a", "b", "c"], scale=1 / 255)
    return Case(model, _draw(4, 6, 6, 1), np.array([0, 1, 2, 1]))


def functional(keras: Any) -> Case:
    layers = keras.layers
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    joined = layers.Concatenate()([layers.Dense(3, activation="tanh")(a), layers.Dense(3)(b)])
    added = keras.ops.relu(layers.Add()([joined, layers.Dense(6)(joined)])) * 0.5
    outputs = {"first": layers.Dense(1, name="first")(added), "second": layers.Dense(2, name="second")(added)}
    model = keras.Model([a, b], outputs)
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
        {"first": "mse", "second": keras.losses.Huber()},
        loss_weights={"first": 1.0, "second": 0.5},
        metrics={"first": ["mae"]},
    )
    return Case(model, [_draw(4, 4), _draw(4, 4) * 2], {"first": _draw(4, 1), "second": _draw(4, 2)})


def nested(keras: Any) -> Case:
    layers = keras.layers
    inner = keras.Sequential(
        [keras.Input((3,)), layers.Dense(3, activation="relu"), layers.LayerNormalization()]
    )
    x = keras.Input((3,))
    middle = keras.Model(x, layers.Dense(3)(inner(x)), name="middle")
    y = keras.Input((3,))
    model = keras.Model(y, layers.Dense(1)(middle(y)))
    model.compile(keras.optimizers.RMSprop(0.01), "mse")
    return Case(model, _draw(4, 3), _draw(4, 1))


def shared(keras: Any) -> Case:
    layers = keras.layers
    tower = layers.Dense(3, activation="tanh", name="tower")
    a, b = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    model = keras.Model([a, b], layers.Dense(1)(layers.Subtract()([tower(a), tower(b)])))
    model.compile(keras.optimizers.AdamW(0.01), "mse")
    return Case(model, [_draw(4, 4), _draw(4, 4) + 1], _draw(4, 1))


def siamese(keras: Any) -> Case:
    layers = keras.layers
    x = keras.Input((4,))
    encoder = keras.Model(x, layers.Dense(3)(layers.Dense(3, activation="tanh")(x)), name="encoder")
    decoder = keras.Sequential([keras.Input((3,)), layers.Dense(2)], name="decoder")
    a, b = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    first, second = encoder(a), encoder(b)
    model = keras.Model([a, b], [decoder(first - second), second, encoder(layers.Rescaling(2.0)(b))])
    model.compile(keras.optimizers.SGD(0.1), ["mse", "mse", "mse"])
    return Case(model, [_draw(4, 4), _draw(4, 4) - 1], [_draw(4, 2), _draw(4, 3), _draw(4, 3) + 1])


def operations(keras: Any) -> Case:
    layers, ops = keras.layers, keras.ops
    x = keras.Input((4, 6))
    y = x[:, 1:, ::2] * 0.5 + 1.0
    y = ops.concatenate([y, ops.transpose(ops.reshape(y, (-1, 3, 3)), (0, 2, 1))], axis=-1)
    y = ops.stack([y, ops.exp(-y)], axis=1)
    y = ops.mean(ops.squeeze(ops.expand_dims(y, 1), axis=1), axis=1, keepdims=False)
    y = ops.clip(y, -2.0, 2.0) / (1.0 + ops.sum(ops.square(y), axis=-1, keepdims=True))
    y = ops.matmul(y, ops.transpose(y, axes=(0, 2, 1))) - ops.softmax(y, axis=-1)[..., :3] ** 2
    y = ops.where(y > 0, y, 0.1 * y)
    y = ops.cast(y, "float32") + ops.maximum(y, 0.0)
    model = keras.Model(x, layers.Dense(2)(ops.max(y, axis=1)))
    model.compile(keras.optimizers.Adam(0.01), "mse")
    return Case(model, _draw(2, 4, 6), _draw(2, 2))


def _classes(keras: Any) -> dict[str, Any]:
    class Scale(keras.layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")
            self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False, name="seen")

        def call(self, inputs: Any) -> Any:
            return inputs * self.scale

    class Blocks(keras.Model):
        def __init__(self, units: int = 3, **kwargs: Any):
            super().__init__(**kwargs)
            self.units = units
            self.stem = keras.layers.Dense(units, activation="relu")
            self.blocks = [keras.layers.Dense(units), [keras.layers.Dense(units), Scale()]]
            self.heads = {"mean": keras.layers.Dense(1), "spread": keras.layers.Dense(1)}
            self._last = keras.layers.BatchNormalization()

        def call(self, inputs: Any, training: bool = False) -> Any:
            x = self.stem(inputs)
            x = x + self.blocks[0](x)
            for layer in self.blocks[1]:
                x = layer(x)
            return self._last(self.heads["mean"](x) * self.heads["spread"](x), training=training)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units}

    class Labelled(keras.Model):
        def __init__(self, **kwargs: Any):
            super().__init__(**kwargs)
            self.names = keras.layers.StringLookup()
            self.ages = keras.layers.IntegerLookup(num_oov_indices=2, mask_token=0)
            self.head = keras.layers.Dense(2)

        def call(self, inputs: Any) -> Any:
            return self.head(inputs)

    return {"Scale": Scale, "Blocks": Blocks, "Labelled": Labelled}


_MADE: dict[str, dict[str, Any]] = {}


def custom_objects(keras: Any) -> dict[str, Any]:
    """The classes of these models that are not the library's, registered."""
    if keras.__name__ not in _MADE:
        classes = _classes(keras)
        for cls in classes.values():
            keras.saving.register_keras_serializable("zoo")(cls)
        _MADE[keras.__name__] = classes
    return _MADE[keras.__name__]


def subclassed(keras: Any) -> Case:
    model = custom_objects(keras)["Blocks"](4)
    model.compile(keras.optimizers.Adam(0.01, clipnorm=1.0), "mse")
    return Case(model, _draw(4, 4), _draw(4, 1))


def recurrent(keras: Any) -> Case:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            layers.Embedding(7, 3, mask_zero=True),
            layers.Bidirectional(layers.LSTM(2, return_sequences=True)),
            layers.TimeDistributed(layers.Dense(3)),
            layers.GRU(3, return_sequences=True),
            layers.RNN([layers.LSTMCell(2), layers.GRUCell(2)], return_sequences=True),
            layers.SimpleRNN(2),
            layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.Nadam(0.01), "mse")
    return Case(model, np.array([[1, 2, 3, 4, 5], [6, 5, 0, 0, 0]]), _draw(2, 1))


def convlstm(keras: Any) -> Case:
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((2, 4, 4, 1)), layers.ConvLSTM2D(2, 2), layers.GlobalAveragePooling2D()]
    )
    model.compile(keras.optimizers.Adamax(0.01), "mse")
    return Case(model, _draw(2, 2, 4, 4, 1), _draw(2, 2))


def attention(keras: Any) -> Case:
    layers = keras.layers
    x = keras.Input((4, 6))
    y = layers.MultiHeadAttention(2, 3)(x, x)
    y = layers.LayerNormalization()(layers.Add()([x, y]))
    y = layers.GroupQueryAttention(2, 4, 2)(y, y)
    y = layers.Attention(use_scale=True)([y, y])
    y = layers.AdditiveAttention()([y, y])
    y = layers.EinsumDense("abc,cd->abd", output_shape=(None, 2), bias_axes="d")(y)
    model = keras.Model(x, layers.GlobalAveragePooling1D()(y))
    model.compile(keras.optimizers.Lion(0.01), "mse")
    return Case(model, _draw(2, 4, 6), _draw(2, 2))


def convolutions(keras: Any) -> Case:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            layers.SeparableConv2D(4, 2),
            layers.GroupNormalization(2),
            layers.PReLU(shared_axes=[1, 2]),
            layers.SpectralNormalization(layers.Conv2D(2, 2)),
            layers.Conv2DTranspose(2, 2, strides=2),
            layers.LeakyReLU(0.2),
            layers.ZeroPadding2D(1),
            layers.AveragePooling2D(2),
            layers.Reshape((-1, 2)),
            layers.Conv1D(2, 3, dilation_rate=2),
            layers.UnitNormalization(),
            layers.Flatten(),
            layers.Dense(1, kernel_initializer=keras.initializers.HeNormal(seed=3)),
        ]
    )
    model.compile(
        keras.optimizers.Ftrl(keras.optimizers.schedules.ExponentialDecay(0.05, 10, 0.9)),
        keras.losses.MeanSquaredError(),
        metrics=[keras.metrics.MeanAbsoluteError(name="off"), keras.metrics.RootMeanSquaredError()],
    )
    return Case(model, _draw(2, 8, 8, 2), _draw(2, 1))


def preprocessing(keras: Any) -> Case:
    layers = keras.layers
    normalization = layers.Normalization()
    normalization.adapt(_draw(8, 3) * 3 + 1)
    model = keras.Sequential(
        [
            keras.Input((3,)),
            normalization,
            layers.Rescaling(0.5, 0.1),
            layers.GaussianNoise(0.1),
            layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.Adagrad(0.1), "mse")
    return Case(model, _draw(4, 3), _draw(4, 1))


def integer_lookup(keras: Any) -> Case:
    lookup = keras.layers.IntegerLookup(output_mode="one_hot")
    lookup.adapt(np.array([7, 7, 7, 9, 9, 12]))
    model = keras.Sequential([keras.Input((1,), dtype="int64"), lookup])
    return Case(model, np.array([[9], [7], [3]]), None)


def vocabularies(keras: Any) -> Case:
    model = custom_objects(keras)["Labelled"]()
    model.names.adapt(np.array(["red", "red", "green", "blå"]))
    model.ages.adapt(np.array([7, 7, 9]))
    return Case(model, _draw(2, 3), None)


def discretization(keras: Any) -> Case:
    layer = keras.layers.Discretization(num_bins=3, output_mode="one_hot")
    layer.adapt(np.arange(9, dtype="float32").reshape(9, 1))
    model = keras.Sequential([keras.Input((1,)), layer])
    return Case(model, np.array([[0.5], [4.0], [9.0]], "float32"), None)


def mixed(keras: Any) -> Case:
    layers = keras.layers
    x = keras.Input((4,))
    y = layers.Dense(4, dtype="mixed_float16", activation="relu")(x)
    model = keras.Model(x, layers.Dense(1, dtype="float32")(y))
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01)), "mse")
    return Case(model, _draw(4, 4), _draw(4, 1))


def halves(keras: Any) -> Case:
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3, dtype="bfloat16"), layers.Dense(1, dtype="float16")]
    )
    return Case(model, _draw(4, 4), None)


BUILDERS = {
    function.__name__: function
    for function in (
        sequential,
        functional,
        nested,
        shared,
        siamese,
        operations,
        subclassed,
        recurrent,
        convlstm,
        attention,
        convolutions,
        preprocessing,
        integer_lookup,
        vocabularies,
        discretization,
        mixed,
        halves,
    )
}


def _optimized(name: str, **arguments: Any) -> Any:
    """A case that trains with an optimizer."""

    def build(keras: Any) -> Case:
        layers = keras.layers
        model = keras.Sequential([keras.Input((3,)), layers.Dense(4, activation="tanh"), layers.Dense(1)])
        model.compile(getattr(keras.optimizers, name)(**arguments), "mse")
        return Case(model, _draw(4, 3), _draw(4, 1))

    return build


OPTIMIZERS = {
    "Adadelta": {},
    "Adafactor": {},
    "Adagrad": {},
    "Adam": {"amsgrad": True, "use_ema": True},
    "AdamW": {"gradient_accumulation_steps": 2},
    "Adamax": {},
    "Ftrl": {},
    "Lamb": {},
    "Lion": {},
    "Muon": {},
    "Nadam": {},
    "RMSprop": {"momentum": 0.5, "centered": True},
    "SGD": {"momentum": 0.5},
}
BUILDERS |= {
    f"optimizer_{name.lower()}": _optimized(name, **arguments) for name, arguments in OPTIMIZERS.items()
}

# Those of which there is a file of weights alone, too.
WEIGHTS = ("sequential", "nested", "subclassed")
# Those that are also written as legacy HDF5.
LEGACY = (
    "sequential",
    "functional",
    "nested",
    "shared",
    "recurrent",
    "attention",
    "convolutions",
    "preprocessing",
)
