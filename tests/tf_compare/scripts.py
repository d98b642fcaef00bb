"""Small programs in the style of Keras's examples: each takes the library and gives results to compare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["SCRIPTS"]

SCRIPTS: dict[str, Callable[[Any], Any]] = {}


def _script(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    SCRIPTS[function.__name__] = function
    return function


def _numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).uniform(-1, 1, shape).astype("float32")


@_script
def linear_regression_by_hand(tf: Any) -> Any:
    """Variables, a tape and updates, inside of `tf.function`."""
    x = tf.constant(_numbers(16, 3))
    y = tf.matmul(x, tf.constant([[1.0], [-2.0], [0.5]])) + 0.3
    w, b = tf.Variable(tf.zeros((3, 1))), tf.Variable(tf.zeros((1,)))

    @tf.function
    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(tf.matmul(x, w) + b - y))
        dw, db = tape.gradient(loss, [w, b])
        w.assign_sub(0.1 * dw)
        b.assign_sub(0.1 * db)
        return loss

    losses = [step(x, y) for _ in range(5)]
    return {"losses": tf.stack(losses), "w": w.read_value(), "b": b.read_value()}


@_script
def parts_of_variables(tf: Any) -> Any:
    """Elements, rows and columns of a variable are assigned, also in a recorded function."""
    v, w = tf.Variable(_numbers(3, 4)), tf.Variable([1, 2, 3])
    values = []
    v[0, 1].assign(42.0)
    values.append(v.read_value())
    v[:, 2].assign([0.0, 1.0, 2.0])
    v[-1].assign([7, 8, 9, 10])
    values.append(v.read_value())
    v[1:, ::2].assign([[5.0], [6.0]])
    v[..., 3].assign(0.5)
    values.append(v.read_value())
    w[1].assign(w[0] + 4)

    @tf.function
    def swap() -> Any:
        first = tf.identity(v[0])
        v[0].assign(v[1])
        v[1].assign(first)
        return tf.reduce_sum(v[0])

    return [*values, w.read_value(), swap(), v.read_value()]


@_script
def own_training_loop(tf: Any) -> Any:
    """A Keras model trained with a tape, an optimizer and a metric."""
    model = tf.keras.Sequential(
        [
            tf.keras.Input((6, 6, 1)),
            tf.keras.layers.Conv2D(2, 3, activation="relu"),
            tf.keras.layers.Flatten(),
            tf.keras.layers.Dense(3),
        ]
    )
    model.set_weights([_numbers(*w.shape, seed=i) for i, w in enumerate(model.get_weights())])
    optimizer = tf.keras.optimizers.Adam(0.05)
    loss_fn = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    metric = tf.keras.metrics.Mean()
    x, y = tf.constant(_numbers(8, 6, 6, 1, seed=5)), tf.constant([0, 1, 2, 0, 1, 2, 0, 1])

    @tf.function
    def train_step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        grads = tape.gradient(loss, model.trainable_weights)
        optimizer.apply_gradients(zip(grads, model.trainable_weights, strict=True))
        return loss

    for _ in range(4):
        metric.update_state(train_step(x, y))
    return {"mean": metric.result(), "logits": model(x), "classes": tf.argmax(model(x), axis=-1)}


@_script
def layer_of_tf_functions(tf: Any) -> Any:
    """A layer whose call uses `tf`, in a model with a batch of unknown size."""

    class Patches(tf.keras.layers.Layer):
        def __init__(self, size: int):
            super().__init__()
            self.size = size

        def call(self, images: Any) -> Any:
            batch = tf.shape(images)[0]
            patches = tf.image.extract_patches(
                images=images,
                sizes=[1, self.size, self.size, 1],
                strides=[1, self.size, self.size, 1],
                rates=[1, 1, 1, 1],
                padding="VALID",
            )
            depth = patches.shape[-1]
            return tf.reshape(patches, [batch, -1, depth])

    inputs = tf.keras.Input((4, 4, 2))
    outputs = Patches(2)(inputs)
    model = tf.keras.Model(inputs, outputs)
    x = _numbers(3, 4, 4, 2)
    return {"eager": model(x), "predicted": model.predict(x, verbose=0), "rank": len(model.output_shape)}


@_script
def own_loss_and_metric(tf: Any) -> Any:
    """Functions of `tf` as a loss and as a metric of `compile`."""

    def dice(y_true: Any, y_pred: Any) -> Any:
        y_true = tf.cast(y_true, tf.float32)
        common = tf.reduce_sum(y_true * y_pred, axis=[1, 2, 3])
        total = tf.reduce_sum(y_true, axis=[1, 2, 3]) + tf.reduce_sum(y_pred, axis=[1, 2, 3])
        return 1.0 - tf.math.divide_no_nan(2.0 * common, total)

    model = tf.keras.Sequential(
        [tf.keras.Input((4, 4, 1)), tf.keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid")]
    )
    model.set_weights([_numbers(*w.shape, seed=i) for i, w in enumerate(model.get_weights())])
    model.compile(optimizer=tf.keras.optimizers.SGD(0.1), loss=dice, metrics=[dice])
    x, y = _numbers(4, 4, 4, 1), (_numbers(4, 4, 4, 1, seed=1) > 0).astype("int32")
    history = model.fit(x, y, batch_size=4, epochs=3, verbose=0, shuffle=False)
    return {
        "loss": np.array(history.history["loss"], "float32"),
        "weights": [tf.constant(w) for w in model.get_weights()],
    }


@_script
def generator_and_discriminator(tf: Any) -> Any:
    """A model with a train_step of its own and two optimizers."""

    class Gan(tf.keras.Model):
        def __init__(self, generator: Any, discriminator: Any):
            super().__init__()
            self.generator, self.discriminator = generator, discriminator

        def compile(self, d_optimizer: Any, g_optimizer: Any) -> None:
            super().compile()
            self.d_optimizer, self.g_optimizer = d_optimizer, g_optimizer

        def train_step(self, data: Any) -> Any:
            noise = tf.ones((tf.shape(data)[0], 2))
            with tf.GradientTape() as tape:
                real, fake = self.discriminator(data), self.discriminator(self.generator(noise))
                d_loss = tf.reduce_mean(
                    tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.ones_like(real), logits=real)
                )
                d_loss += tf.reduce_mean(
                    tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.zeros_like(fake), logits=fake)
                )
            grads = tape.gradient(d_loss, self.discriminator.trainable_weights)
            self.d_optimizer.apply_gradients(zip(grads, self.discriminator.trainable_weights, strict=True))
            with tf.GradientTape() as tape:
                fake = self.discriminator(self.generator(noise))
                g_loss = -tf.reduce_mean(tf.math.log(tf.sigmoid(fake) + 1e-6))
            grads = tape.gradient(g_loss, self.generator.trainable_weights)
            self.g_optimizer.apply_gradients(zip(grads, self.generator.trainable_weights, strict=True))
            return {"d_loss": d_loss, "g_loss": g_loss}

    nets = [
        tf.keras.Sequential([tf.keras.Input((n,)), tf.keras.layers.Dense(m)]) for n, m in ((2, 3), (3, 1))
    ]
    for k, net in enumerate(nets):
        net.set_weights([_numbers(*w.shape, seed=10 * k + i) for i, w in enumerate(net.get_weights())])
    gan = Gan(*nets)
    gan.compile(tf.keras.optimizers.SGD(0.1), tf.keras.optimizers.SGD(0.1))
    history = gan.fit(_numbers(4, 3), batch_size=4, epochs=3, verbose=0)
    return [np.array(history.history[k], "float32") for k in ("d_loss", "g_loss")]


@_script
def grad_cam(tf: Any) -> Any:
    """Gradients of a class by the output of a layer in the middle."""
    model = tf.keras.Sequential(
        [
            tf.keras.Input((6, 6, 1)),
            tf.keras.layers.Conv2D(3, 3, activation="relu", name="last_conv"),
            tf.keras.layers.GlobalAveragePooling2D(),
            tf.keras.layers.Dense(2),
        ]
    )
    model.set_weights([_numbers(*w.shape, seed=i) for i, w in enumerate(model.get_weights())])
    both = tf.keras.Model(model.inputs, [model.get_layer("last_conv").output, model.layers[-1].output])
    with tf.GradientTape() as tape:
        maps, predictions = both(_numbers(1, 6, 6, 1, seed=3))
        score = predictions[:, tf.argmax(predictions[0])]
    grads = tape.gradient(score, maps)
    pooled = tf.reduce_mean(grads, axis=(0, 1, 2))
    heatmap = tf.squeeze(maps[0] @ pooled[..., tf.newaxis])
    return tf.maximum(heatmap, 0) / tf.math.reduce_max(heatmap)


@_script
def jacobians_and_second_derivatives(tf: Any) -> Any:
    """Persistent and nested tapes, jacobians, and what they refuse."""
    x = tf.Variable([1.0, 2.0, 3.0])
    with tf.GradientTape(persistent=True) as tape:
        y = x * x
        z = tf.reduce_sum(y * x)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            cube = x**3
        first = inner.gradient(cube, x)
    batch = tf.constant(_numbers(2, 3))
    with tf.GradientTape() as of_batch:
        of_batch.watch(batch)
        squares = tf.square(batch)
    other = tf.Variable(1.0)
    with tf.GradientTape(watch_accessed_variables=False) as narrow:
        narrow.watch(x)
        w = tf.reduce_sum(x) * other
    only = narrow.gradient(w, [x, other])
    return [
        tape.gradient(z, x),
        tape.jacobian(y, x),
        tape.gradient(y, other, unconnected_gradients=tf.UnconnectedGradients.ZERO),
        outer.gradient(first, x),
        of_batch.batch_jacobian(squares, batch),
        only[0],
        only[1] is None,
    ]


@_script
def modules_and_control_flow(tf: Any) -> Any:
    """`tf.Module`, loops and branches of Python on tensors inside of `tf.function`."""

    class Counter(tf.Module):
        def __init__(self) -> None:
            super().__init__(name="counter")
            self.total = tf.Variable(0.0)
            self.seen = [tf.Variable(0, trainable=False)]

        @tf.function
        def __call__(self, x: Any) -> Any:
            self.total.assign_add(tf.reduce_sum(x))
            self.seen[0].assign_add(1)
            return self.total * 2.0

    counter = Counter()
    results = [counter(tf.constant([1.0, 2.0])), counter(tf.constant([3.0]))]
    found = tf.cond(results[0] > 1.0, lambda: tf.constant("large"), lambda: tf.constant("small"))
    with tf.control_dependencies([results[0]]), tf.name_scope("part"), tf.device("/CPU:0"):
        last = tf.identity(results[1])
    return [
        *results,
        found,
        last,
        counter.seen[0].read_value(),
        len(counter.variables),
        len(counter.trainable_variables),
    ]


@_script
def schedule_and_initializers(tf: Any) -> Any:
    """Names of Keras under the root of `tf`, and a schedule of one's own."""

    class WarmUp(tf.keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> Any:
            step = tf.cast(step, tf.float32)
            rate = tf.minimum(step / 10.0, 1.0) * 0.1
            return tf.where(step > 20.0, 0.0, rate, name="learning_rate")

    schedule = WarmUp()
    return [
        tf.stack([schedule(i) for i in (0, 5, 15, 25)]),
        tf.zeros_initializer()(shape=(2,)),
        tf.constant_initializer(3.0)(shape=(2,)),
        tf.random_normal_initializer(stddev=0.1)(shape=(2, 3)).shape,
        tf.keras.losses.MeanSquaredError()(tf.ones(3), tf.zeros(3)),
    ]


@_script
def strategy_and_devices(tf: Any) -> Any:
    """A strategy of one replica, and a TPU that is not there."""
    try:
        strategy = tf.distribute.TPUStrategy(tf.distribute.cluster_resolver.TPUClusterResolver.connect())
    except ValueError:
        strategy = tf.distribute.OneDeviceStrategy("/CPU:0")
    with strategy.scope():
        v = tf.Variable(2.0)
    total = strategy.run(lambda x: x * v, args=(tf.constant(3.0),))
    return [strategy.reduce("SUM", total, axis=None), strategy.num_replicas_in_sync]


@_script
def tf_functions_on_symbolic_tensors(tf: Any) -> Any:
    """Losses of boxes: what object detection computes, on a batch."""

    def to_corners(boxes: Any) -> Any:
        return tf.concat(
            [boxes[..., :2] - boxes[..., 2:] / 2.0, boxes[..., :2] + boxes[..., 2:] / 2.0], axis=-1
        )

    def iou(a: Any, b: Any) -> Any:
        a, b = to_corners(a), to_corners(b)
        low = tf.maximum(a[:, None, :2], b[:, :2])
        high = tf.minimum(a[:, None, 2:], b[:, 2:])
        common = tf.reduce_prod(tf.maximum(0.0, high - low), axis=-1)
        areas = [tf.reduce_prod(x[:, 2:] - x[:, :2], axis=-1) for x in (a, b)]
        union = tf.maximum(areas[0][:, None] + areas[1] - common, 1e-8)
        return tf.clip_by_value(common / union, 0.0, 1.0)

    anchors = tf.constant(np.abs(_numbers(5, 4)) + 0.1)
    truth = tf.constant(np.abs(_numbers(2, 4, seed=1)) + 0.1)
    matrix = iou(anchors, truth)
    best = tf.reduce_max(matrix, axis=1)
    index = tf.argmax(matrix, axis=1)
    positive = tf.greater_equal(best, 0.2)
    matched = tf.gather(truth, index)
    target = tf.where(positive[:, tf.newaxis], (matched - anchors) / anchors, 0.0)
    labels = tf.where(tf.not_equal(tf.cast(positive, tf.float32), 1.0), -1.0, tf.cast(index, tf.float32))
    return [matrix, index, target, tf.expand_dims(labels, -1), tf.boolean_mask(best, positive)]
