"""Logs for TensorBoard and as CSV."""

import datetime
import os
import tempfile

import tensorflow as tf

d = tempfile.mkdtemp()
mnist = tf.keras.datasets.mnist
(x_train, y_train), (x_test, y_test) = mnist.load_data()
x_train = x_train[:200] / 255.0
y_train = y_train[:200]


def create_model():
    return tf.keras.models.Sequential(
        [
            tf.keras.layers.Input(shape=(28, 28), name="layers_input"),
            tf.keras.layers.Flatten(name="layers_flatten"),
            tf.keras.layers.Dense(16, activation="relu", name="layers_dense"),
            tf.keras.layers.Dense(10, activation="softmax"),
        ]
    )


model = create_model()
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
log_dir = d + "/logs/fit/" + datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
tb = tf.keras.callbacks.TensorBoard(
    log_dir=log_dir, histogram_freq=1, write_images=True, update_freq="batch", profile_batch=0
)
model.fit(
    x=x_train,
    y=y_train,
    epochs=2,
    validation_data=(x_train[:50], y_train[:50]),
    callbacks=[tb, tf.keras.callbacks.CSVLogger(d + "/log.csv", append=True, separator=";")],
    verbose=2,
)
assert sorted(os.listdir(log_dir)) == ["train", "validation"]
assert open(d + "/log.csv").readline() == "epoch;accuracy;loss;val_accuracy;val_loss\n"
w = tf.summary.create_file_writer(log_dir + "/custom")
with w.as_default():
    tf.summary.scalar("loss", 0.5, step=1)
    tf.summary.image("img", x_train[:3, ..., None], step=0)
    tf.summary.histogram("h", x_train[0], step=0)
    tf.summary.text("t", "hello", step=0)
w.flush()

assert os.listdir(log_dir + "/custom")
