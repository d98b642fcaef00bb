"""Callbacks: their hooks, their order, what they print, write and change."""

from __future__ import annotations

import csv
import errno
import os
import re
import stat
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import callbacks, layers, optimizers, utils

X = np.random.default_rng(1).normal(size=(20, 3)).astype(np.float32)
Y = X.sum(1, keepdims=True)


HOOKS = [
    *(f"on_{kind}_{end}" for kind in ("train", "test", "predict") for end in ("begin", "end")),
    *(f"on_{kind}_batch_{end}" for kind in ("train", "test", "predict") for end in ("begin", "end")),
    *("on_epoch_begin", "on_epoch_end", "on_batch_begin", "on_batch_end"),
]


def recorder(form: str, calls: list[Any]) -> Any:
    """A callback whose hooks take logs in a certain form: required, by keyword only, by another name."""

    class Recorder(callbacks.Callback):
        pass

    def record(name, index, logs):
        calls.append((name, *index, sorted(logs)))

    for name in HOOKS:
        if "epoch" in name or "batch" in name:
            hook: Any = {
                "required": lambda self, i, logs, name=name: record(name, [i], logs),
                "keyword": lambda self, i, *, logs, name=name: record(name, [i], logs),
                "other": lambda self, i, values, name=name: record(name, [i], values),
            }[form]
        else:
            hook = {
                "required": lambda self, logs, name=name: record(name, [], logs),
                "keyword": lambda self, *, logs, name=name: record(name, [], logs),
                "other": lambda self, values, name=name: record(name, [], values),
            }[form]
        setattr(Recorder, name, hook)
    return Recorder()


def build(rate: float = 0.01) -> Any:
    model = cnnrs.Sequential([cnnrs.Input((3,)), layers.Dense(1)])
    model.compile(optimizers.SGD(rate), "mse", metrics=["mae"])
    return model


class Scripted(callbacks.Callback):
    """Puts given values into the logs of each epoch, before the callbacks that come later."""

    def __init__(self, **values: Any):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs.update({name: values[epoch] for name, values in self.values.items()})


def fit(*given: Any, epochs: int = 5, model: Any = None, **arguments: Any) -> Any:
    model = model or build()
    return model.fit(X, Y, epochs=epochs, verbose=0, callbacks=list(given), **arguments)


@pytest.mark.parametrize("form", ["required", "keyword", "other"])
def test_hooks_receive_logs(form):
    # What Keras gives.
    calls: list[Any] = []
    model, values = build(), ["loss", "mae"]
    model.fit(X, Y, batch_size=10, validation_data=(X, Y), callbacks=[recorder(form, calls)], verbose=0)
    test = [("on_test_begin", [])]
    for batch in (0, 1):
        test += [("on_test_batch_begin", batch, []), ("on_test_batch_end", batch, values)]
    test.append(("on_test_end", values))
    expected: list[Any] = [("on_train_begin", []), ("on_epoch_begin", 0, [])]
    for batch in (0, 1):
        expected += [("on_train_batch_begin", batch, []), ("on_train_batch_end", batch, values)]
    both = ["loss", "mae", "val_loss", "val_mae"]
    assert calls == [*expected, *test, ("on_epoch_end", 0, both), ("on_train_end", both)]
    calls.clear()
    model.evaluate(X, Y, batch_size=10, callbacks=[recorder(form, calls)], verbose=0)
    assert calls == test
    calls.clear()
    model.predict(X, callbacks=[recorder(form, calls)], verbose=0)
    assert calls == [
        ("on_predict_begin", []),
        ("on_predict_batch_begin", 0, []),
        ("on_predict_batch_end", 0, ["outputs"]),
        ("on_predict_end", []),
    ]


def test_hooks_may_leave_logs_out():
    calls = []

    class Short(callbacks.Callback):
        def on_train_begin(self):
            calls.append("begin")

        def on_epoch_begin(self, epoch):
            calls.append(epoch)

        def on_train_batch_end(self, *args):
            calls.append(len(args))

    fit(Short(), callbacks.LambdaCallback(on_epoch_end=lambda epoch: calls.append("end")), epochs=1)
    assert calls == ["begin", 0, 2, "end"]


def test_a_list_of_callbacks_by_hand():
    calls: list[Any] = []
    given = callbacks.CallbackList([recorder("required", calls)], model=build(), epochs=1)
    given.on_train_begin()
    given.on_epoch_begin(3, logs={"a": 1})
    given.on_train_batch_begin(2, {"b": 1})
    assert calls == [("on_train_begin", []), ("on_epoch_begin", 3, ["a"]), ("on_train_batch_begin", 2, ["b"])]
    with pytest.raises(TypeError, match="on_epoch_end"):
        callbacks.CallbackList([Wrong()]).on_epoch_end(0)


class Wrong(callbacks.Callback):
    def on_epoch_end(self):  # type: ignore[override]
        pass


def test_hooks_come_in_order():
    calls: list[str] = []

    class Recorder(callbacks.Callback):
        pass

    def hook(name):
        def call(self, *args, **kwargs):
            calls.append(name)

        return call

    for name in dir(callbacks.Callback):
        if name.startswith("on_") and name not in ("on_batch_begin", "on_batch_end"):
            setattr(Recorder, name, hook(name))
    fit(Recorder(), epochs=1, batch_size=10, validation_data=(X, Y))
    batch = ["on_train_batch_begin", "on_train_batch_end"]
    test = ["on_test_begin", *["on_test_batch_begin", "on_test_batch_end"] * 2, "on_test_end"]
    assert calls == ["on_train_begin", "on_epoch_begin", *batch * 2, *test, "on_epoch_end", "on_train_end"]
    calls.clear()
    build().predict(X, batch_size=10, verbose=0, callbacks=[Recorder()])
    assert calls == [
        "on_predict_begin",
        *["on_predict_batch_begin", "on_predict_batch_end"] * 2,
        "on_predict_end",
    ]


def test_batch_hooks_see_running_logs():
    seen = []
    callback = callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append((batch, logs["loss"]))
    )
    history = fit(callback, epochs=1, batch_size=5)
    assert [batch for batch, _ in seen] == [0, 1, 2, 3]
    assert seen[-1][1] == history.history["loss"][0]


def test_only_batch_hooks_cost_batches():
    def asks(*given):
        return callbacks.CallbackList(
            list(given), add_history=True, add_progbar=True, verbose=1
        ).has_batch_hooks

    assert not asks()
    assert not asks(callbacks.EarlyStopping(), callbacks.ReduceLROnPlateau())
    assert not asks(callbacks.ModelCheckpoint("m.safetensors"))
    assert asks(callbacks.ModelCheckpoint("m.safetensors", save_freq=2))
    assert asks(callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None))


@pytest.mark.parametrize("base", [callbacks.History, callbacks.ProgbarLogger])
def test_batch_hooks_of_a_subclass_are_called(base):
    class Watching(base):
        batches = 0

        def on_train_batch_end(self, batch, logs=None):
            self.batches += 1

    watching = Watching()
    fit(watching, epochs=1, batch_size=5)
    assert watching.batches == 4


def test_history():
    history = fit(epochs=3, validation_split=0.25)
    assert history.epoch == [0, 1, 2]
    assert set(history.history) == {"loss", "mae", "val_loss", "val_mae"}
    assert all(len(values) == 3 and isinstance(values[0], float) for values in history.history.values())
    assert history.params["epochs"] == 3
    utils.set_random_seed(17)
    assert fit(epochs=1).params["seed"] == 17


def test_stop_training_stops():
    def stop(epoch, logs):
        if epoch == 1:
            model.stop_training = True

    model = build()
    assert fit(callbacks.LambdaCallback(on_epoch_end=stop), model=model).epoch == [0, 1]


@pytest.mark.parametrize(
    ("values", "arguments", "last"),
    [
        ([3, 2, 2.5, 2.5, 2.5], {"patience": 2}, 3),
        ([3, 2, 2.5, 1, 1], {"patience": 2}, 4),
        ([3, 2.9, 2.8, 2.7, 2.6], {"patience": 1, "min_delta": 0.5}, 1),
        ([1, 2, 3, 2, 2], {"patience": 2, "mode": "max"}, 4),
        ([3, 3, 3, 3, 3], {"patience": 1, "start_from_epoch": 2}, 3),
        ([3, 2.5, 2.6, 2.6, 2.6], {"patience": 2, "baseline": 1.0}, 2),
    ],
)
def test_early_stopping(values, arguments, last):
    stopper = callbacks.EarlyStopping(monitor="own_loss", **arguments)
    assert fit(Scripted(own_loss=values), stopper).epoch[-1] == last


def test_early_stopping_restores_the_best(capsys):
    model = build(0.05)
    kept = {}
    keep = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: kept.update({epoch: model.get_weights()})
    )
    stopper = callbacks.EarlyStopping(monitor="own_loss", patience=2, restore_best_weights=True, verbose=1)
    fit(Scripted(own_loss=[3, 1, 2, 2, 2]), keep, stopper, model=model)
    np.testing.assert_array_equal(model.get_weights()[0], kept[1][0])
    assert (kept[1][0] != kept[3][0]).any()
    output = capsys.readouterr().out
    assert "Epoch 4: early stopping" in output and "best epoch: 2" in output


def test_an_unknown_log_is_a_warning():
    with pytest.warns(UserWarning, match="'val_loss'.*loss"):
        fit(callbacks.EarlyStopping(), epochs=1)


@pytest.mark.parametrize(
    ("arguments", "rates"),
    [
        ({"patience": 1, "factor": 0.5}, [0.01, 0.01, 0.005, 0.0025, 0.00125]),
        ({"patience": 2, "factor": 0.5}, [0.01, 0.01, 0.01, 0.005, 0.005]),
        ({"patience": 1, "factor": 0.5, "cooldown": 2}, [0.01, 0.01, 0.005, 0.005, 0.0025]),
        ({"patience": 1, "factor": 0.1, "min_lr": 0.004}, [0.01, 0.01, 0.004, 0.004, 0.004]),
    ],
)
def test_reduce_on_plateau(arguments, rates):
    reducer = callbacks.ReduceLROnPlateau(monitor="own_loss", **arguments)
    history = fit(Scripted(own_loss=[1] * 5), reducer)
    assert history.history["learning_rate"] == pytest.approx(rates, rel=1e-6)


@pytest.mark.parametrize(
    "schedule",
    [lambda epoch: 0.1 / (epoch + 1), lambda epoch, rate: 0.1 if epoch == 0 else rate * epoch / (epoch + 1)],
)
def test_learning_rate_scheduler(schedule):
    model = build()
    history = fit(callbacks.LearningRateScheduler(schedule), model=model, epochs=3)
    assert history.history["learning_rate"] == pytest.approx([0.1, 0.05, 0.1 / 3], rel=1e-5)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1 / 3, rel=1e-5)


def test_the_scheduled_rate_is_the_one_used():
    model = build()
    before = model.get_weights()
    fit(callbacks.LearningRateScheduler(lambda epoch: 0.0), model=model, epochs=2)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_checkpoints(tmp_path):
    pattern = str(tmp_path / "new" / "m-{epoch:02d}-{own_loss:.1f}.safetensors")
    fit(Scripted(own_loss=[3, 2, 2]), callbacks.ModelCheckpoint(pattern), epochs=3)
    assert sorted(os.listdir(tmp_path / "new")) == [
        "m-01-3.0.safetensors",
        "m-02-2.0.safetensors",
        "m-03-2.0.safetensors",
    ]


def test_best_checkpoint(tmp_path):
    path = str(tmp_path / "m.safetensors")
    model = build()
    kept = {}
    keep = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: kept.update({epoch: model.get_weights()})
    )
    saver = callbacks.ModelCheckpoint(path, monitor="val_accuracy", save_best_only=True)
    fit(Scripted(val_accuracy=[0.5, 0.9, 0.8]), keep, saver, model=model, epochs=3)
    np.testing.assert_array_equal(cnnrs.models.load_model(path).get_weights()[0], kept[1][0])


def test_checkpoint_of_weights_by_batches(tmp_path):
    path = str(tmp_path / "{epoch}-{batch}.weights.safetensors")
    fit(callbacks.ModelCheckpoint(path, save_weights_only=True, save_freq=2), epochs=1, batch_size=5)
    assert sorted(os.listdir(tmp_path)) == ["1-2.weights.safetensors", "1-4.weights.safetensors"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filepath": "m.ckpt"}, r"\.keras.*\.safetensors"),
        ({"filepath": "m.weights.safetensors"}, "save_weights"),
        ({"filepath": "m.safetensors", "save_weights_only": True}, r"\.weights\.safetensors"),
        ({"filepath": "m.safetensors", "mode": "best"}, "mode.*'best'"),
        ({"filepath": "m.safetensors", "save_freq": "batch"}, "save_freq.*'batch'"),
    ],
)
def test_checkpoints_are_checked_before_training(arguments, message):
    with pytest.raises(ValueError, match=message):
        callbacks.ModelCheckpoint(**arguments)


def test_csv(tmp_path):
    path = tmp_path / "log.csv"
    history = fit(callbacks.CSVLogger(str(path)), epochs=2)
    fit(callbacks.CSVLogger(str(path), append=True), epochs=1)
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["0", "1", "0"]
    assert float(rows[1]["loss"]) == history.history["loss"][1]
    fit(callbacks.CSVLogger(str(path), separator=";"), epochs=1)
    assert path.read_text().splitlines()[0] == "epoch;loss;mae"


@pytest.mark.parametrize("frequency", [1, 2, 3, [2, 4]])
def test_csv_has_columns_of_a_validation_that_comes_later(tmp_path, frequency):
    path = tmp_path / "log.csv"
    log = callbacks.CSVLogger(str(path))
    history = fit(log, epochs=4, validation_data=(X, Y), validation_freq=frequency)
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert list(rows[0]) == ["epoch", "loss", "mae", "val_loss", "val_mae"]
    values = [row["val_loss"] for row in rows]
    due = frequency if isinstance(frequency, list) else range(frequency, 5, frequency)
    assert [i + 1 for i, value in enumerate(values) if value != "NA"] == list(due)
    assert [float(v) for v in values if v != "NA"] == history.history["val_loss"]


def test_csv_keeps_the_columns_of_a_file_that_it_continues(tmp_path):
    path = tmp_path / "log.csv"
    fit(callbacks.CSVLogger(str(path)), epochs=1, validation_data=(X, Y))
    fit(Scripted(extra=[1.0]), callbacks.CSVLogger(str(tmp_path / "b.csv")), epochs=1)
    with pytest.warns(UserWarning, match=r"log.csv' has no columns for \['extra'\]"):
        fit(Scripted(extra=[1.0, 2.0]), callbacks.CSVLogger(str(path), append=True), epochs=2)
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["val_loss"] == "NA" for row in rows] == [False, True, True]
    assert all(0 <= float(row["mae"]) for row in rows) and None not in rows[1]


@pytest.mark.parametrize("weights", [False, True])
def test_a_checkpoint_without_its_log_is_saved(tmp_path, weights):
    path = str(tmp_path / ("{epoch}.weights.safetensors" if weights else "{epoch}.safetensors"))
    saver = callbacks.ModelCheckpoint(path, monitor="unknown", save_best_only=True, save_weights_only=weights)
    with pytest.warns(UserWarning, match="'unknown' is not among the logs"):
        fit(saver, epochs=2)
    assert len(os.listdir(tmp_path)) == 2
    # A log that comes later counts from then on.
    late = callbacks.ModelCheckpoint(
        str(tmp_path / "late{epoch}.safetensors"), "val_loss", save_best_only=True
    )
    with pytest.warns(UserWarning, match="'val_loss' is not among the logs"):
        fit(late, epochs=4, validation_data=(X, Y), validation_freq=2)
    assert late.best < np.inf


class _Stop(callbacks.Callback):
    """Sets an attribute of the model at the end of batch 1 of a phase."""

    def __init__(self, phase: str, attribute: str):
        super().__init__()
        self.attribute, self.seen = attribute, 0
        setattr(self, f"on_{phase}_batch_end", self._stop)

    def _stop(self, batch, logs=None):
        self.seen += 1
        if batch == 1:
            setattr(self.model, self.attribute, True)


def _endless(asked: list[int], targets: bool) -> Any:
    while True:
        asked[0] += 1
        yield (X[:2], Y[:2]) if targets else X[:2]


@pytest.mark.parametrize("endless", [False, True])
@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize("phase", ["train", "test", "predict"])
def test_every_phase_can_be_stopped(phase, eagerly, endless):
    model = build()
    model.compile("sgd", "mse", run_eagerly=eagerly)
    attribute = {"train": "stop_training", "test": "stop_evaluating", "predict": "stop_predicting"}[phase]
    method = {"train": model.fit, "test": model.evaluate, "predict": model.predict}[phase]
    asked = [0]
    for _ in range(2):
        # The second call starts afresh.
        stop = _Stop(phase, attribute)
        given = (_endless(asked, phase != "predict"),) if endless else (X, Y) if phase != "predict" else (X,)
        size = {} if endless else {"batch_size": 2}
        result = method(*given, verbose=0, callbacks=[stop], **size)
        assert stop.seen == 2
        if phase == "predict":
            assert len(result) == 4
    if endless:
        # No batch is asked for that nobody runs. What a first batch is looked at for is not counted.
        assert asked[0] <= 2 * (2 + (phase == "predict"))


def test_evaluation_inside_of_fit_can_be_stopped():
    stop = _Stop("test", "stop_evaluating")
    history = fit(stop, epochs=2, validation_data=(X, Y), validation_batch_size=2)
    assert stop.seen == 4 and len(history.history["val_loss"]) == 2


@pytest.mark.filterwarnings("ignore:.*NaN")
def test_terminate_on_nan(capsys):
    y = Y.copy()
    y[7] = np.nan
    model = build()
    history = model.fit(
        X, y, batch_size=5, epochs=3, shuffle=False, verbose=0, callbacks=[callbacks.TerminateOnNaN()]
    )
    assert history.epoch == [0]
    assert "Batch 1: Invalid loss" in capsys.readouterr().out
    with pytest.raises(RuntimeError, match="batch 1"):
        model = build()
        model.fit(
            X,
            y,
            batch_size=5,
            shuffle=False,
            verbose=0,
            callbacks=[callbacks.TerminateOnNaN(raise_error=True)],
        )


def test_a_wrong_object_is_named():
    with pytest.raises(TypeError, match="callbacks.*str"):
        fit("early")


def test_what_a_line_per_epoch_looks_like(capsys):
    build().fit(X, Y, batch_size=5, epochs=2, verbose=2, validation_data=(X, Y))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Epoch 1/2"
    values = " - ".join(rf"{name}: \d\.\d{{4}}" for name in ("loss", "mae", "val_loss", "val_mae"))
    assert re.fullmatch(rf"4/4 - \d+s - \d+(ms|us|s)/step - {values}", lines[1])
    assert lines[2] == "Epoch 2/2" and len(lines) == 4


def test_what_the_bar_looks_like(capsys):
    build().fit(X, Y, batch_size=5, epochs=1, verbose=1, validation_split=0.5)
    output = capsys.readouterr().out
    assert output.count("\n") == 1
    last = output.rstrip("\n").split("\r")[-1]
    assert re.match(r"2/2 \S{20,22} \d+s \d+(ms|us|s)/step - loss: \d", last)
    assert "val_mae: " in last and output.endswith("\n")


def test_silence(capsys):
    fit(epochs=2)
    assert capsys.readouterr().out == ""


def test_progress_bar_alone(capsys):
    bar = utils.Progbar(3, verbose=1, interval=0)
    for i in range(3):
        bar.update(i + 1, [("loss", 0.5 / (i + 1))])
    output = capsys.readouterr().out
    assert output.count("\r") >= 3 and "3/3" in output and output.endswith("\n")
    unknown = utils.Progbar(None, verbose=1, interval=0)
    unknown.add(4, [("loss", 1e-5)])
    assert "4/Unknown" in capsys.readouterr().out


def test_a_process_without_standard_output_trains(monkeypatch):
    """As under `pythonw`, and in services that close it."""
    monkeypatch.setattr("sys.stdout", None)
    model = build()
    for verbose in (0, 1, 2, "auto"):
        model.fit(X, Y, epochs=2, verbose=verbose, callbacks=[callbacks.EarlyStopping("loss", verbose=1)])
        model.evaluate(X, Y, verbose=verbose)
        model.predict(X, verbose=verbose)
    model.summary()
    utils.Progbar(3).update(3, [("loss", 1.0)])


def test_a_plain_object_as_standard_output(monkeypatch):
    class Lines:
        def __init__(self):
            self.text = ""

        def write(self, text):
            self.text += text

        def flush(self):
            pass

    lines = Lines()
    monkeypatch.setattr("sys.stdout", lines)
    build().fit(X, Y, verbose=1)
    assert "loss:" in lines.text and lines.text.endswith("\n")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("{epoch.safetensors", "ModelCheckpoint: filepath"),
        ("a\0.safetensors", "NUL"),
        ("none/pipe.safetensors", "a FIFO"),
    ],
)
def test_paths_of_checkpoints_are_checked_at_once(tmp_path, name, message):
    (tmp_path / "none").mkdir()
    os.mkfifo(tmp_path / "none" / "pipe.safetensors")
    with pytest.raises((OSError, ValueError), match=message):
        callbacks.ModelCheckpoint(f"{tmp_path}/{name}")
    assert os.listdir(tmp_path) == ["none"]


def test_fields_of_checkpoints_that_cannot_be_filled(tmp_path):
    for name in ("{}", "{epoch:zz}", "{epoch[0]}", "{epoch.name}"):
        save = callbacks.ModelCheckpoint(f"{tmp_path}/{name}.safetensors")
        with pytest.raises(ValueError, match="ModelCheckpoint: filepath: "):
            build().fit(X, Y, verbose=0, callbacks=[save])
    with pytest.raises(ValueError, match="save_freq"):
        callbacks.ModelCheckpoint(f"{tmp_path}/m.safetensors", save_freq=0)


def test_paths_of_bytes(tmp_path):
    path = os.fsencode(tmp_path)
    save = callbacks.ModelCheckpoint(path + b"/{epoch}.safetensors")
    log = callbacks.CSVLogger(path + b"/log.csv")
    build().fit(X, Y, verbose=0, callbacks=[save, log])
    assert sorted(os.listdir(tmp_path)) == ["1.safetensors", "log.csv"]
    with pytest.raises(ValueError, match="CSVLogger: .*NUL"):
        callbacks.CSVLogger("a\0.csv")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a full device of Linux")
def test_csv_logger_names_the_file_that_it_cannot_write():
    with pytest.raises(OSError, match="CSVLogger: No space left") as caught:
        fit(callbacks.CSVLogger("/dev/full"), epochs=1)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, "/dev/full")
    fit(callbacks.CSVLogger("/dev/null"), epochs=1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
@pytest.mark.parametrize("append", [False, True])
def test_csv_logger_does_not_wait_for_the_reader_of_a_pipe(tmp_path, append):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="CSVLogger: a FIFO that nobody reads") as caught:
        fit(callbacks.CSVLogger(pipe, append=append), epochs=1)
    assert caught.value.filename == str(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        fit(callbacks.CSVLogger(pipe, append=append), epochs=2)
        assert os.read(reading, 1000).decode().split(",")[0] == "epoch"
    finally:
        os.close(reading)


def test_csv_logger_refuses_block_devices(tmp_path, monkeypatch):
    monkeypatch.setattr(stat, "S_ISBLK", lambda mode: True)
    with pytest.raises(OSError, match="a block device") as caught:
        fit(callbacks.CSVLogger(tmp_path / "disk"), epochs=1)
    assert caught.value.filename == str(tmp_path / "disk")


@pytest.mark.skipif(os.name != "posix", reason="standard output as a file")
def test_csv_logger_writes_to_standard_output():
    program = """
import numpy as np
import cnnrs
model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
model.compile("sgd", "mse")
log = cnnrs.callbacks.CSVLogger("/dev/stdout")
model.fit(np.ones((4, 2)), np.ones(4), epochs=2, verbose=0, callbacks=[log])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert [line.split(",")[0] for line in done.stdout.split()] == ["epoch", "0", "1"]
