"""The same bits in every run: whatever the number of threads, and again from the same seed."""

import os
import signal
import threading

import numpy as np
import pytest

import cnnrs
from cnnrs import _core, layers


def _model():
    return cnnrs.Sequential(
        [
            cnnrs.Input((12, 12, 3)),
            layers.Conv2D(16, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(40, 3, strides=2, activation="tanh"),
            layers.DepthwiseConv2D(2, padding="same"),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(10),
        ]
    )


def _train(threads, epochs=2):
    before = _core.get_num_threads()
    cnnrs.config.set_num_threads(threads)
    try:
        cnnrs.utils.set_random_seed(11)
        rng = np.random.default_rng(0)
        x = rng.normal(size=(150, 12, 12, 3)).astype("float32")
        y = rng.integers(0, 10, 150)
        model = _model()
        loss = cnnrs.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(cnnrs.optimizers.Adam(0.01, clipnorm=1.0), loss)
        history = model.fit(x, y, batch_size=64, epochs=epochs, verbose=0)
        return model.get_weights(), history.history["loss"], model.predict(x, verbose=0)
    finally:
        cnnrs.config.set_num_threads(before)


def test_bits_do_not_depend_on_the_number_of_threads():
    weights, losses, predictions = _train(1)
    for threads in (2, 7):
        other_weights, other_losses, other_predictions = _train(threads)
        assert losses == other_losses
        assert np.array_equal(predictions, other_predictions)
        for a, b in zip(weights, other_weights, strict=True):
            assert np.array_equal(a, b)


@pytest.mark.parametrize("name, more", [("ResNet18", {}), ("MobileNetV2", {"weights": None})])
def test_single_images_are_cut_for_many_threads_without_a_trace(name, more):
    before = _core.get_num_threads()
    image = np.random.default_rng(0).normal(size=(1, 160, 160, 3)).astype("float32")
    results = []
    try:
        for threads in (1, 2, 7, 24):
            cnnrs.config.set_num_threads(threads)
            cnnrs.utils.set_random_seed(3)
            model = getattr(cnnrs.applications, name)(input_shape=(160, 160, 3), classes=100, **more)
            results.append(model.predict_on_batch(image))
    finally:
        cnnrs.config.set_num_threads(before)
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


def test_memory_stays_flat_over_many_steps():
    resource = pytest.importorskip("resource")
    v = cnnrs.Variable(np.zeros(50_000, "float32"))
    optimizer = cnnrs.optimizers.SGD(0.1, momentum=0.9)
    total = 0.0

    def step():
        with cnnrs.GradientTape() as tape:
            loss = cnnrs.ops.mean((v - 1.0) ** 2)
        optimizer.apply(tape.gradient(loss, [v]), [v])
        return float(loss)

    for _ in range(100):
        total += step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(1000):
        total += step()
    # Each step handles five arrays of 200 kB; keeping one a step would add 200 MB.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000
    assert np.isfinite(total)


@pytest.mark.skipif(not hasattr(signal, "raise_signal") or os.name == "nt", reason="needs POSIX signals")
def test_ctrl_c_stops_fit_within_a_batch_and_leaves_the_model_whole():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20_000, 12, 12, 3)).astype("float32")
    y = rng.integers(0, 10, 20_000)
    model = _model()
    loss = cnnrs.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    model.fit(x[:64], y[:64], batch_size=64, verbose=0)
    main = threading.get_ident()
    timer = threading.Timer(0.3, lambda: signal.pthread_kill(main, signal.SIGINT))
    # A job in the background may have been started with the signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            model.fit(x, y, batch_size=64, epochs=20, verbose=0)
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)
    assert all(np.isfinite(w).all() for w in model.get_weights())
    steps = int(model.optimizer.iterations.numpy())
    model.fit(x[:64], y[:64], batch_size=64, verbose=0)
    assert int(model.optimizer.iterations.numpy()) == steps + 1
