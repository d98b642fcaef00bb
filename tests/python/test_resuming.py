"""Training that is interrupted in the middle of an epoch goes on with the same bits."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import warnings
from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import callbacks, layers, optimizers
from cnnrs.optimizers import ParameterGroup, norms_and_biases, schedules

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(104, 6, 6, 3)).astype("float32")
Y = (X.mean((1, 2)) @ RANDOM.normal(size=(3, 4))).argmax(1)


def build(optimizer: Any, **kwargs: Any) -> Any:
    cnnrs.utils.set_random_seed(1)
    model = cnnrs.Sequential(
        [
            cnnrs.Input((6, 6, 3)),
            layers.Conv2D(4, 3, activation="relu", name="stem"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4, activation="softmax", name="head"),
        ]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], **kwargs)
    return model


class Interrupt(callbacks.Callback):
    def __init__(self, epoch: int, batch: int):
        super().__init__()
        self.at, self.epoch = (epoch, batch), 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if (self.epoch, batch) == self.at:
            raise KeyboardInterrupt


def groups() -> list[Any]:
    return [
        ParameterGroup(norms_and_biases, weight_decay=0.0),
        ParameterGroup("stem", learning_rate_multiplier=0.3),
    ]


OPTIMIZERS = {
    "sam": lambda: optimizers.SAM(optimizers.SGD(0.1, momentum=0.9)),
    "lookahead": lambda: optimizers.Lookahead(optimizers.Adam(0.01), sync_period=3),
    "groups": lambda: optimizers.AdamW(
        schedules.WarmupCosine(0.05, warmup_epochs=1), weight_decay=0.05, parameter_groups=groups()
    ),
    "ema": lambda: optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9),
    "scaled": lambda: optimizers.LossScaleOptimizer(optimizers.Lookahead(optimizers.SAM("adam"))),
    "lars": lambda: optimizers.LARS(schedules.OneCycle(1.0), weight_decay=1e-3),
}
CALLBACKS = {
    "none": list,
    "plateau": lambda: [
        callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=0.05, factor=0.5),
        callbacks.EarlyStopping("loss", patience=2, min_delta=0.03, restore_best_weights=True),
    ],
    "swa": lambda: [callbacks.StochasticWeightAveraging(1)],
    "ema": lambda: [callbacks.SwapEMAWeights(True)],
}
DATA = {
    "arrays": lambda: {"x": X, "y": Y, "batch_size": 16},
    "dataset": lambda: {"x": cnnrs.data.Dataset.from_tensor_slices((X, Y)).batch(16)},
    # A pass has two epochs, so that one of them begins in its middle.
    "parts": lambda: {"x": X[:96], "y": Y[:96], "batch_size": 16, "steps_per_epoch": 3},
    "ordered": lambda: {"x": X, "y": Y, "batch_size": 16, "shuffle": False},
}


def fit(model: Any, data: str, kind: str, *others: Any) -> Any:
    arguments = {"epochs": 5, "validation_data": (X[:20], Y[:20]), "verbose": 0, **DATA[data]()}
    return model.fit(callbacks=[*others, *CALLBACKS[kind]()], **arguments)


@pytest.mark.parametrize(
    ("optimizer", "kind", "data", "eagerly", "at", "save_freq"),
    [
        ("sam", "none", "arrays", False, (2, 3), 2),
        ("lookahead", "plateau", "arrays", False, (1, 4), 3),
        ("groups", "swa", "arrays", False, (3, 2), 1),
        ("ema", "ema", "arrays", False, (2, 6), 7),
        ("ema", "ema", "ordered", False, (2, 1), 7),
        ("scaled", "none", "arrays", False, (0, 5), 2),
        ("lars", "swa", "dataset", False, (2, 3), 2),
        ("sam", "plateau", "parts", False, (1, 2), 2),
        ("lookahead", "none", "arrays", True, (1, 3), 2),
        ("groups", "none", "dataset", False, (1, 6), 7),
    ],
)
def test_an_interrupted_epoch_goes_on(
    tmp_path: Any, optimizer: str, kind: str, data: str, eagerly: bool, at: Any, save_freq: int
) -> None:
    make = OPTIMIZERS[optimizer]
    whole = build(make(), run_eagerly=eagerly)
    history = fit(whole, data, kind)
    with pytest.raises(KeyboardInterrupt):
        first = build(make(), run_eagerly=eagerly)
        backup = callbacks.BackupAndRestore(tmp_path / "backup", save_freq=save_freq)
        fit(first, data, kind, backup, Interrupt(*at))
    second = build(make(), run_eagerly=eagerly)
    second.set_weights([np.zeros_like(w) for w in second.get_weights()])
    cnnrs.utils.set_random_seed(99)
    backup = callbacks.BackupAndRestore(tmp_path / "backup", save_freq=save_freq)
    rest = fit(second, data, kind, backup)
    for a, b in zip(whole.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert rest.epoch == history.epoch
    assert rest.history == history.history


@pytest.mark.parametrize(("at", "save_freq"), [((2, 1), "epoch"), ((2, 1), 4), ((0, 2), 2)])
@pytest.mark.parametrize("append", [False, True])
def test_a_file_of_logs_has_each_epoch_once(tmp_path: Any, at: Any, save_freq: Any, append: bool) -> None:
    def log(name: str) -> Any:
        if append and not (tmp_path / name).exists():
            (tmp_path / name).write_text("epoch,loss\n7,0.5\n")
        return callbacks.CSVLogger(tmp_path / name, append=append)

    def backup() -> Any:
        return callbacks.BackupAndRestore(tmp_path / "backup", save_freq=save_freq)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a file that is continued has no columns for the others
        fit(build("sgd"), "arrays", "none", log("whole.csv"))
        interrupted = log("parts.csv")
        with pytest.raises(KeyboardInterrupt):
            fit(build("sgd"), "arrays", "none", interrupted, backup(), Interrupt(*at))
        interrupted._file.close()
        (tmp_path / "parts.csv").open("a").write("an epoch that was not kept\n")
        fit(build("sgd"), "arrays", "none", log("parts.csv"), backup())
    assert (tmp_path / "parts.csv").read_text() == (tmp_path / "whole.csv").read_text()


@pytest.mark.parametrize("at", [(1, 3), (2, 0)])
@pytest.mark.parametrize("several", [False, True])
def test_batches_are_mixed_as_without_an_interruption(tmp_path: Any, at: Any, several: bool) -> None:
    def mixers(seed: int) -> Any:
        found = [layers.MixUp(0.8, seed=seed), layers.CutMix(seed=seed + 1)]
        return found if several else found[0]

    def trained(seed: int, *others: Any) -> Any:
        model = build("adam")
        arguments: dict[str, Any] = {"epochs": 3, "batch_size": 16, "verbose": 0}
        model.fit(X, Y, callbacks=list(others), batch_augmentation=mixers(seed), **arguments)
        return model.get_weights()

    whole = trained(5)
    with pytest.raises(KeyboardInterrupt):
        trained(5, callbacks.BackupAndRestore(tmp_path / "backup", save_freq=2), Interrupt(*at))
    for a, b in zip(whole, trained(6, callbacks.BackupAndRestore(tmp_path / "backup", 2)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_number_of_mixing_layers_is_an_error(tmp_path: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        backup = callbacks.BackupAndRestore(tmp_path, save_freq=1)
        build("sgd").fit(
            X, Y, verbose=0, callbacks=[backup, Interrupt(0, 2)], batch_augmentation=layers.MixUp()
        )
    with pytest.raises(ValueError, match="batch_augmentation: expected 1 layers, as when .* received 0"):
        build("sgd").fit(X, Y, verbose=0, callbacks=[callbacks.BackupAndRestore(tmp_path, save_freq=1)])


SCRIPT = """
import os, signal, sys
import numpy as np
import cnnrs
from cnnrs import callbacks, layers, optimizers
cnnrs.utils.set_random_seed(3)
x = np.random.default_rng(0).normal(size=(96, 8)).astype("float32")
model = cnnrs.Sequential([cnnrs.Input((8,)), layers.Dense(16, "relu"), layers.Dropout(0.5), layers.Dense(1)])
rate = optimizers.schedules.WarmupCosine(0.05, warmup_epochs=1)
model.compile(optimizers.Lookahead(optimizers.SAM(optimizers.SGD(rate, momentum=0.9))), "mse")

class Kill(callbacks.Callback):
    seen = 0
    def on_train_batch_end(self, batch, logs=None):
        self.seen += 1
        if self.seen == 17:
            os.kill(os.getpid(), signal.SIGKILL)

backup = [callbacks.BackupAndRestore(sys.argv[1], save_freq=2)] if sys.argv[1] != "-" else []
kill = [Kill()] if sys.argv[3] == "kill" else []
model.fit(x, x.sum(1), batch_size=8, epochs=3, verbose=0, callbacks=[*backup, *kill])
model.save_weights(sys.argv[2])
"""


def test_a_process_that_is_killed_goes_on_in_another(tmp_path: Any) -> None:
    def run(folder: str, weights: str, end: str) -> int:
        command = [sys.executable, "-c", textwrap.dedent(SCRIPT), folder, str(tmp_path / weights), end]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        return subprocess.run(command, env=environment, check=False).returncode

    assert run("-", "whole.weights.h5", "end") == 0
    assert run(str(tmp_path / "backup"), "first.weights.h5", "kill") < 0
    assert run(str(tmp_path / "backup"), "second.weights.h5", "end") == 0
    models = []
    for name in ("whole", "second"):
        model = cnnrs.Sequential(
            [cnnrs.Input((8,)), layers.Dense(16, "relu"), layers.Dropout(0.5), layers.Dense(1)]
        )
        model.load_weights(tmp_path / f"{name}.weights.h5")
        models.append(model.get_weights())
    for a, b in zip(*models, strict=True):
        np.testing.assert_array_equal(a, b)


def test_other_metrics_are_an_error(tmp_path: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        backup = callbacks.BackupAndRestore(tmp_path, save_freq=1)
        fit(build("sgd"), "arrays", "none", backup, Interrupt(0, 2))
    other = build("sgd")
    other.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="variables of metrics.*compile with the same metrics"):
        fit(other, "arrays", "none", callbacks.BackupAndRestore(tmp_path, save_freq=1))
