"""Frames of videos: TimeDistributed, ConvLSTM2D, a mask."""

import numpy as np
import tensorflow.keras as keras
from tensorflow.keras import applications
from tensorflow.keras.layers import (
    LSTM,
    BatchNormalization,
    Conv2D,
    Conv3D,
    ConvLSTM2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    Masking,
    MaxPooling2D,
    TimeDistributed,
)
from tensorflow.keras.models import Model, Sequential

x = np.random.rand(8, 5, 32, 32, 3).astype("float32")
y = np.random.randint(0, 2, (8,))
m = Sequential()
m.add(TimeDistributed(Conv2D(4, (3, 3), activation="relu"), input_shape=(5, 32, 32, 3)))
m.add(TimeDistributed(MaxPooling2D((2, 2))))
m.add(TimeDistributed(Flatten()))
m.add(LSTM(8))
m.add(Dropout(0.3))
m.add(Dense(2, activation="softmax"))
m.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
m.summary()
m.fit(x, y, epochs=1, batch_size=3)
base = applications.MobileNet(
    weights=None, include_top=False, input_shape=(32, 32, 3), pooling="avg", alpha=0.25
)
for l in base.layers[:-5]:
    l.trainable = False
inp = Input((None, 32, 32, 3))
z = TimeDistributed(base)(inp)
z = keras.layers.GRU(4)(z)
mm = Model(inp, Dense(1, activation="sigmoid")(z))
mm.compile("rmsprop", "binary_crossentropy", metrics=["AUC"])
mm.fit(x, y, epochs=1, batch_size=4)
print(mm.predict(x[:2, :3]).shape)
mm.save("td.keras")
m3 = keras.models.load_model("td.keras")
np.testing.assert_array_equal(m3.predict(x), mm.predict(x))
mm.save("td.h5")
m3 = keras.models.load_model("td.h5")
np.testing.assert_array_equal(m3.predict(x), mm.predict(x))
i = Input(shape=(None, 16, 16, 1))
t = ConvLSTM2D(filters=4, kernel_size=(5, 5), padding="same", return_sequences=True, activation="relu")(i)
t = BatchNormalization()(t)
t = ConvLSTM2D(4, 3, padding="same", return_sequences=True)(t)
t = Conv3D(1, (3, 3, 3), activation="sigmoid", padding="same")(t)
nf = Model(i, t)
nf.compile(loss=keras.losses.binary_crossentropy, optimizer=keras.optimizers.Adam())
v = np.random.rand(3, 4, 16, 16, 1)
nf.fit(
    v[:, :-1],
    v[:, 1:],
    batch_size=2,
    epochs=1,
    callbacks=[keras.callbacks.ReduceLROnPlateau(monitor="loss", patience=5)],
)
s = Sequential(
    [
        Input((6, 3)),
        Masking(0.0),
        LSTM(4, return_sequences=True),
        TimeDistributed(Dense(2, activation="softmax")),
    ]
)
s.compile("adam", "categorical_crossentropy")
s.fit(
    np.random.rand(4, 6, 3),
    np.eye(2)[np.random.randint(0, 2, (4, 6))],
    sample_weight=np.ones((4, 6)),
    epochs=1,
)
