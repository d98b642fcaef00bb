"""What a network sees: Grad-CAM, deep dream, style transfer, as Keras's documentation writes them."""

import numpy as np

import cnnrs as keras
from cnnrs import layers, ops


def backbone():
    keras.utils.set_random_seed(7)
    inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(8, 3, activation="relu", padding="same", name="block1_conv1")(inputs)
    x = layers.MaxPooling2D(2, name="block1_pool")(x)
    x = layers.Conv2D(12, 3, activation="relu", padding="same", name="block2_conv1")(x)
    x = layers.MaxPooling2D(2, name="block2_pool")(x)
    x = layers.Conv2D(16, 3, activation="relu", padding="same", name="block3_conv1")(x)
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    return keras.Model(inputs, layers.Dense(4, activation="softmax", name="predictions")(x), name="backbone")


def picture(seed=0):
    return np.random.default_rng(seed).uniform(0, 1, (1, 16, 16, 3)).astype("float32")


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


def test_grad_cam():
    model = backbone()
    model.layers[-1].activation = None
    image = picture()
    last = make_gradcam_heatmap(image, model, "block3_conv1")
    assert last.shape == (4, 4) and np.isfinite(last).all() and last.min() >= 0
    # By hand: behind the last convolution stand a mean and a product with a row of weights.
    features = keras.Model(model.inputs, model.get_layer("block3_conv1").output).predict(image, verbose=0)[0]
    kernel = model.get_layer("predictions").get_weights()[0]
    for index in range(4):
        raw = features @ (kernel[:, index] / 16)
        if raw.max() > 0:
            result = make_gradcam_heatmap(image, model, "block3_conv1", pred_index=index)
            np.testing.assert_allclose(result, np.maximum(raw, 0) / raw.max(), atol=1e-5)


def test_deep_dream():
    model = backbone()
    layer_settings = {"block1_conv1": 1.0, "block2_conv1": 1.5}
    outputs_dict = dict(
        [(layer.name, layer.output) for layer in [model.get_layer(name) for name in layer_settings]]
    )
    feature_extractor = keras.Model(inputs=model.inputs, outputs=outputs_dict)

    def compute_loss(input_image):
        features = feature_extractor(input_image)
        loss = ops.zeros(shape=())
        for name, coeff in layer_settings.items():
            activation = features[name]
            scaling = ops.prod(ops.cast(ops.shape(activation), "float32"))
            loss += coeff * ops.sum(ops.square(activation[:, 2:-2, 2:-2, :])) / scaling
        return loss

    @keras.function
    def gradient_ascent_step(img, learning_rate):
        with keras.GradientTape() as tape:
            tape.watch(img)
            loss = compute_loss(img)
        grads = tape.gradient(loss, img)
        grads /= ops.maximum(ops.mean(ops.abs(grads)), 1e-6)
        img += learning_rate * grads
        return loss, img

    original = picture()
    shapes = [(8, 8), (16, 16)]
    shrunk = ops.image.resize(original, shapes[0])
    img = ops.copy(original)
    losses = []
    for shape in shapes:
        img = ops.image.resize(img, shape)
        for _ in range(5):
            loss, img = gradient_ascent_step(img, 0.01)
            losses.append(float(loss))
        upscaled = ops.image.resize(shrunk, shape)
        same_size = ops.image.resize(original, shape)
        img += same_size - upscaled
        shrunk = ops.image.resize(original, shape)
    assert losses[4] > losses[0] and losses[9] > losses[5]
    assert img.shape == (1, 16, 16, 3)


def gram_matrix(x):
    x = ops.transpose(x, (2, 0, 1))
    features = ops.reshape(x, (ops.shape(x)[0], -1))
    return ops.matmul(features, ops.transpose(features))


def style_loss(style, combination):
    size = 16 * 16
    return ops.sum(ops.square(gram_matrix(style) - gram_matrix(combination))) / (4.0 * (3**2) * (size**2))


def total_variation_loss(x):
    a = ops.square(x[:, :-1, :-1, :] - x[:, 1:, :-1, :])
    b = ops.square(x[:, :-1, :-1, :] - x[:, :-1, 1:, :])
    return ops.sum(ops.power(a + b + 1e-8, 1.25))


def test_style_transfer_with_gram_matrices():
    model = backbone()
    outputs_dict = {layer.name: layer.output for layer in model.layers}
    feature_extractor = keras.Model(inputs=model.inputs, outputs=outputs_dict)
    base, style = picture(0), picture(1)
    combination_image = keras.Variable(base)

    def compute_loss(combination_image, base_image, style_reference_image):
        input_tensor = ops.concatenate([base_image, style_reference_image, combination_image], axis=0)
        features = feature_extractor(input_tensor)
        loss = ops.zeros(shape=())
        content = features["block3_conv1"]
        loss = loss + 2.5e-2 * ops.sum(ops.square(content[2] - content[0]))
        for name in ("block1_conv1", "block2_conv1"):
            loss += 0.5 * style_loss(features[name][1], features[name][2])
        loss += 1e-6 * total_variation_loss(combination_image)
        return loss

    optimizer = keras.optimizers.SGD(
        keras.optimizers.schedules.ExponentialDecay(
            initial_learning_rate=2.0, decay_steps=100, decay_rate=0.96
        )
    )
    losses = []
    for _ in range(8):
        with keras.GradientTape() as tape:
            loss = compute_loss(combination_image, base, style)
        grads = tape.gradient(loss, combination_image)
        optimizer.apply_gradients([(grads, combination_image)])
        losses.append(float(loss))
    assert losses[-1] < losses[0] and np.isfinite(losses).all()
    x = picture()[0]
    flat = x.transpose(2, 0, 1).reshape(3, -1)
    np.testing.assert_allclose(gram_matrix(ops.convert_to_tensor(x)), flat @ flat.T, rtol=1e-5)


def test_filters_that_are_maximised():
    model = backbone()
    layer = model.get_layer(name="block2_conv1")
    feature_extractor = keras.Model(inputs=model.inputs, outputs=layer.output)

    def compute_loss(input_image, filter_index):
        activation = feature_extractor(input_image)
        return ops.mean(activation[:, 2:-2, 2:-2, filter_index])

    image = ops.convert_to_tensor((picture() - 0.5) * 0.25)
    index = int(ops.argmax(ops.mean(feature_extractor(image), axis=(0, 1, 2))))
    losses = []
    for _ in range(10):
        with keras.GradientTape() as tape:
            tape.watch(image)
            loss = compute_loss(image, index)
        grads = tape.gradient(loss, image)
        grads = ops.normalize(grads)
        image += 0.1 * grads
        losses.append(float(loss))
    assert losses[-1] > losses[0]


def test_saliency_of_integrated_gradients_adds_up():
    model = backbone()
    image, steps = picture(), 40
    baseline = np.zeros_like(image)
    alphas = ops.linspace(0.0, 1.0, steps + 1)[:, None, None, None]
    with keras.GradientTape() as tape:
        path = baseline + alphas * (image - baseline)
        tape.watch(path)
        scores = model(path)[:, 1]
    grads = tape.gradient(scores, path)
    averaged = ops.mean((grads[:-1] + grads[1:]) / 2.0, axis=0)
    attributions = ((image - baseline)[0] * averaged).numpy()
    difference = float(model(image)[0, 1] - model(baseline)[0, 1])
    np.testing.assert_allclose(attributions.sum(), difference, rtol=2e-2, atol=1e-4)
