"""Networks from image to image, and of patches, as Keras's documentation writes them."""

import numpy as np

import cnnrs as keras
from cnnrs import layers, ops


def bars(count=64, size=8, seed=0):
    """Images of horizontal and vertical bars, their classes, and where the bars are."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    masks = np.zeros((count, size, size, 1), "float32")
    for mask, label in zip(masks, labels, strict=True):
        place = rng.integers(0, size - 1)
        if label:
            mask[:, place : place + 2] = 1.0
        else:
            mask[place : place + 2] = 1.0
    images = masks + rng.normal(0, 0.2, masks.shape).astype("float32")
    return images, labels, masks


def test_super_resolution_by_depth_to_space():
    class DepthToSpace(layers.Layer):
        def __init__(self, block_size):
            super().__init__()
            self.block_size = block_size

        def call(self, input):
            batch, height, width, depth = ops.shape(input)
            depth = depth // (self.block_size**2)
            x = ops.reshape(input, [batch, height, width, self.block_size, self.block_size, depth])
            x = ops.transpose(x, [0, 1, 3, 2, 4, 5])
            return ops.reshape(x, [batch, height * self.block_size, width * self.block_size, depth])

    def get_model(upscale_factor=2, channels=1):
        conv_args = {"activation": "relu", "kernel_initializer": "orthogonal", "padding": "same"}
        inputs = keras.Input(shape=(None, None, channels))
        x = layers.Conv2D(16, 5, **conv_args)(inputs)
        x = layers.Conv2D(8, 3, **conv_args)(x)
        x = layers.Conv2D(channels * (upscale_factor**2), 3, **conv_args)(x)
        outputs = DepthToSpace(upscale_factor)(x)
        return keras.Model(inputs, outputs)

    class PSNR(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.psnr = []

        def on_test_batch_end(self, batch, logs=None):
            self.psnr.append(10 * np.log10(1 / logs["loss"]))

    _, _, masks = bars()
    small = masks.reshape(-1, 4, 2, 4, 2, 1).mean((2, 4))
    model = get_model()
    assert model.output_shape == (None, None, None, 1)
    model.compile(optimizer=keras.optimizers.Adam(learning_rate=0.005), loss=keras.losses.MeanSquaredError())
    callback = PSNR()
    history = model.fit(
        small, masks, epochs=5, callbacks=[callback], validation_data=(small, masks), verbose=0
    ).history
    assert history["loss"][-1] < history["loss"][0] and len(callback.psnr) == 2
    assert model.predict(np.zeros((1, 5, 7, 1)), verbose=0).shape == (1, 10, 14, 1)
    x = np.arange(32, dtype="float32").reshape(1, 2, 2, 8)
    np.testing.assert_array_equal(DepthToSpace(2)(x), ops.depth_to_space(x, 2))


def test_learnable_resizer():
    leaky = layers.LeakyReLU(negative_slope=0.2)

    def conv_block(x, filters, kernel_size, strides, activation=leaky):
        x = layers.Conv2D(filters, kernel_size, strides, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        return activation(x) if activation else x

    def get_learnable_resizer(filters=4, num_res_blocks=1, interpolation="bilinear", target_size=(8, 8)):
        inputs = layers.Input(shape=[None, None, 1])
        naive_resize = layers.Resizing(*target_size, interpolation=interpolation)(inputs)
        x = layers.Conv2D(filters, kernel_size=7, strides=1, padding="same")(inputs)
        x = layers.LeakyReLU(negative_slope=0.2)(x)
        x = layers.Conv2D(filters, kernel_size=1, strides=1, padding="same")(x)
        x = layers.BatchNormalization()(x)
        bottleneck = layers.Resizing(*target_size, interpolation=interpolation)(x)
        for _ in range(num_res_blocks):
            y = conv_block(bottleneck, filters, 3, 1)
            y = conv_block(y, filters, 3, 1, activation=None)
            x = layers.Add()([bottleneck, y])
        x = layers.Conv2D(1, kernel_size=7, strides=1, padding="same")(x)
        return keras.Model(inputs, layers.Add()([naive_resize, x]), name="learnable_resizer")

    resizer = get_learnable_resizer()
    network = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2)])
    inputs = layers.Input((16, 16, 1))
    model = keras.Model(inputs, network(resizer(inputs)))
    images, labels, _ = bars(size=16)
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        optimizer="adam",
        metrics=["accuracy"],
    )
    history = model.fit(images, labels, epochs=4, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert resizer.predict(np.zeros((1, 20, 12, 1)), verbose=0).shape == (1, 8, 8, 1)


def test_u_net():
    def double_conv(x, filters):
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same")(x)
            x = layers.Activation("relu")(layers.BatchNormalization()(x))
        return x

    inputs = keras.Input(shape=(8, 8, 1))
    skip_1 = double_conv(inputs, 4)
    skip_2 = double_conv(layers.MaxPooling2D(2)(skip_1), 8)
    x = double_conv(layers.MaxPooling2D(2)(skip_2), 16)
    x = layers.Conv2DTranspose(8, 3, 2, padding="same")(x)
    x = double_conv(layers.concatenate([x, skip_2]), 8)
    x = layers.UpSampling2D(2)(x)
    x = double_conv(layers.concatenate([x, skip_1]), 4)
    outputs = layers.Conv2D(2, 3, activation="softmax", padding="same")(x)
    model = keras.Model(inputs, outputs)
    images, _, masks = bars()
    model.compile(
        optimizer=keras.optimizers.Adam(1e-2), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    history = model.fit(images, masks.astype("uint8"), epochs=4, batch_size=16, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    predicted = np.argmax(model.predict(images[:4], verbose=0), axis=-1)
    assert predicted.shape == (4, 8, 8)


def test_conv_mixer():
    def activation_block(x):
        x = layers.Activation("gelu")(x)
        return layers.BatchNormalization()(x)

    def conv_mixer_block(x, filters, kernel_size):
        x0 = x
        x = layers.DepthwiseConv2D(kernel_size=kernel_size, padding="same")(x)
        x = layers.Add()([activation_block(x), x0])
        x = layers.Conv2D(filters, kernel_size=1)(x)
        return activation_block(x)

    inputs = keras.Input((8, 8, 1))
    x = layers.Rescaling(scale=1.0 / 2)(inputs)
    x = activation_block(layers.Conv2D(16, kernel_size=2, strides=2)(x))
    for _ in range(2):
        x = conv_mixer_block(x, 16, 3)
    x = layers.GlobalAvgPool2D()(x)
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(x))
    images, labels, _ = bars()
    model.compile(
        optimizer=keras.optimizers.AdamW(learning_rate=0.01, weight_decay=0.0001),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    history = model.fit(images, labels, epochs=4, validation_split=0.1, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]


class Patches(layers.Layer):
    def __init__(self, patch_size):
        super().__init__()
        self.patch_size = patch_size

    def call(self, images):
        input_shape = ops.shape(images)
        batch_size, height, width, channels = input_shape
        num_patches_h = height // self.patch_size
        num_patches_w = width // self.patch_size
        patches = ops.image.extract_patches(images, size=self.patch_size)
        return ops.reshape(
            patches,
            (batch_size, num_patches_h * num_patches_w, self.patch_size * self.patch_size * channels),
        )

    def get_config(self):
        config = super().get_config()
        config.update({"patch_size": self.patch_size})
        return config


class PatchEncoder(layers.Layer):
    def __init__(self, num_patches, projection_dim):
        super().__init__()
        self.num_patches = num_patches
        self.projection = layers.Dense(units=projection_dim)
        self.position_embedding = layers.Embedding(input_dim=num_patches, output_dim=projection_dim)

    def call(self, patch):
        positions = ops.expand_dims(ops.arange(start=0, stop=self.num_patches, step=1), axis=0)
        return self.projection(patch) + self.position_embedding(positions)


def test_vision_transformer():
    def mlp(x, hidden_units, dropout_rate):
        for units in hidden_units:
            x = layers.Dense(units, activation=keras.activations.gelu)(x)
            x = layers.Dropout(dropout_rate)(x)
        return x

    inputs = keras.Input(shape=(8, 8, 1))
    augmentation = keras.Sequential(
        [layers.RandomFlip("horizontal"), layers.RandomRotation(factor=0.02), layers.RandomZoom(0.1, 0.1)],
        name="data_augmentation",
    )
    patches = Patches(2)(augmentation(inputs))
    encoded_patches = PatchEncoder(16, 8)(patches)
    for _ in range(2):
        x1 = layers.LayerNormalization(epsilon=1e-6)(encoded_patches)
        attention_output = layers.MultiHeadAttention(num_heads=2, key_dim=8, dropout=0.1)(x1, x1)
        x2 = layers.Add()([attention_output, encoded_patches])
        x3 = layers.LayerNormalization(epsilon=1e-6)(x2)
        x3 = mlp(x3, hidden_units=[16, 8], dropout_rate=0.1)
        encoded_patches = layers.Add()([x3, x2])
    representation = layers.LayerNormalization(epsilon=1e-6)(encoded_patches)
    representation = layers.Dropout(0.1)(layers.Flatten()(representation))
    logits = layers.Dense(2)(mlp(representation, hidden_units=[16], dropout_rate=0.1))
    model = keras.Model(inputs=inputs, outputs=logits)
    images, labels, _ = bars()
    model.compile(
        optimizer=keras.optimizers.AdamW(learning_rate=0.005, weight_decay=0.0001),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[
            keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
            keras.metrics.SparseTopKCategoricalAccuracy(1, name="top-1-accuracy"),
        ],
    )
    history = model.fit(images, labels, batch_size=16, epochs=6, validation_split=0.1, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert {"accuracy", "top-1-accuracy", "val_accuracy"} <= set(history)


class CTCLayer(layers.Layer):
    def call(self, y_true, y_pred):
        batch = ops.shape(y_true)[0]
        input_length = ops.shape(y_pred)[1] * ops.ones((batch,), dtype="int32")
        label_length = ops.shape(y_true)[1] * ops.ones((batch,), dtype="int32")
        loss = ops.ctc_loss(y_true, y_pred, label_length, input_length, mask_index=0)
        self.add_loss(ops.mean(loss))
        return y_pred


def test_captcha_with_ctc():
    keras.utils.set_random_seed(4)
    rng = np.random.default_rng(0)
    labels = rng.integers(1, 4, (64, 2))
    images = rng.normal(0, 0.1, (64, 12, 6, 1)).astype("float32")
    for image, (first, second) in zip(images, labels, strict=True):
        image[1:5, first], image[7:11, second] = 1.0, 1.0
    input_img = layers.Input(shape=(12, 6, 1), name="image", dtype="float32")
    target = layers.Input(name="label", shape=(None,), dtype="int32")
    x = layers.Conv2D(8, (3, 3), activation="relu", kernel_initializer="he_normal", padding="same")(input_img)
    x = layers.MaxPooling2D((2, 2), name="pool1")(x)
    x = layers.Reshape(target_shape=(6, 3 * 8), name="reshape")(x)
    x = layers.Dropout(0.1)(layers.Dense(16, activation="relu", name="dense1")(x))
    x = layers.Bidirectional(layers.LSTM(8, return_sequences=True, dropout=0.1))(x)
    x = layers.Dense(4, name="dense2")(x)
    output = CTCLayer(name="ctc_loss")(target, x)
    model = keras.models.Model(inputs=[input_img, target], outputs=output, name="ocr_model_v1")
    model.compile(optimizer=keras.optimizers.Adam(0.02))
    data = {"image": images, "label": labels}
    history = model.fit(data, epochs=6, batch_size=16, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    prediction_model = keras.models.Model(model.input[0], model.get_layer(name="dense2").output)
    assert prediction_model.predict(images[:3], verbose=0).shape == (3, 6, 4)
