"""Representations, several inputs and outputs, teachers and doubt, as Keras's documentation writes them."""

import numpy as np

import cnnrs as keras
from cnnrs import layers, ops


def shapes(count=96, seed=0):
    """Images of three classes: a horizontal bar, a vertical bar, a square; and their classes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    images = rng.normal(0, 0.1, (count, 8, 8, 1)).astype("float32")
    for image, label in zip(images, labels, strict=True):
        row, column = rng.integers(0, 4, 2)
        if label == 0:
            image[row, :] += 1.0
        elif label == 1:
            image[:, column] += 1.0
        else:
            image[row : row + 4, column : column + 4] += 1.0
    return images, labels


def embedding_network(units=8):
    inputs = keras.Input((8, 8, 1))
    x = layers.BatchNormalization()(inputs)
    x = layers.Conv2D(8, (5, 5), activation="tanh")(x)
    x = layers.AveragePooling2D(pool_size=(2, 2))(x)
    x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(units, activation="tanh")(x), name="embedding")


def test_autoencoder_of_two_subclassed_parts():
    class Denoise(keras.Model):
        def __init__(self):
            super().__init__()
            self.encoder = keras.Sequential(
                [
                    layers.Conv2D(16, (3, 3), activation="relu", padding="same", strides=2),
                    layers.Conv2D(8, (3, 3), activation="relu", padding="same", strides=2),
                ]
            )
            self.decoder = keras.Sequential(
                [
                    layers.Conv2DTranspose(8, kernel_size=3, strides=2, activation="relu", padding="same"),
                    layers.Conv2DTranspose(16, kernel_size=3, strides=2, activation="relu", padding="same"),
                    layers.Conv2D(1, kernel_size=(3, 3), activation="sigmoid", padding="same"),
                ]
            )

        def call(self, x):
            encoded = self.encoder(x)
            decoded = self.decoder(encoded)
            return decoded

    images, _ = shapes()
    autoencoder = Denoise()
    autoencoder.compile(optimizer="adam", loss=keras.losses.MeanSquaredError())
    noisy = images + 0.2 * np.random.default_rng(0).normal(size=images.shape)
    history = autoencoder.fit(
        noisy, images, epochs=4, shuffle=True, validation_data=(noisy, images), verbose=0
    ).history
    assert history["val_loss"][-1] < history["val_loss"][0]
    encoded = autoencoder.encoder(noisy[:5]).numpy()
    assert encoded.shape == (5, 2, 2, 8)
    assert autoencoder.decoder(encoded).numpy().shape == (5, 8, 8, 1)
    autoencoder.encoder.summary(print_fn=lambda text: None)


def test_siamese_network_with_contrastive_loss():
    images, labels = shapes()
    rng = np.random.default_rng(1)
    left, right = rng.integers(0, len(images), (2, 128))
    pairs, targets = (images[left], images[right]), (labels[left] != labels[right]).astype("float32")

    def euclidean_distance(vects):
        x, y = vects
        sum_square = ops.sum(ops.square(x - y), axis=1, keepdims=True)
        return ops.sqrt(ops.maximum(sum_square, keras.backend.epsilon()))

    def loss(margin=1):
        def contrastive_loss(y_true, y_pred):
            square_pred = ops.square(y_pred)
            margin_square = ops.square(ops.maximum(margin - (y_pred), 0))
            return ops.mean((1 - y_true) * square_pred + (y_true) * margin_square)

        return contrastive_loss

    network = embedding_network()
    input_1, input_2 = keras.Input((8, 8, 1)), keras.Input((8, 8, 1))
    merge_layer = layers.Lambda(euclidean_distance)([network(input_1), network(input_2)])
    normal_layer = layers.BatchNormalization()(merge_layer)
    output_layer = layers.Dense(1, activation="sigmoid")(normal_layer)
    siamese = keras.Model(inputs=[input_1, input_2], outputs=output_layer)
    siamese.compile(loss=loss(margin=1), optimizer="RMSprop", metrics=["accuracy"])
    history = siamese.fit(list(pairs), targets, batch_size=16, epochs=4, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert siamese.predict(list(pairs), verbose=0).shape == (128, 1)
    # Both branches are one network.
    assert len(siamese.trainable_weights) == len(network.trainable_weights) + 4


class DistanceLayer(layers.Layer):
    def call(self, anchor, positive, negative):
        ap_distance = ops.sum(ops.square(anchor - positive), -1)
        an_distance = ops.sum(ops.square(anchor - negative), -1)
        return (ap_distance, an_distance)


class SiameseModel(keras.Model):
    """Triplets: the loss is computed by the step."""

    def __init__(self, siamese_network, margin=0.5):
        super().__init__()
        self.siamese_network = siamese_network
        self.margin = margin
        self.loss_tracker = keras.metrics.Mean(name="loss")

    def call(self, inputs):
        return self.siamese_network(inputs)

    def train_step(self, data):
        with keras.GradientTape() as tape:
            loss = self._compute_loss(data)
        gradients = tape.gradient(loss, self.siamese_network.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.siamese_network.trainable_weights))  # noqa: B905
        self.loss_tracker.update_state(loss)
        return {"loss": self.loss_tracker.result()}

    def test_step(self, data):
        self.loss_tracker.update_state(self._compute_loss(data))
        return {"loss": self.loss_tracker.result()}

    def _compute_loss(self, data):
        ap_distance, an_distance = self.siamese_network(data)
        return ops.maximum(ap_distance - an_distance + self.margin, 0.0)

    @property
    def metrics(self):
        return [self.loss_tracker]


def test_triplets():
    images, labels = shapes()
    rng = np.random.default_rng(2)
    anchors = rng.integers(0, len(images), 64)
    positives = np.array([rng.choice(np.flatnonzero(labels == labels[a])) for a in anchors])
    negatives = np.array([rng.choice(np.flatnonzero(labels != labels[a])) for a in anchors])
    data = [(images[anchors], images[positives], images[negatives])]
    embedding = embedding_network()
    inputs = [keras.Input((8, 8, 1), name=name) for name in ("anchor", "positive", "negative")]
    distances = DistanceLayer()(*[embedding(x) for x in inputs])
    model = SiameseModel(keras.Model(inputs=inputs, outputs=distances))
    model.compile(optimizer=keras.optimizers.Adam(0.005), weighted_metrics=[])
    history = model.fit(data, epochs=8, validation_data=data, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert history["val_loss"][-1] < history["val_loss"][0]
    similarity = keras.metrics.CosineSimilarity()
    a, p, n = (embedding(images[i[:20]]) for i in (anchors, positives, negatives))
    near = float(similarity(a, p))
    similarity.reset_state()
    assert near > float(similarity(a, n))


class Distiller(keras.Model):
    def __init__(self, student, teacher):
        super().__init__()
        self.teacher = teacher
        self.student = student

    def compile(self, optimizer, metrics, student_loss_fn, distillation_loss_fn, alpha=0.1, temperature=3):
        super().compile(optimizer=optimizer, metrics=metrics)
        self.student_loss_fn = student_loss_fn
        self.distillation_loss_fn = distillation_loss_fn
        self.alpha = alpha
        self.temperature = temperature

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, allow_empty=False):
        teacher_pred = self.teacher(x, training=False)
        student_loss = self.student_loss_fn(y, y_pred)
        distillation_loss = self.distillation_loss_fn(
            ops.softmax(teacher_pred / self.temperature, axis=1),
            ops.softmax(y_pred / self.temperature, axis=1),
        ) * (self.temperature**2)
        return self.alpha * student_loss + (1 - self.alpha) * distillation_loss

    def call(self, x):
        return self.student(x)


def classifier(filters):
    return keras.Sequential(
        [
            keras.Input(shape=(8, 8, 1)),
            layers.Conv2D(filters, (3, 3), strides=(2, 2), padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.MaxPooling2D(pool_size=(2, 2), strides=(1, 1), padding="same"),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


def test_distillation():
    keras.utils.set_random_seed(1)
    x, y = shapes()
    teacher, student = classifier(16), classifier(4)
    teacher.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy()],
    )
    teacher.fit(x, y, epochs=8, verbose=0)
    taught = [w.numpy() for w in teacher.weights]
    distiller = Distiller(student=student, teacher=teacher)
    distiller.compile(
        optimizer=keras.optimizers.Adam(0.01),
        metrics=[keras.metrics.SparseCategoricalAccuracy()],
        student_loss_fn=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        distillation_loss_fn=keras.losses.KLDivergence(),
        alpha=0.1,
        temperature=10,
    )
    teacher.trainable = False
    history = distiller.fit(x, y, epochs=20, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert distiller.evaluate(x, y, verbose=0, return_dict=True)["sparse_categorical_accuracy"] > 0.5
    for before, weight in zip(taught, teacher.weights, strict=True):
        np.testing.assert_array_equal(before, weight)


def test_several_inputs_and_outputs():
    x, y = shapes()
    image = keras.Input((8, 8, 1), name="image")
    side = keras.Input((2,), name="side")
    features = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(image))
    features = layers.concatenate([features, side])
    kind = layers.Dense(3, name="kind")(features)
    brightness = layers.Dense(1, name="brightness")(features)
    model = keras.Model(inputs=[image, side], outputs=[kind, brightness])
    model.compile(
        optimizer=keras.optimizers.RMSprop(1e-2),
        loss={
            "kind": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            "brightness": keras.losses.MeanSquaredError(),
        },
        loss_weights={"kind": 1.0, "brightness": 0.2},
        metrics={"kind": ["accuracy"], "brightness": [keras.metrics.MeanAbsoluteError(name="mae")]},
    )
    inputs = {"image": x, "side": np.zeros((len(x), 2))}
    targets = {"kind": y, "brightness": x.mean((1, 2))}
    history = model.fit(inputs, targets, epochs=4, batch_size=32, validation_split=0.25, verbose=0).history
    assert {"loss", "kind_loss", "brightness_loss", "kind_accuracy", "brightness_mae"} <= set(history)
    assert {"val_" + name for name in history if not name.startswith("val_")} <= set(history)
    assert history["loss"][-1] < history["loss"][0]
    np.testing.assert_allclose(
        history["loss"], np.add(history["kind_loss"], 0.2 * np.array(history["brightness_loss"])), rtol=1e-3
    )
    a, b = model.predict(inputs, verbose=0)
    assert a.shape == (len(x), 3) and b.shape == (len(x), 1)


def test_dropout_that_stays_on_gives_doubt():
    x, y = shapes()
    inputs = keras.Input((8, 8, 1))
    z = layers.Conv2D(8, 3, activation="relu")(inputs)
    z = layers.Dropout(0.5)(z, training=True)
    outputs = layers.Dense(3, activation="softmax")(layers.Flatten()(z))
    model = keras.Model(inputs, outputs)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=2, verbose=0)
    draws = np.stack([model.predict(x[:4], verbose=0) for _ in range(20)])
    assert draws.std(0).max() > 1e-3
    np.testing.assert_allclose(draws.sum(-1), 1.0, rtol=1e-5)
    usual = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dropout(0.5), layers.Dense(3)])
    np.testing.assert_array_equal(usual.predict(x[:4], verbose=0), usual.predict(x[:4], verbose=0))
    again = np.stack([usual(x[:4], training=True) for _ in range(5)])
    assert again.std(0).max() > 1e-3


def test_models_in_models_and_layers_in_lists_and_dicts():
    class Block(layers.Layer):
        def __init__(self, filters):
            super().__init__()
            self.parts = {
                "conv": layers.Conv2D(filters, 3, padding="same"),
                "norm": layers.BatchNormalization(),
            }

        def call(self, x, training=False):
            return ops.relu(self.parts["norm"](self.parts["conv"](x), training=training))

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.blocks = [Block(4), Block(6)]
            self.blocks.append(Block(8))
            self.heads = {"kind": layers.Dense(3), "more": [layers.Dense(2), (layers.Dense(1),)]}
            self.backbone = keras.Sequential([layers.Conv2D(2, 1), layers.GlobalAveragePooling2D()])

        def call(self, x, training=False):
            for block in self.blocks:
                x = block(x, training=training)
            x = self.backbone(x)
            return [self.heads["kind"](x), self.heads["more"][0](x), self.heads["more"][1][0](x)]

    x, y = shapes(32)
    net = Net()
    outer_inputs = keras.Input((8, 8, 1))
    outer = keras.Model(outer_inputs, net(outer_inputs)[0])
    outer.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = outer.fit(x, y, epochs=4, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    # Three blocks of 4 trainable weights and 2 statistics, the backbone's 2 and three heads of 2.
    assert len(net.trainable_weights) == 3 * 4 + 2 + 6 and len(net.non_trainable_weights) == 6
    assert [w.shape for w in net.weights] == [w.shape for w in outer.weights]
    net.trainable = False
    assert outer.trainable_weights == [] and len(outer.weights) == 26
