"""The networks of `zoo` for the Keras API; `k` is `keras` or `cnnrs`."""

from __future__ import annotations

from typing import Any

from zoo import NETS, Net


def network(k: Any, name: str) -> Any:
    """The network of a row, not compiled."""
    net = NETS[name]
    make = globals()[f"_{name}"]
    return make(k, net)


def compiled(k: Any, name: str, **how: Any) -> Any:
    """The same, with the row's loss and optimizer; `how` goes to `compile`."""
    net, model = NETS[name], network(k, name)
    losses = k.losses
    loss = {
        "classes": lambda: losses.SparseCategoricalCrossentropy(from_logits=True),
        "pixels": lambda: losses.SparseCategoricalCrossentropy(from_logits=True),
        "real": lambda: losses.BinaryCrossentropy(from_logits=True),
        "images": losses.MeanSquaredError,
        "vae": losses.BinaryCrossentropy,
    }[net.target]()
    optimizers = k.optimizers
    optimizer = optimizers.Adam(1e-3) if net.optimizer == "adam" else optimizers.SGD(0.01, momentum=0.9)
    model.compile(optimizer, loss, **how)
    return model


def trainable(model: Any) -> int:
    """Numbers that training changes."""
    count = 0
    for variable in model.trainable_variables:
        size = 1
        for extent in variable.shape:
            size *= extent
        count += size
    return count


def _cifar_cnn(k: Any, net: Net) -> Any:
    layers = k.layers
    parts = [k.Input(net.shape)]
    for filters in (32, 64):
        parts += [layers.Conv2D(filters, 3, padding="same", activation="relu") for _ in range(2)]
        parts += [layers.MaxPooling2D(), layers.Dropout(0.25)]
    parts += [layers.Flatten(), layers.Dense(512, activation="relu"), layers.Dropout(0.5)]
    return k.Sequential([*parts, layers.Dense(net.classes)])


def _mlp(k: Any, net: Net) -> Any:
    layers = k.layers
    hidden = [layers.Dense(512, activation="relu") for _ in range(2)]
    return k.Sequential([k.Input(net.shape), *hidden, layers.Dense(net.classes)])


def _mobilenetv2_96(k: Any, net: Net) -> Any:
    return k.applications.MobileNetV2(
        net.shape, weights=None, classes=net.classes, classifier_activation=None
    )


def _resnet50_160(k: Any, net: Net) -> Any:
    return k.applications.ResNet50(
        weights=None, input_shape=net.shape, classes=net.classes, classifier_activation=None
    )


def _vgg16_32(k: Any, net: Net) -> Any:
    layers = k.layers
    parts = [k.Input(net.shape)]
    for filters, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        parts += [layers.Conv2D(filters, 3, padding="same", activation="relu") for _ in range(depth)]
        parts.append(layers.MaxPooling2D())
    parts += [layers.Flatten(), layers.Dense(512, activation="relu"), layers.Dropout(0.5)]
    return k.Sequential([*parts, layers.Dense(net.classes)])


def _unet_128(k: Any, net: Net) -> Any:
    layers = k.layers

    def twice(x: Any, filters: int) -> Any:
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
            x = layers.ReLU()(layers.BatchNormalization()(x))
        return x

    x = inputs = k.Input(net.shape)
    skips = []
    for filters in (32, 64, 128):
        x = twice(x, filters)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = twice(x, 256)
    for filters, skip in zip((128, 64, 32), reversed(skips), strict=True):
        x = layers.Conv2DTranspose(filters, 2, 2)(x)
        x = twice(layers.Concatenate()([x, skip]), filters)
    return k.Model(inputs, layers.Conv2D(net.classes, 1)(x))


def _densenet_32(k: Any, net: Net) -> Any:
    layers = k.layers

    def norm(x: Any) -> Any:
        return layers.ReLU()(layers.BatchNormalization()(x))

    inputs = k.Input(net.shape)
    x = layers.Conv2D(24, 3, padding="same", use_bias=False)(inputs)
    channels = 24
    for stage in range(3):
        for _ in range(8):
            y = layers.Conv2D(12, 3, padding="same", use_bias=False)(norm(x))
            x = layers.Concatenate()([x, y])
            channels += 12
        if stage < 2:
            x = layers.AveragePooling2D(2)(layers.Conv2D(channels, 1, use_bias=False)(norm(x)))
    x = layers.GlobalAveragePooling2D()(norm(x))
    return k.Model(inputs, layers.Dense(net.classes)(x))


def _convnext_64(k: Any, net: Net) -> Any:
    layers = k.layers

    def norm(x: Any) -> Any:
        return layers.LayerNormalization(epsilon=1e-6)(x)

    def block(x: Any, channels: int) -> Any:
        y = norm(layers.DepthwiseConv2D(7, padding="same")(x))
        y = layers.Dense(4 * channels, activation="gelu")(y)
        return layers.Add()([x, layers.Dense(channels)(y)])

    inputs = k.Input(net.shape)
    x = norm(layers.Conv2D(48, 2, 2)(inputs))
    for stage, channels in enumerate((48, 96, 192)):
        if stage:
            x = layers.Conv2D(channels, 2, 2)(norm(x))
        for _ in range(3):
            x = block(x, channels)
    x = norm(layers.GlobalAveragePooling2D()(x))
    return k.Model(inputs, layers.Dense(net.classes)(x))


def _autoencoder(k: Any, net: Net) -> Any:
    layers = k.layers
    how = {"strides": 2, "padding": "same", "activation": "relu"}
    down = [layers.Conv2D(filters, 3, **how) for filters in (32, 64, 128)]
    up = [layers.Conv2DTranspose(filters, 3, **how) for filters in (128, 64, 32)]
    last = layers.Conv2D(net.shape[-1], 3, padding="same", activation="sigmoid")
    return k.Sequential([k.Input(net.shape), *down, *up, last])


def _odd_channels(k: Any, net: Net) -> Any:
    layers = k.layers
    parts = [k.Input(net.shape)]
    for filters, size, strides in ((17, 5, 1), (37, 3, 2), (53, 5, 1), (71, 3, 2), (97, 3, 1)):
        parts.append(layers.Conv2D(filters, size, strides, padding="same", use_bias=False))
        parts += [layers.BatchNormalization(), layers.ReLU()]
    return k.Sequential([*parts, layers.GlobalAveragePooling2D(), layers.Dense(net.classes)])


def _dcgan(k: Any, net: Net) -> Any:
    layers = k.layers
    parts = [k.Input(net.shape)]
    for filters in (64, 128, 256, 512):
        parts.append(layers.Conv2D(filters, 4, 2, padding="same", use_bias=False))
        if filters > 64:
            parts.append(layers.BatchNormalization())
        parts.append(layers.LeakyReLU(negative_slope=0.2))
    return k.Sequential([*parts, layers.Conv2D(1, 4, use_bias=False), layers.Flatten()])


def _vae(k: Any, net: Net) -> Any:
    layers, ops = k.layers, k.ops

    class Sampling(layers.Layer):
        """Samples from the normal distribution of the latent vector, and adds its divergence to the loss."""

        def __init__(self) -> None:
            super().__init__()
            self.seeds = k.random.SeedGenerator(0)

        def call(self, inputs: Any) -> Any:
            mean, log_variance = inputs
            divergence = 1 + log_variance - ops.square(mean) - ops.exp(log_variance)
            self.add_loss(-0.5 * ops.mean(ops.sum(divergence, axis=1)))
            noise = k.random.normal(ops.shape(mean), seed=self.seeds)
            return mean + ops.exp(0.5 * log_variance) * noise

    how = {"strides": 2, "padding": "same", "activation": "relu"}
    inputs = k.Input(net.shape)
    x = layers.Conv2D(64, 3, **how)(layers.Conv2D(32, 3, **how)(inputs))
    x = layers.Dense(16, activation="relu")(layers.Flatten()(x))
    z = Sampling()([layers.Dense(2)(x), layers.Dense(2)(x)])
    x = layers.Reshape((7, 7, 64))(layers.Dense(7 * 7 * 64, activation="relu")(z))
    x = layers.Conv2DTranspose(32, 3, **how)(layers.Conv2DTranspose(64, 3, **how)(x))
    return k.Model(inputs, layers.Conv2DTranspose(1, 3, padding="same", activation="sigmoid")(x))


def _efficientnetb0_96(k: Any, net: Net) -> Any:
    return k.applications.EfficientNetB0(
        weights=None, input_shape=net.shape, classes=net.classes, classifier_activation=None
    )


def _vit_ti_224(k: Any, net: Net) -> Any:
    return vit_ti(k, net.shape, net.classes)


def vit_ti(k: Any, shape: tuple[int, ...], classes: int) -> Any:
    """ViT-Ti with patches of 16 × 16: 12 layers of 192 channels and 3 heads."""
    layers, ops = k.layers, k.ops

    class Tokens(layers.Layer):
        """Puts the class token before the patches, and adds what tells positions."""

        def build(self, shape: Any) -> None:
            self.token = self.add_weight(shape=(1, 1, shape[-1]), initializer="zeros", name="token")
            positions = (1, shape[1] + 1, shape[-1])
            self.positions = self.add_weight(shape=positions, initializer="random_normal", name="positions")

        def call(self, x: Any) -> Any:
            token = ops.broadcast_to(self.token, (ops.shape(x)[0], 1, x.shape[-1]))
            return ops.concatenate([token, x], axis=1) + self.positions

    def norm(x: Any) -> Any:
        return layers.LayerNormalization(epsilon=1e-6)(x)

    inputs = k.Input(shape)
    x = layers.Conv2D(192, 16, 16)(inputs)
    x = Tokens()(layers.Reshape(((shape[0] // 16) * (shape[1] // 16), 192))(x))
    for _ in range(12):
        y = norm(x)
        x = layers.Add()([x, layers.MultiHeadAttention(3, 64)(y, y)])
        y = layers.Dense(768, activation="gelu")(norm(x))
        x = layers.Add()([x, layers.Dense(192)(y)])
    return k.Model(inputs, layers.Dense(classes)(norm(x)[:, 0]))
