"""`BackupAndRestore`, `SwapEMAWeights`, `TensorBoard` and `RemoteMonitor`."""

from __future__ import annotations

import http.server
import json
import os
import threading
import urllib.parse
from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import callbacks, layers, optimizers

RANDOM = np.random.default_rng(2)
X = RANDOM.normal(size=(20, 4)).astype(np.float32)
Y = RANDOM.normal(size=(20, 1)).astype(np.float32)


class Own(layers.Layer):
    """Keeps state that is no variable."""

    calls = 0.0

    def call(self, x):
        return x

    def save_own_variables(self, store):
        store["calls"] = np.float64(self.calls)

    def load_own_variables(self, store):
        self.calls = float(store["calls"])


def build(optimizer: Any = None) -> cnnrs.Model:
    cnnrs.utils.set_random_seed(5)
    parts = [layers.Dense(8, activation="relu"), layers.Dropout(0.5), layers.BatchNormalization(), Own()]
    model = cnnrs.Sequential([cnnrs.Input((4,)), *parts, layers.Dense(1)])
    model.compile(optimizer or optimizers.Adam(0.05), "mse")
    return model


class Interrupt(callbacks.Callback):
    def __init__(self, epoch=None, batches=None):
        super().__init__()
        self.epoch, self.batches = epoch, batches

    def on_train_batch_end(self, batch, logs=None):
        if self.batches is not None:
            self.batches -= 1
            if self.batches == 0:
                raise RuntimeError("interrupted")

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            raise RuntimeError("interrupted")


def fit(model: cnnrs.Model, *others: Any, epochs: int = 5) -> Any:
    return model.fit(X, Y, batch_size=8, epochs=epochs, verbose=0, callbacks=list(others))


def state(model: cnnrs.Model) -> list[np.ndarray]:
    return [np.asarray(v) for v in [*model.variables, *model.optimizer.variables]]


@pytest.mark.parametrize("epoch", [0, 2])
@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: optimizers.Adam(0.05),
        lambda: optimizers.SGD(0.05, momentum=0.9, use_ema=True),
        lambda: optimizers.SGD(optimizers.schedules.ExponentialDecay(0.1, 3, 0.9)),
    ],
    ids=["adam", "ema", "schedule"],
)
def test_training_resumes_bit_for_bit(tmp_path, epoch, optimizer):
    whole = build(optimizer())
    fit(whole)
    folder = tmp_path / "backup"
    first = build(optimizer())
    first.layers[3].calls = 7.5
    with pytest.raises(RuntimeError, match="interrupted"):
        fit(first, callbacks.BackupAndRestore(folder), Interrupt(epoch))
    second = build(optimizer())
    second.set_weights([np.zeros_like(w) for w in second.get_weights()])
    history = fit(second, callbacks.BackupAndRestore(folder, delete_checkpoint=False))
    assert history.epoch == list(range(5)) and len(history.history["loss"]) == 5
    assert second.layers[3].calls == 7.5
    for a, b in zip(state(second), state(whole), strict=True):
        np.testing.assert_array_equal(a, b)
    assert folder.exists()
    # All epochs are done: nothing is left to do, and the folder goes.
    iterations = int(second.optimizer.iterations)
    assert fit(second, callbacks.BackupAndRestore(folder)).epoch == list(range(5))
    assert int(second.optimizer.iterations) == iterations
    assert not folder.exists()


def test_batches_are_kept(tmp_path):
    model = build()
    with pytest.raises(RuntimeError, match="interrupted"):
        fit(model, callbacks.BackupAndRestore(tmp_path, save_freq=2), Interrupt(batches=5))
    again = build()
    backup = callbacks.BackupAndRestore(tmp_path, save_freq=2)
    backup.set_model(again)
    backup.on_train_begin()
    # Four of five batches; the epoch of the fourth begins anew.
    assert int(again.optimizer.iterations) == 4 and again._initial_epoch == 1
    assert fit(again, callbacks.BackupAndRestore(tmp_path)).epoch == [0, 1, 2, 3, 4]


def test_a_damaged_state_is_replaced_by_the_one_before(tmp_path):
    model = build()
    with pytest.raises(RuntimeError, match="interrupted"):
        fit(model, callbacks.BackupAndRestore(tmp_path, double_checkpoint=True), Interrupt(2))
    assert sorted(os.listdir(tmp_path)) == ["latest.safetensors", "previous.safetensors"]
    (tmp_path / "latest.safetensors").write_bytes(b"0")
    again = build()
    history = fit(again, callbacks.BackupAndRestore(tmp_path))
    whole = build()
    assert history.history == fit(whole).history
    for a, b in zip(state(again), state(whole), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_state_of_another_model_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match="interrupted"):
        fit(build(), callbacks.BackupAndRestore(tmp_path), Interrupt(0))
    other = cnnrs.Sequential([cnnrs.Input((4,)), layers.Dense(1)])
    other.compile("sgd", "mse")
    with pytest.raises(ValueError, match="another model"):
        fit(other, callbacks.BackupAndRestore(tmp_path))
    unbuilt = cnnrs.Sequential([layers.Dense(1)])
    unbuilt.compile("sgd", "mse")
    with pytest.raises(ValueError, match="built before fit"):
        fit(unbuilt, callbacks.BackupAndRestore(tmp_path))


def averaging() -> cnnrs.Model:
    model = cnnrs.Sequential([cnnrs.Input((4,)), layers.Dense(1)])
    model.set_weights([np.ones((4, 1)), np.zeros(1)])
    model.compile(optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), "mse")
    return model


class Watch(callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen: list[tuple[np.ndarray, np.ndarray]] = []

    def on_epoch_end(self, epoch, logs=None):
        averages = self.model.optimizer._averages[0].numpy()
        self.seen.append((self.model.get_weights()[0], averages))


def test_averages_are_evaluated_and_weights_trained():
    plain, swapped, epochs = averaging(), averaging(), averaging()
    watch, inside = Watch(), Watch()
    data = (X, Y)
    options = {"epochs": 3, "batch_size": 8, "verbose": 0, "validation_data": data, "shuffle": False}
    plain.fit(X, Y, callbacks=[watch], **options)
    history = swapped.fit(X, Y, callbacks=[callbacks.SwapEMAWeights()], **options)
    epochs.fit(X, Y, callbacks=[callbacks.SwapEMAWeights(swap_on_epoch=True), inside], **options)
    for model in (swapped, epochs):
        for a, b in zip(model.get_weights(), plain.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    for (weights, averages), (w, a) in zip(watch.seen, inside.seen, strict=True):
        np.testing.assert_array_equal(weights, a)
        np.testing.assert_array_equal(averages, w)
    # The loss that validation saw is that of the averages, which are the weights after the last epoch.
    assert history.history["val_loss"][-1] == pytest.approx(plain.evaluate(X, Y, verbose=0), rel=1e-6)
    before = epochs.get_weights()
    epochs.predict(X, verbose=0, callbacks=[callbacks.SwapEMAWeights()])
    np.testing.assert_array_equal(before[0], epochs.get_weights()[0])


def test_averages_stay_when_training_stops_early():
    plain, stopped = averaging(), averaging()
    plain.fit(X, Y, epochs=1, batch_size=8, verbose=0, shuffle=False)
    stop = callbacks.LambdaCallback(on_epoch_end=lambda e, logs: setattr(stopped, "stop_training", True))
    swap = callbacks.SwapEMAWeights(swap_on_epoch=True)
    stopped.fit(X, Y, epochs=9, batch_size=8, verbose=0, shuffle=False, callbacks=[swap, stop])
    for a, b in zip(stopped.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_averages_must_be_there():
    model = build()
    with pytest.raises(ValueError, match="use_ema=True"):
        model.fit(X, Y, verbose=0, validation_data=(X, Y), callbacks=[callbacks.SwapEMAWeights()])


def events(folder: Any) -> dict[str, list[tuple[int, Any]]]:
    """What files hold, by tag; a record is a length, its checksum, the event, and that one's checksum."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    found: dict[str, list[tuple[int, Any]]] = {}
    for name in os.listdir(folder):
        data = (folder / name).read_bytes()
        while data:
            size = int.from_bytes(data[:8], "little")
            event = event_pb2.Event.FromString(data[12 : 12 + size])
            data = data[16 + size :]
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value))
    return found


@pytest.mark.parametrize("update_freq", ["epoch", "batch", 2])
def test_tensorboard(tmp_path, update_freq):
    pytest.importorskip("tensorboardX")
    model = build()
    arguments = {"histogram_freq": 1, "write_images": True, "write_steps_per_second": True}
    board = callbacks.TensorBoard(tmp_path, update_freq=update_freq, **arguments)
    data = {"validation_data": (X, Y), "batch_size": 8, "epochs": 2, "verbose": 0}
    history = model.fit(X, Y, callbacks=[board], **data).history
    train, validation = events(tmp_path / "train"), events(tmp_path / "validation")
    losses = [(s, pytest.approx(v.simple_value)) for s, v in train["epoch_loss"]]
    assert losses == list(enumerate(history["loss"]))
    losses = [(s, pytest.approx(v.simple_value)) for s, v in validation["epoch_loss"]]
    assert losses == list(enumerate(history["val_loss"]))
    assert [s for s, _ in validation["evaluation_loss_vs_iterations"]] == [3, 6]
    assert {"epoch_learning_rate", "epoch_steps_per_second", "keras"} <= set(train)
    batches = {"epoch": [], "batch": [1, 2, 3, 4, 5, 6], 2: [2, 4, 6]}[update_freq]
    assert [step for step, _ in train.get("batch_loss", [])] == batches
    assert [step for step, _ in train.get("batch_steps_per_second", [])] == batches
    kernel = model.layers[0].kernel
    assert [s for s, _ in train[f"{kernel.path}/histogram"]] == [0, 1]
    assert train[f"{kernel.path}/histogram"][0][1].histo.num == 32
    assert train[f"{kernel.path}/image"][0][1].image.width > 0
    assert json.loads(train["keras"][0][1].tensor.string_val[0])["class_name"] == "Sequential"


def test_remote_monitor():
    received = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            received.append((self.path, self.headers["Content-Type"], self.headers["X-Own"], body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    root = f"http://127.0.0.1:{server.server_port}"
    monitors = [
        callbacks.RemoteMonitor(root, headers={"X-Own": "1"}),
        callbacks.RemoteMonitor(root, path="/json", send_as_json=True),
    ]
    history = fit(build(), *monitors, epochs=1)
    server.shutdown()
    server.server_close()
    thread.join()
    form, plain = received
    expected = {"epoch": 0, "loss": history.history["loss"][0]}
    assert form[:3] == ("/publish/epoch/end/", "application/x-www-form-urlencoded", "1")
    assert json.loads(urllib.parse.parse_qs(form[3])["data"][0]) == pytest.approx(expected)
    assert plain[:3] == ("/json", "application/json", None) and json.loads(plain[3]) == pytest.approx(
        expected
    )
    with pytest.warns(UserWarning, match="could not reach"):
        fit(build(), callbacks.RemoteMonitor(root), epochs=1)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: callbacks.BackupAndRestore(""), "Empty `backup_dir`"),
        (lambda: callbacks.BackupAndRestore(None), "Empty `backup_dir`"),
        (lambda: callbacks.BackupAndRestore("x", save_freq="batch"), "save_freq.*'batch'"),
        (lambda: callbacks.BackupAndRestore("x", save_freq=0), "save_freq"),
        (lambda: callbacks.TensorBoard("x", profile_batch=2), "profile_batch.*profile"),
        (lambda: callbacks.TensorBoard("x", embeddings_freq=1), "embeddings_freq"),
        (lambda: callbacks.TensorBoard("x", update_freq=0), "update_freq"),
        (lambda: callbacks.RemoteMonitor("file:///x"), "root.*file"),
    ],
)
def test_errors(make, message):
    if "TensorBoard" in message:
        pytest.importorskip("tensorboardX")
    with pytest.raises(ValueError, match=message):
        make()


def test_what_is_not_installed_names_its_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"cnnrs\[tensorboard\]"):
        callbacks.TensorBoard("x")
    with pytest.raises(AttributeError, match="BackupAndRestore"):
        _ = callbacks.OrbaxCheckpoint
