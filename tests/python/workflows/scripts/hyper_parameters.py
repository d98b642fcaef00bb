"""A loop over hyper-parameters."""

import gc
import itertools
import json
import os
import random

import numpy as np
import tensorflow as tf
import tensorflow.keras.backend as K
from tensorflow.keras import callbacks, layers, models, optimizers, regularizers

random.seed(0)
np.random.seed(0)
tf.random.set_seed(0)
tf.keras.utils.set_random_seed(1)
os.environ["PYTHONHASHSEED"] = "0"
tf.config.experimental.enable_op_determinism()
(x, y), (xv, yv) = tf.keras.datasets.mnist.load_data()
x = x[:100] / 255.0
y = tf.keras.utils.to_categorical(y[:100], 10)
results = {}


class LRLogger(callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        print(epoch, self.model.optimizer.learning_rate.numpy(), logs["loss"])


for lr, filters, drop, act in itertools.product([1e-2, 1e-3], [4, 8], [0.2], ["relu", "swish"]):
    K.clear_session()
    tf.keras.backend.clear_session()
    m = models.Sequential(
        [
            layers.Reshape((28, 28, 1), input_shape=(28, 28)),
            layers.Conv2D(filters, 3, activation=act, kernel_regularizer=regularizers.l2(1e-4)),
            layers.GlobalMaxPooling2D(),
            layers.Dropout(drop),
            layers.Dense(10, activation="softmax"),
        ]
    )
    m.compile(
        optimizer=optimizers.Adam(learning_rate=lr), loss="categorical_crossentropy", metrics=["accuracy"]
    )
    h = m.fit(
        x,
        y,
        batch_size=32,
        epochs=1,
        verbose=0,
        validation_split=0.2,
        callbacks=[
            LRLogger(),
            callbacks.LearningRateScheduler(lambda e, l: l * 0.9),
            callbacks.TerminateOnNaN(),
            callbacks.EarlyStopping(patience=1, restore_best_weights=True),
        ],
    )
    results[str((lr, filters, drop, act))] = max(h.history["val_accuracy"])
    print(m.layers[0].name, m.name)
    del m
    gc.collect()
best = max(results, key=results.get)
print(best)
print(json.dumps(results))
