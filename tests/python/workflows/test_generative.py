"""Generative models, written as Keras's documentation writes them."""

import math

import numpy as np

import cnnrs as keras
from cnnrs import layers, ops


def blobs(count=64, size=8, seed=0):
    """Images with a bright square somewhere."""
    rng = np.random.default_rng(seed)
    images = np.zeros((count, size, size, 1), "float32")
    for image in images:
        row, column = rng.integers(0, size - 3, 2)
        image[row : row + 4, column : column + 4] = 1.0
    return images


class GAN(keras.Model):
    """Two networks with an optimizer each."""

    def __init__(self, discriminator, generator, latent_dim):
        super().__init__()
        self.discriminator = discriminator
        self.generator = generator
        self.latent_dim = latent_dim
        self.seed_generator = keras.random.SeedGenerator(1337)
        self.d_loss_tracker = keras.metrics.Mean(name="d_loss")
        self.g_loss_tracker = keras.metrics.Mean(name="g_loss")

    @property
    def metrics(self):
        return [self.d_loss_tracker, self.g_loss_tracker]

    def compile(self, d_optimizer, g_optimizer, loss_fn, **kwargs):
        super().compile(**kwargs)
        self.d_optimizer = d_optimizer
        self.g_optimizer = g_optimizer
        self.loss_fn = loss_fn

    def train_step(self, real_images):
        batch_size = ops.shape(real_images)[0]
        noise = keras.random.normal((batch_size, self.latent_dim), seed=self.seed_generator)
        generated = self.generator(noise)
        combined = ops.concatenate([generated, real_images], axis=0)
        labels = ops.concatenate([ops.ones((batch_size, 1)), ops.zeros((batch_size, 1))], axis=0)
        labels += 0.05 * keras.random.uniform(ops.shape(labels), seed=self.seed_generator)
        with keras.GradientTape() as tape:
            predictions = self.discriminator(combined)
            d_loss = self.loss_fn(labels, predictions)
        grads = tape.gradient(d_loss, self.discriminator.trainable_weights)
        self.d_optimizer.apply_gradients(zip(grads, self.discriminator.trainable_weights))  # noqa: B905
        noise = keras.random.normal((batch_size, self.latent_dim), seed=self.seed_generator)
        misleading = ops.zeros((batch_size, 1))
        with keras.GradientTape() as tape:
            predictions = self.discriminator(self.generator(noise))
            g_loss = self.loss_fn(misleading, predictions)
        grads = tape.gradient(g_loss, self.generator.trainable_weights)
        self.g_optimizer.apply_gradients(zip(grads, self.generator.trainable_weights))  # noqa: B905
        self.d_loss_tracker.update_state(d_loss)
        self.g_loss_tracker.update_state(g_loss)
        return {"d_loss": self.d_loss_tracker.result(), "g_loss": self.g_loss_tracker.result()}


def discriminator():
    return keras.Sequential(
        [
            keras.Input(shape=(8, 8, 1)),
            layers.Conv2D(8, (3, 3), strides=(2, 2), padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Conv2D(8, (3, 3), strides=(2, 2), padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.GlobalMaxPooling2D(),
            layers.Dense(1),
        ],
        name="discriminator",
    )


def generator(latent_dim):
    return keras.Sequential(
        [
            keras.Input(shape=(latent_dim,)),
            layers.Dense(2 * 2 * 8),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Reshape((2, 2, 8)),
            layers.Conv2DTranspose(8, (4, 4), strides=(2, 2), padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Conv2DTranspose(1, (4, 4), strides=(2, 2), padding="same", activation="sigmoid"),
        ],
        name="generator",
    )


def test_gan_with_two_optimizers():
    gan = GAN(discriminator(), generator(4), latent_dim=4)
    gan.compile(
        d_optimizer=keras.optimizers.Adam(learning_rate=0.003),
        g_optimizer=keras.optimizers.Adam(learning_rate=0.003),
        loss_fn=keras.losses.BinaryCrossentropy(from_logits=True),
    )
    before = [w.numpy() for w in gan.trainable_weights]
    history = gan.fit(blobs(), batch_size=32, epochs=3, verbose=0).history
    assert set(history) == {"d_loss", "g_loss"} and np.isfinite(list(history.values())).all()
    assert history["d_loss"][-1] < history["d_loss"][0]
    assert all((b != w.numpy()).any() for b, w in zip(before, gan.trainable_weights, strict=True))
    assert len(gan.trainable_weights) == len(gan.discriminator.trainable_weights) + 6
    assert int(gan.d_optimizer.iterations) == 6


def test_gan_recorded_gives_the_numbers_of_gan_in_python():
    runs = []
    for jit_compile in (True, False):
        keras.utils.set_random_seed(5)
        gan = GAN(discriminator(), generator(4), latent_dim=4)
        gan.compile(
            d_optimizer=keras.optimizers.Adam(0.003),
            g_optimizer=keras.optimizers.Adam(0.003),
            loss_fn=keras.losses.BinaryCrossentropy(from_logits=True),
            jit_compile=jit_compile,
        )
        runs.append(gan.fit(blobs(), batch_size=32, epochs=2, shuffle=False, verbose=0).history)
    np.testing.assert_allclose(runs[0]["d_loss"], runs[1]["d_loss"], rtol=1e-4)
    np.testing.assert_allclose(runs[0]["g_loss"], runs[1]["g_loss"], rtol=1e-4)


class WGAN(keras.Model):
    def __init__(self, discriminator, generator, latent_dim, discriminator_extra_steps=2, gp_weight=10.0):
        super().__init__()
        self.discriminator = discriminator
        self.generator = generator
        self.latent_dim = latent_dim
        self.d_steps = discriminator_extra_steps
        self.gp_weight = gp_weight

    def compile(self, d_optimizer, g_optimizer, d_loss_fn, g_loss_fn):
        super().compile()
        self.d_optimizer = d_optimizer
        self.g_optimizer = g_optimizer
        self.d_loss_fn = d_loss_fn
        self.g_loss_fn = g_loss_fn

    def gradient_penalty(self, batch_size, real_images, fake_images):
        alpha = keras.random.uniform((batch_size, 1, 1, 1), 0.0, 1.0)
        interpolated = real_images + alpha * (fake_images - real_images)
        with keras.GradientTape() as gp_tape:
            gp_tape.watch(interpolated)
            pred = self.discriminator(interpolated, training=True)
        grads = gp_tape.gradient(pred, [interpolated])[0]
        norm = ops.sqrt(ops.sum(ops.square(grads), axis=[1, 2, 3]))
        return ops.mean((norm - 1.0) ** 2)

    def train_step(self, real_images):
        if isinstance(real_images, tuple):
            real_images = real_images[0]
        batch_size = ops.shape(real_images)[0]
        for _ in range(self.d_steps):
            latent = keras.random.normal(shape=(batch_size, self.latent_dim))
            with keras.GradientTape() as tape:
                fake_images = self.generator(latent, training=True)
                fake_logits = self.discriminator(fake_images, training=True)
                real_logits = self.discriminator(real_images, training=True)
                d_cost = self.d_loss_fn(real_img=real_logits, fake_img=fake_logits)
                penalty = self.gradient_penalty(batch_size, real_images, fake_images)
                d_loss = d_cost + penalty * self.gp_weight
            d_gradient = tape.gradient(d_loss, self.discriminator.trainable_variables)
            self.d_optimizer.apply_gradients(zip(d_gradient, self.discriminator.trainable_variables))  # noqa: B905
        latent = keras.random.normal(shape=(batch_size, self.latent_dim))
        with keras.GradientTape() as tape:
            logits = self.discriminator(self.generator(latent, training=True), training=True)
            g_loss = self.g_loss_fn(logits)
        gen_gradient = tape.gradient(g_loss, self.generator.trainable_variables)
        self.g_optimizer.apply_gradients(zip(gen_gradient, self.generator.trainable_variables))  # noqa: B905
        return {"d_loss": d_loss, "g_loss": g_loss, "penalty": penalty}


def test_wgan_with_gradient_penalty():
    keras.utils.set_random_seed(0)
    wgan = WGAN(discriminator(), generator(4), latent_dim=4)
    wgan.compile(
        d_optimizer=keras.optimizers.Adam(learning_rate=0.01, beta_1=0.5, beta_2=0.9),
        g_optimizer=keras.optimizers.Adam(learning_rate=0.0002, beta_1=0.5, beta_2=0.9),
        d_loss_fn=lambda real_img, fake_img: ops.mean(fake_img) - ops.mean(real_img),
        g_loss_fn=lambda fake_img: -ops.mean(fake_img),
    )
    history = wgan.fit(blobs(), batch_size=32, epochs=8, verbose=0).history
    assert np.isfinite(history["d_loss"]).all()
    assert history["penalty"][-1] < history["penalty"][0]


class Sampling(layers.Layer):
    """Uses (z_mean, z_log_var) to sample z."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(1337)

    def call(self, inputs):
        z_mean, z_log_var = inputs
        batch = ops.shape(z_mean)[0]
        dim = ops.shape(z_mean)[1]
        epsilon = keras.random.normal(shape=(batch, dim), seed=self.seed_generator)
        return z_mean + ops.exp(0.5 * z_log_var) * epsilon


class VAE(keras.Model):
    def __init__(self, encoder, decoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder
        self.total_loss_tracker = keras.metrics.Mean(name="total_loss")
        self.reconstruction_loss_tracker = keras.metrics.Mean(name="reconstruction_loss")
        self.kl_loss_tracker = keras.metrics.Mean(name="kl_loss")

    @property
    def metrics(self):
        return [self.total_loss_tracker, self.reconstruction_loss_tracker, self.kl_loss_tracker]

    def train_step(self, data):
        with keras.GradientTape() as tape:
            z_mean, z_log_var, z = self.encoder(data)
            reconstruction = self.decoder(z)
            reconstruction_loss = ops.mean(
                ops.sum(keras.losses.binary_crossentropy(data, reconstruction), axis=(1, 2))
            )
            kl_loss = -0.5 * (1 + z_log_var - ops.square(z_mean) - ops.exp(z_log_var))
            kl_loss = ops.mean(ops.sum(kl_loss, axis=1))
            total_loss = reconstruction_loss + kl_loss
        grads = tape.gradient(total_loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(grads, self.trainable_weights))  # noqa: B905
        self.total_loss_tracker.update_state(total_loss)
        self.reconstruction_loss_tracker.update_state(reconstruction_loss)
        self.kl_loss_tracker.update_state(kl_loss)
        return {m.name: m.result() for m in self.metrics}


def test_vae_with_a_sampling_layer():
    encoder_inputs = keras.Input(shape=(8, 8, 1))
    x = layers.Conv2D(8, 3, activation="relu", strides=2, padding="same")(encoder_inputs)
    x = layers.Flatten()(x)
    x = layers.Dense(16, activation="relu")(x)
    z_mean = layers.Dense(2, name="z_mean")(x)
    z_log_var = layers.Dense(2, name="z_log_var")(x)
    z = Sampling()([z_mean, z_log_var])
    encoder = keras.Model(encoder_inputs, [z_mean, z_log_var, z], name="encoder")
    latent_inputs = keras.Input(shape=(2,))
    x = layers.Dense(4 * 4 * 8, activation="relu")(latent_inputs)
    x = layers.Reshape((4, 4, 8))(x)
    x = layers.Conv2DTranspose(8, 3, activation="relu", strides=2, padding="same")(x)
    decoder_outputs = layers.Conv2DTranspose(1, 3, activation="sigmoid", padding="same")(x)
    decoder = keras.Model(latent_inputs, decoder_outputs, name="decoder")
    vae = VAE(encoder, decoder)
    vae.compile(optimizer=keras.optimizers.Adam(0.01))
    history = vae.fit(blobs(), epochs=4, batch_size=16, verbose=0).history
    assert set(history) == {"total_loss", "reconstruction_loss", "kl_loss"}
    assert history["total_loss"][-1] < history["total_loss"][0]
    np.testing.assert_allclose(
        history["total_loss"], np.add(history["reconstruction_loss"], history["kl_loss"]), rtol=1e-5
    )
    grid = vae.decoder.predict(np.array([[0.0, 1.0], [1.0, 0.0]]), verbose=0)
    assert grid.shape == (2, 8, 8, 1) and (0 <= grid).all() and (grid <= 1).all()
    first, again = (encoder.predict(blobs(4), verbose=0)[2] for _ in range(2))
    assert (first != again).any()


@keras.saving.register_keras_serializable(package="workflows")
def sinusoidal_embedding(x, dims=8):
    frequencies = ops.exp(ops.linspace(ops.log(1.0), ops.log(1000.0), dims // 2))
    angular_speeds = ops.cast(2.0 * math.pi * frequencies, "float32")
    return ops.concatenate([ops.sin(angular_speeds * x), ops.cos(angular_speeds * x)], axis=3)


class DiffusionModel(keras.Model):
    """Denoising diffusion implicit models, with a network of averaged weights."""

    def __init__(self, size, ema=0.9):
        super().__init__()
        self.normalizer = layers.Normalization()
        self.size, self.ema = size, ema
        self.network = self.make_network(size)
        self.ema_network = keras.models.clone_model(self.network)
        self.ema_network.set_weights(self.network.get_weights())
        self.noise_loss_tracker = keras.metrics.Mean(name="n_loss")
        self.image_loss_tracker = keras.metrics.Mean(name="i_loss")

    @staticmethod
    def make_network(size):
        noisy_images = keras.Input(shape=(size, size, 1))
        noise_variances = keras.Input(shape=(1, 1, 1))
        e = layers.Lambda(sinusoidal_embedding, output_shape=(1, 1, 8))(noise_variances)
        e = layers.UpSampling2D(size=size, interpolation="nearest")(e)
        x = layers.Conv2D(8, kernel_size=1)(noisy_images)
        x = layers.Concatenate()([x, e])
        residual = layers.Conv2D(16, kernel_size=1)(x)
        x = layers.BatchNormalization(center=False, scale=False)(residual)
        x = layers.Conv2D(16, kernel_size=3, padding="same", activation=keras.activations.swish)(x)
        x = layers.Conv2D(16, kernel_size=3, padding="same")(x)
        x = layers.Add()([x, residual])
        x = layers.Conv2D(1, kernel_size=1, kernel_initializer="zeros")(x)
        return keras.Model([noisy_images, noise_variances], x, name="network")

    @property
    def metrics(self):
        return [self.noise_loss_tracker, self.image_loss_tracker]

    def diffusion_schedule(self, diffusion_times):
        start_angle = ops.cast(ops.arccos(0.95), "float32")
        end_angle = ops.cast(ops.arccos(0.02), "float32")
        diffusion_angles = start_angle + diffusion_times * (end_angle - start_angle)
        return ops.sin(diffusion_angles), ops.cos(diffusion_angles)

    def denoise(self, noisy_images, noise_rates, signal_rates, training):
        network = self.network if training else self.ema_network
        pred_noises = network([noisy_images, noise_rates**2], training=training)
        return pred_noises, (noisy_images - noise_rates * pred_noises) / signal_rates

    def generate(self, num_images, steps):
        images = keras.random.normal(shape=(num_images, self.size, self.size, 1))
        step_size = 1.0 / steps
        next_noisy_images = images
        for step in range(steps):
            noisy_images = next_noisy_images
            times = ops.ones((num_images, 1, 1, 1)) - step * step_size
            noise_rates, signal_rates = self.diffusion_schedule(times)
            pred_noises, pred_images = self.denoise(noisy_images, noise_rates, signal_rates, training=False)
            next_noise_rates, next_signal_rates = self.diffusion_schedule(times - step_size)
            next_noisy_images = next_signal_rates * pred_images + next_noise_rates * pred_noises
        return pred_images

    def noised(self, images):
        images = self.normalizer(images, training=True)
        noises = keras.random.normal(shape=ops.shape(images))
        times = keras.random.uniform(shape=(ops.shape(images)[0], 1, 1, 1), minval=0.0, maxval=1.0)
        noise_rates, signal_rates = self.diffusion_schedule(times)
        return images, noises, signal_rates * images + noise_rates * noises, noise_rates, signal_rates

    def train_step(self, images):
        images, noises, noisy_images, noise_rates, signal_rates = self.noised(images)
        with keras.GradientTape() as tape:
            pred_noises, pred_images = self.denoise(noisy_images, noise_rates, signal_rates, training=True)
            noise_loss = self.loss(noises, pred_noises)
            image_loss = self.loss(images, pred_images)
        gradients = tape.gradient(noise_loss, self.network.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.network.trainable_weights))  # noqa: B905
        self.noise_loss_tracker.update_state(noise_loss)
        self.image_loss_tracker.update_state(image_loss)
        for weight, ema_weight in zip(self.network.weights, self.ema_network.weights):  # noqa: B905
            ema_weight.assign(self.ema * ema_weight + (1 - self.ema) * weight)
        return {m.name: m.result() for m in self.metrics}

    def test_step(self, images):
        _, noises, noisy_images, noise_rates, signal_rates = self.noised(images)
        pred_noises, _ = self.denoise(noisy_images, noise_rates, signal_rates, training=False)
        self.noise_loss_tracker.update_state(self.loss(noises, pred_noises))
        return {"n_loss": self.noise_loss_tracker.result()}


def test_ddim():
    keras.utils.set_random_seed(1)
    model = DiffusionModel(8)
    model.compile(
        optimizer=keras.optimizers.AdamW(learning_rate=0.01, weight_decay=1e-4),
        loss=keras.losses.mean_absolute_error,
    )
    images = blobs(64)
    model.normalizer.adapt(images)
    history = model.fit(images, epochs=4, batch_size=16, validation_data=images[:16], verbose=0).history
    assert history["n_loss"][-1] < history["n_loss"][0]
    assert "val_n_loss" in history
    generated = model.generate(num_images=3, steps=4)
    assert generated.shape == (3, 8, 8, 1) and np.isfinite(generated).all()
    moved = [
        np.abs(a - b).max()
        for a, b in zip(model.network.get_weights(), model.ema_network.get_weights(), strict=True)
    ]
    assert 0 < max(moved) < 1


class PixelConvLayer(layers.Layer):
    """A convolution of the pixels before: its kernel is masked."""

    def __init__(self, mask_type, **kwargs):
        super().__init__()
        self.mask_type = mask_type
        self.conv = layers.Conv2D(**kwargs)

    def build(self, input_shape):
        self.conv.build(input_shape)
        kernel_shape = ops.shape(self.conv.kernel)
        self.mask = np.zeros(shape=kernel_shape)
        self.mask[: kernel_shape[0] // 2, ...] = 1.0
        self.mask[kernel_shape[0] // 2, : kernel_shape[1] // 2, ...] = 1.0
        if self.mask_type == "B":
            self.mask[kernel_shape[0] // 2, kernel_shape[1] // 2, ...] = 1.0

    def call(self, inputs):
        self.conv.kernel.assign(self.conv.kernel * self.mask)
        return self.conv(inputs)


class ResidualBlock(layers.Layer):
    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.conv1 = layers.Conv2D(filters=filters, kernel_size=1, activation="relu")
        self.pixel_conv = PixelConvLayer(
            mask_type="B", filters=filters // 2, kernel_size=3, activation="relu", padding="same"
        )
        self.conv2 = layers.Conv2D(filters=filters, kernel_size=1, activation="relu")

    def call(self, inputs):
        x = self.conv1(inputs)
        x = self.pixel_conv(x)
        x = self.conv2(x)
        return layers.Add()([inputs, x])


def test_pixel_cnn():
    inputs = keras.Input(shape=(8, 8, 1), batch_size=None)
    x = PixelConvLayer(mask_type="A", filters=8, kernel_size=5, activation="relu", padding="same")(inputs)
    x = ResidualBlock(filters=8)(x)
    x = PixelConvLayer(mask_type="B", filters=8, kernel_size=1, activation="relu", padding="valid")(x)
    out = layers.Conv2D(filters=1, kernel_size=1, activation="sigmoid", padding="valid")(x)
    model = keras.Model(inputs, out)
    model.compile(optimizer=keras.optimizers.Adam(learning_rate=0.01), loss="binary_crossentropy")
    images = blobs(32)
    history = model.fit(images, images, batch_size=16, epochs=4, validation_split=0.1, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    # No pixel sees itself or those after it.
    base = model.predict(images[:1], verbose=0)
    changed = images[:1].copy()
    changed[0, 4, 4, 0] = 1 - changed[0, 4, 4, 0]
    differs = (model.predict(changed, verbose=0) != base)[0, ..., 0]
    assert not differs[:4].any() and not differs[4, :5].any() and differs.any()


def resnet_generator(name):
    image = keras.Input(shape=(8, 8, 1), name=name + "_image")
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(image)
    x = layers.Activation("relu")(layers.GroupNormalization(groups=-1)(x))
    y = layers.Conv2D(8, 3, padding="same", use_bias=False)(x)
    x = layers.add([x, y])
    return keras.Model(image, layers.Conv2D(1, 3, padding="same", activation="tanh")(x), name=name)


class CycleGan(keras.Model):
    def __init__(self, lambda_cycle=10.0, lambda_identity=0.5):
        super().__init__()
        self.gen_G, self.gen_F = resnet_generator("G"), resnet_generator("F")
        self.disc_X, self.disc_Y = discriminator(), discriminator()
        self.lambda_cycle, self.lambda_identity = lambda_cycle, lambda_identity

    def call(self, inputs):
        return self.disc_X(inputs), self.disc_Y(inputs), self.gen_G(inputs), self.gen_F(inputs)

    def compile(self, make_optimizer):
        super().compile()
        names = ("gen_G", "gen_F", "disc_X", "disc_Y")
        self.optimizers = {name: make_optimizer() for name in names}
        self.cycle_loss_fn = keras.losses.MeanAbsoluteError()
        self.adversarial_loss_fn = keras.losses.MeanSquaredError()

    def train_step(self, batch_data):
        real_x, real_y = batch_data
        with keras.GradientTape(persistent=True) as tape:
            fake_y, fake_x = self.gen_G(real_x, training=True), self.gen_F(real_y, training=True)
            cycled_x, cycled_y = self.gen_F(fake_y, training=True), self.gen_G(fake_x, training=True)
            same_x, same_y = self.gen_F(real_x, training=True), self.gen_G(real_y, training=True)
            losses = {}
            for side, fake, real, cycled, same in (
                ("G", fake_y, real_y, cycled_y, same_y),
                ("F", fake_x, real_x, cycled_x, same_x),
            ):
                disc = self.disc_Y if side == "G" else self.disc_X
                disc_fake, disc_real = disc(fake, training=True), disc(real, training=True)
                adversarial = self.adversarial_loss_fn(ops.ones_like(disc_fake), disc_fake)
                cycle = self.cycle_loss_fn(real, cycled) * self.lambda_cycle
                identity = self.cycle_loss_fn(real, same) * self.lambda_cycle * self.lambda_identity
                losses["gen_" + side] = adversarial + cycle + identity
                losses["disc_Y" if side == "G" else "disc_X"] = 0.5 * (
                    self.adversarial_loss_fn(ops.ones_like(disc_real), disc_real)
                    + self.adversarial_loss_fn(ops.zeros_like(disc_fake), disc_fake)
                )
        for name, loss in losses.items():
            network = getattr(self, name)
            gradients = tape.gradient(loss, network.trainable_variables)
            self.optimizers[name].apply_gradients(zip(gradients, network.trainable_variables))  # noqa: B905
        return {name + "_loss": loss for name, loss in losses.items()}


def test_cycle_gan_step():
    keras.utils.set_random_seed(2)
    model = CycleGan()
    model.compile(lambda: keras.optimizers.Adam(learning_rate=2e-3, beta_1=0.5))
    x, y = blobs(32) * 2 - 1, 1 - blobs(32, seed=1) * 2
    history = model.fit(x, y, batch_size=8, epochs=3, verbose=0).history
    assert set(history) == {"gen_G_loss", "gen_F_loss", "disc_X_loss", "disc_Y_loss"}
    assert history["gen_G_loss"][-1] < history["gen_G_loss"][0]
    assert history["gen_F_loss"][-1] < history["gen_F_loss"][0]
