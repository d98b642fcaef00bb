"""Convolutions over time: classes, forecasts, an autoencoder."""

import keras
import numpy as np
from keras.layers import (
    GRU,
    LSTM,
    Bidirectional,
    Conv1D,
    Dense,
    Dropout,
    MaxPooling1D,
)
from keras.models import Sequential

rng = np.random.default_rng(0)
x_train = rng.normal(size=(80, 100))
y_train = np.where(x_train.mean(1) > 0, 1, -1)
x_train = x_train.reshape((x_train.shape[0], x_train.shape[1], 1))
num_classes = len(np.unique(y_train))
y_train[y_train == -1] = 0


def make_model(input_shape):
    input_layer = keras.layers.Input(input_shape)
    x = input_layer
    for _ in range(3):
        x = keras.layers.Conv1D(filters=16, kernel_size=3, padding="same")(x)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.ReLU()(x)
    gap = keras.layers.GlobalAveragePooling1D()(x)
    return keras.models.Model(
        inputs=input_layer, outputs=keras.layers.Dense(num_classes, activation="softmax")(gap)
    )


model = make_model(input_shape=x_train.shape[1:])
callbacks = [
    keras.callbacks.ModelCheckpoint("best_model.keras", save_best_only=True, monitor="val_loss"),
    keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=1, min_lr=0.0001),
    keras.callbacks.EarlyStopping(monitor="val_loss", patience=2, verbose=1),
]
model.compile(
    optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["sparse_categorical_accuracy"]
)
history = model.fit(
    x_train, y_train, batch_size=32, epochs=6, callbacks=callbacks, validation_split=0.2, verbose=1
)
model = keras.models.load_model("best_model.keras")
print(model.evaluate(x_train, y_train))
print(sorted(history.history))
# causal/dilated + lstm + timeseries_dataset_from_array
ds = keras.utils.timeseries_dataset_from_array(
    x_train[:, :, 0].ravel()[:500, None],
    x_train.ravel()[20:500],
    sequence_length=20,
    sampling_rate=2,
    batch_size=16,
    shuffle=True,
    seed=1,
)
m = Sequential(
    [
        keras.Input((20, 1)),
        Conv1D(8, 2, padding="causal", dilation_rate=2, activation="relu"),
        MaxPooling1D(2),
        Bidirectional(LSTM(4, return_sequences=True)),
        GRU(3, dropout=0.1),
        Dense(1),
    ]
)
m.compile(
    loss=keras.losses.Huber(),
    optimizer=keras.optimizers.Adam(clipnorm=1.0),
    metrics=["mae", keras.metrics.RootMeanSquaredError()],
)
m.fit(ds, epochs=2, validation_data=ds)
# autoencoder
ae = Sequential(
    [
        keras.Input((100, 1)),
        Conv1D(8, 7, padding="same", strides=2, activation="relu"),
        Dropout(0.2),
        Conv1D(4, 7, padding="same", strides=2, activation="relu"),
        keras.layers.Conv1DTranspose(8, 7, padding="same", strides=2, activation="relu"),
        keras.layers.Conv1DTranspose(1, 7, padding="same", strides=2),
    ]
)
ae.summary()
ae.compile("adam", "mse")
ae.fit(
    x_train,
    x_train,
    epochs=1,
    validation_split=0.1,
    callbacks=[keras.callbacks.EarlyStopping(monitor="val_loss", patience=5, mode="min")],
)
rec = ae.predict(x_train)
loss = np.mean(np.abs(rec - x_train), axis=1)
print(np.max(loss))
