"""A residual network in mixed precision, by `fit` and by a loop of one's own."""

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers, mixed_precision

mixed_precision.set_global_policy("mixed_float16")
print(mixed_precision.global_policy().name)


def block(x, f, s=1):
    sc = x
    y = layers.Conv2D(f, 3, s, padding="same", use_bias=False)(x)
    y = layers.BatchNormalization()(y)
    y = layers.ReLU()(y)
    y = layers.Conv2D(f, 3, padding="same", use_bias=False)(y)
    y = layers.BatchNormalization()(y)
    if s != 1 or x.shape[-1] != f:
        sc = layers.Conv2D(f, 1, s, use_bias=False)(x)
    return layers.ReLU()(layers.Add()([y, sc]))


inp = keras.Input((16, 16, 3))
x = layers.Rescaling(1 / 255)(inp)
x = block(x, 8)
x = block(x, 16, 2)
x = layers.GlobalAveragePooling2D()(x)
x = layers.Dense(10)(x)
out = layers.Activation("softmax", dtype="float32")(x)
model = keras.Model(inp, out)
print(model.layers[2].dtype_policy.name, model.layers[2].kernel.dtype, x.dtype, out.dtype)
(xt, yt), _ = keras.datasets.mnist.load_data()
xt = np.repeat(xt[:128, 6:22, 6:22, None], 3, -1)
yt = yt[:128]
lr = keras.optimizers.schedules.CosineDecay(1e-2, 100, warmup_target=2e-2, warmup_steps=5)
opt = keras.optimizers.SGD(lr, momentum=0.9, nesterov=True)
model.compile(
    optimizer=opt,
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(5, name="top5")],
)
h = model.fit(xt, yt, 32, epochs=3, validation_split=0.2, verbose=2)
assert np.isfinite(h.history["loss"]).all() and h.history["loss"][-1] < h.history["loss"][0]
print(type(model.optimizer).__name__)
# custom loop with LossScaleOptimizer
opt = mixed_precision.LossScaleOptimizer(keras.optimizers.Adam())
loss_object = keras.losses.SparseCategoricalCrossentropy()
ds = tf.data.Dataset.from_tensor_slices((xt, yt)).shuffle(100).batch(32)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        predictions = model(x, training=True)
        loss = loss_object(y, predictions)
        scaled_loss = opt.scale_loss(loss)
    grads = tape.gradient(scaled_loss, model.trainable_variables)
    opt.apply_gradients(zip(grads, model.trainable_variables))
    return loss


for e in range(2):
    m = keras.metrics.Mean()
    for xb, yb in ds:
        m.update_state(train_step(xb, yb))
    print(e, float(m.result()))
model.save_weights("mp.weights.h5")
mixed_precision.set_global_policy("float32")
