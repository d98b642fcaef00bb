"""Networks of `applications` on images of one's own, as Keras's guides and examples write it."""

import numpy as np
import pytest

import cnnrs as keras
from cnnrs import layers, ops

pytest.importorskip("PIL")

SIZE = (64, 64)


def pixels(label, rng, size):
    """An image with a bright half: the left one or the upper one."""
    image = rng.integers(0, 80, (*size, 3), np.uint8)
    if label:
        image[: size[0] // 2] += 150
    else:
        image[:, : size[1] // 2] += 150
    return image


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A directory of two classes, 12 images each, of several sizes and formats."""
    root, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for label, name in enumerate(("left", "upper")):
        (root / name).mkdir()
        for i in range(12):
            path = root / name / f"{i}.{'jpg' if i % 2 else 'png'}"
            keras.utils.save_img(path, pixels(label, rng, (60 + i, 70 - i)), scale=False)
    return root


@pytest.fixture(scope="module")
def datasets(folder):
    return keras.utils.image_dataset_from_directory(
        folder,
        validation_split=0.25,
        subset="both",
        seed=1337,
        image_size=SIZE,
        batch_size=6,
        label_mode="binary",
        verbose=False,
    )


def test_transfer_learning_and_fine_tuning(datasets):
    keras.utils.clear_session()
    keras.utils.set_random_seed(3)
    train_ds, validation_ds = datasets
    data_augmentation = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.02)])

    base_model = keras.applications.DenseNet121(weights=None, input_shape=(*SIZE, 3), include_top=False)
    base_model.trainable = False

    inputs = keras.Input(shape=(*SIZE, 3))
    x = data_augmentation(inputs)
    scale_layer = keras.layers.Rescaling(scale=1 / 127.5, offset=-1)
    x = scale_layer(x)
    x = base_model(x, training=False)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.2)(x)
    outputs = keras.layers.Dense(1)(x)
    model = keras.Model(inputs, outputs)

    lines = []
    model.summary(print_fn=lambda text, line_break=False: lines.append(text), show_trainable=True)
    assert "densenet121" in "\n".join(lines)
    assert [w.path for w in model.trainable_weights] == ["dense/kernel", "dense/bias"]

    model.compile(
        optimizer=keras.optimizers.Adam(),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.BinaryAccuracy()],
    )
    before = base_model.get_weights()
    history = model.fit(train_ds, epochs=2, validation_data=validation_ds, verbose=0).history
    assert {"loss", "binary_accuracy", "val_loss", "val_binary_accuracy"} == history.keys()
    for weight, value in zip(base_model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)

    base_model.trainable = True
    model.compile(
        optimizer=keras.optimizers.Adam(1e-5),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.BinaryAccuracy()],
    )
    model.fit(train_ds, epochs=1, validation_data=validation_ds, verbose=0)
    moved = {w.path: (w.numpy() != v).any() for w, v in zip(base_model.weights, before, strict=True)}
    # The base runs in inference mode, so that the statistics of its normalization stay.
    assert all(moved[w.path] for w in base_model.trainable_weights if w.name == "kernel")
    assert not any(moved[path] for path in moved if "moving" in path)


def test_transfer_learning_in_a_loop_of_ones_own(datasets):
    keras.utils.set_random_seed(4)
    base_model = keras.applications.NASNetMobile(weights=None, input_shape=(*SIZE, 3), include_top=False)
    base_model.trainable = False
    inputs = keras.Input(shape=(*SIZE, 3))
    x = base_model(keras.applications.nasnet.preprocess_input(inputs), training=False)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(1)(x)
    model = keras.Model(inputs, outputs)

    loss_fn = keras.losses.BinaryCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam()
    before = [w.numpy() for w in model.weights]
    for images, targets in datasets[0]:
        with keras.GradientTape() as tape:
            predictions = model(images)
            loss_value = loss_fn(targets, predictions)
        gradients = tape.gradient(loss_value, model.trainable_weights)
        optimizer.apply_gradients(zip(gradients, model.trainable_weights, strict=True))
    moved = [w for w, value in zip(model.weights, before, strict=True) if (w.numpy() != value).any()]
    assert [w.path for w in moved] == [w.path for w in model.trainable_weights] and len(moved) == 2


def test_feature_extraction_with_vgg16(folder):
    base_model = keras.applications.vgg16.VGG16(weights=None, input_shape=(*SIZE, 3), include_top=False)
    model = keras.models.Model(inputs=base_model.input, outputs=base_model.get_layer("block4_pool").output)
    img = keras.utils.load_img(folder / "left" / "0.png", target_size=SIZE)
    x = keras.utils.img_to_array(img)
    x = np.expand_dims(x, axis=0)
    x = keras.applications.vgg16.preprocess_input(x)
    block4_pool_features = model.predict(x, verbose=0)
    assert block4_pool_features.shape == (1, 4, 4, 512)

    # All activations at once, and those of one layer after another.
    features_list = [layer.output for layer in base_model.layers]
    feat_extraction_model = keras.Model(inputs=base_model.input, outputs=features_list)
    extracted_features = feat_extraction_model(x)
    names = [layer.name for layer in base_model.layers]
    assert len(extracted_features) == len(names) == 19
    np.testing.assert_allclose(
        extracted_features[names.index("block4_pool")], block4_pool_features, rtol=1e-5, atol=1e-4
    )
    y = ops.convert_to_tensor(x)
    for layer, expected in zip(base_model.layers[1:], extracted_features[1:], strict=True):
        y = layer(y)
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-3)


def test_grad_cam(folder, tmp_path):
    model_builder = keras.applications.xception.Xception
    img_size = (96, 96)
    preprocess_input = keras.applications.xception.preprocess_input
    last_conv_layer_name = "block14_sepconv2_act"
    img_path = folder / "upper" / "1.jpg"

    def get_img_array(img_path, size):
        img = keras.utils.load_img(img_path, target_size=size)
        array = keras.utils.img_to_array(img)
        array = np.expand_dims(array, axis=0)
        return array

    def make_gradcam_heatmap(img_array, model, last_conv_layer_name, pred_index=None):
        grad_model = keras.models.Model(
            model.inputs, [model.get_layer(last_conv_layer_name).output, model.output]
        )
        with keras.GradientTape() as tape:
            last_conv_layer_output, preds = grad_model(img_array)
            if pred_index is None:
                pred_index = ops.argmax(preds[0])
            class_channel = preds[:, pred_index]
        grads = tape.gradient(class_channel, last_conv_layer_output)
        pooled_grads = ops.mean(grads, axis=(0, 1, 2))
        last_conv_layer_output = last_conv_layer_output[0]
        heatmap = last_conv_layer_output @ pooled_grads[..., None]
        heatmap = ops.squeeze(heatmap)
        heatmap = ops.maximum(heatmap, 0) / ops.max(heatmap)
        return heatmap.numpy()

    img_array = preprocess_input(get_img_array(img_path, size=img_size))
    model = model_builder(weights=None, input_shape=(*img_size, 3))
    model.layers[-1].activation = None
    preds = model.predict(img_array, verbose=0)
    assert preds.shape == (1, 1000) and preds.sum() != pytest.approx(1.0)
    heatmap = make_gradcam_heatmap(img_array, model, last_conv_layer_name, pred_index=260)
    # By hand: behind the last convolution stand a mean and a product with a row of weights.
    features = keras.Model(model.inputs, model.get_layer(last_conv_layer_name).output).predict(
        img_array, verbose=0
    )[0]
    expected = features @ model.get_layer("predictions").get_weights()[0][:, 260]
    np.testing.assert_allclose(heatmap, np.maximum(expected, 0) / expected.max(), rtol=1e-3, atol=1e-4)

    def save_gradcam(img_path, heatmap, cam_path, alpha=0.4):
        img = keras.utils.load_img(img_path)
        img = keras.utils.img_to_array(img)
        heatmap = np.uint8(255 * heatmap)
        jet_colors = np.stack([np.linspace(0, 1, 256), np.zeros(256), np.linspace(1, 0, 256)], axis=1)
        jet_heatmap = jet_colors[heatmap]
        jet_heatmap = keras.utils.array_to_img(jet_heatmap)
        jet_heatmap = jet_heatmap.resize((img.shape[1], img.shape[0]))
        jet_heatmap = keras.utils.img_to_array(jet_heatmap)
        superimposed_img = jet_heatmap * alpha + img
        superimposed_img = keras.utils.array_to_img(superimposed_img)
        superimposed_img.save(cam_path)

    save_gradcam(img_path, np.nan_to_num(heatmap), tmp_path / "cam.jpg")
    assert keras.utils.load_img(tmp_path / "cam.jpg").size == keras.utils.load_img(img_path).size


def test_fine_tuning_efficientnet(folder):
    keras.utils.set_random_seed(5)
    NUM_CLASSES, IMG_SIZE, BATCH_SIZE = 2, 48, 4
    dataset = keras.utils.image_dataset_from_directory(
        folder, image_size=(IMG_SIZE, IMG_SIZE), batch_size=None, seed=2, verbose=False
    )
    ds_train, ds_test = dataset.take(16), dataset.skip(16)

    img_augmentation_layers = [
        layers.RandomRotation(factor=0.15),
        layers.RandomTranslation(height_factor=0.1, width_factor=0.1),
        layers.RandomFlip(),
        layers.RandomContrast(factor=0.1),
    ]

    def img_augmentation(images):
        for layer in img_augmentation_layers:
            images = layer(images)
        return images

    def input_preprocess_train(image, label):
        image = img_augmentation(image)
        label = ops.one_hot(label, NUM_CLASSES)
        return image, label

    def input_preprocess_test(image, label):
        label = ops.one_hot(label, NUM_CLASSES)
        return image, label

    ds_train = ds_train.map(input_preprocess_train)
    ds_train = ds_train.batch(batch_size=BATCH_SIZE, drop_remainder=True).prefetch(2)
    ds_test = ds_test.map(input_preprocess_test)
    ds_test = ds_test.batch(batch_size=BATCH_SIZE, drop_remainder=True)

    model = keras.applications.EfficientNetB0(
        include_top=True, weights=None, classes=NUM_CLASSES, input_shape=(IMG_SIZE, IMG_SIZE, 3)
    )
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    hist = model.fit(ds_train, epochs=1, validation_data=ds_test, verbose=0)
    assert np.isfinite(hist.history["loss"]).all() and "val_accuracy" in hist.history

    def build_model(num_classes):
        inputs = layers.Input(shape=(IMG_SIZE, IMG_SIZE, 3))
        model = keras.applications.EfficientNetB0(include_top=False, input_tensor=inputs, weights=None)
        model.trainable = False
        x = layers.GlobalAveragePooling2D(name="avg_pool")(model.output)
        x = layers.BatchNormalization()(x)
        top_dropout_rate = 0.2
        x = layers.Dropout(top_dropout_rate, name="top_dropout")(x)
        outputs = layers.Dense(num_classes, activation="softmax", name="pred")(x)
        model = keras.Model(inputs, outputs, name="EfficientNet")
        optimizer = keras.optimizers.Adam(learning_rate=1e-2)
        model.compile(optimizer=optimizer, loss="categorical_crossentropy", metrics=["accuracy"])
        return model

    def unfreeze_model(model):
        for layer in model.layers[-20:]:
            if not isinstance(layer, layers.BatchNormalization):
                layer.trainable = True
        optimizer = keras.optimizers.Adam(learning_rate=1e-5)
        model.compile(optimizer=optimizer, loss="categorical_crossentropy", metrics=["accuracy"])

    model = build_model(num_classes=NUM_CLASSES)
    assert len(model.trainable_weights) == 4
    frozen = model.get_layer("top_conv").get_weights()[0]
    model.fit(ds_train, epochs=1, validation_data=ds_test, verbose=0)
    np.testing.assert_array_equal(model.get_layer("top_conv").get_weights()[0], frozen)
    unfreeze_model(model)
    model.fit(ds_train, epochs=1, validation_data=ds_test, verbose=0)
    assert (model.get_layer("top_conv").get_weights()[0] != frozen).any()
