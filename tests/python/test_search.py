"""Searches over settings: what is declared, what is tried, and what is kept."""

from __future__ import annotations

import json
import os
import signal

import photos
import pytest

import cnnrs
from cnnrs import runs
from cnnrs.runs.searching import Space, search
from cnnrs.runs.settings import SettingsError

SPACE = {
    "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    "optimizer": ["adamw", "sgd"],
    "batch_size": {"low": 4, "high": 12, "step": 4},
    "image_size": [[28, 28], [30, 30]],
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    folder = photos.write(tmp_path_factory.mktemp("data") / "photos", count=5, size=20)
    return runs.Settings(data=str(folder), model="lenet5", epochs=2)


def space(trials, **more):
    return Space.of_table({"trials": trials, "metric": "val_loss", "space": SPACE, **more})


def test_the_best_trial_becomes_the_run_of_the_folder(settings, tmp_path):
    lines = []
    found = search(settings, space(4), tmp_path, lines.append)
    assert len(lines) == len(found["trials"]) == 4
    assert found == json.loads((tmp_path / "search.json").read_text())
    done = [trial for trial in found["trials"] if trial["state"] == "complete"]
    best = min(done, key=lambda trial: trial["value"])
    assert best["number"] == found["best"] and f"trial {best['number']}: val_loss" in "".join(lines)
    kept = runs.Settings.load(tmp_path / "run.toml")
    assert kept.optimizer == best["settings"]["optimizer"] and kept.batch_size in (4, 8, 12)
    assert kept.learning_rate == best["settings"]["learning_rate"]
    assert str(kept.image_size) == best["settings"]["image_size"]
    assert kept.monitor == "loss"
    again = runs.train(kept, tmp_path / "again", progress=False)
    for name in ("model.keras", "last.keras"):
        assert (again.folder / name).read_bytes() == (tmp_path / name).read_bytes()
    # The models of the others are not kept.
    assert sum(1 for _ in (tmp_path / "trials").glob("*/model.keras")) == 1


def test_a_search_goes_on_where_it_stopped_and_so_does_its_trial(settings, tmp_path, monkeypatch):
    class Kill(cnnrs.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                os.kill(os.getpid(), signal.SIGINT)

    train = runs.searching.train
    calls = []

    def stopped(*args, callbacks, **kwargs):
        calls.append(args)
        return train(*args, callbacks=[*callbacks, Kill()] if len(calls) == 2 else callbacks, **kwargs)

    monkeypatch.setattr(runs.searching, "train", stopped)
    with pytest.raises(runs.Interrupted):
        search(settings, space(3, pruning=False), tmp_path, lambda line: None)
    assert runs.RunFolder(tmp_path / "trials" / "0001").is_resumable
    found = search(settings, space(3, pruning=False), tmp_path, lambda line: None)
    assert [trial["state"] for trial in found["trials"]] == ["complete"] * 3
    # The second trial was resumed, not begun again.
    assert len(calls) == 3
    more = search(settings, space(3), tmp_path, lambda line: pytest.fail("there is nothing left to try"))
    assert more["trials"] == found["trials"]
    other = Space.of_table({"space": {"optimizer": ["sgd", "adam"]}})
    with pytest.raises(ValueError, match="another space"):
        search(settings, other, tmp_path)


def test_a_trial_that_was_resumed_has_the_bits_of_one_that_was_not(settings, tmp_path, monkeypatch):
    """The only trial stops in the middle of its second epoch, and the search goes on with it."""

    class Kill(cnnrs.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.epoch = 0

        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_train_batch_end(self, batch, logs=None):
            if (self.epoch, batch) == (1, 0):
                os.kill(os.getpid(), signal.SIGINT)

    whole = search(settings, space(1), tmp_path / "whole", lambda line: None)
    train = runs.searching.train

    def stopped(*args, callbacks, **kwargs):
        return train(*args, callbacks=[*callbacks, Kill()], **kwargs)

    monkeypatch.setattr(runs.searching, "train", stopped)
    with pytest.raises(runs.Interrupted):
        search(settings, space(1), tmp_path / "again", lambda line: None)
    assert not (tmp_path / "again" / "model.keras").exists()
    monkeypatch.setattr(runs.searching, "train", lambda *_, **__: pytest.fail("the trial began anew"))
    lines = []
    found = search(settings, space(1), tmp_path / "again", lines.append)
    (one,), (other,) = whole["trials"], found["trials"]
    for key in ("settings", "value", "epochs", "state"):
        assert one[key] == other[key]
    assert len(other["epochs"]) == 2 and len(lines) == 1
    for name in ("model.keras", "last.keras", "predictions.npz"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    # The best run trains further, as any other.
    result = runs.resume(tmp_path / "again", progress=False, report=False, epochs=3)
    assert result.epochs == 3 and not list((tmp_path / "again" / "trials").glob("*/state"))


def test_a_folder_of_a_run_is_not_taken(settings, tmp_path):
    (tmp_path / "run.toml").write_text("")
    with pytest.raises(ValueError, match="holds a run, not a search"):
        search(settings, space(1), tmp_path)


def test_trials_that_fail_are_told(settings, tmp_path):
    lines = []
    wrong = Space.of_table({"space": {"model": ["resnet18"]}, "trials": 3})
    with pytest.raises(ValueError, match="3 trials failed; the last one: weights: expected none"):
        search(settings.changed(weights=str(tmp_path / "none.h5")), wrong, tmp_path, lines.append)
    assert all("failed: weights: " in line for line in lines[:2])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "[search.space]: expected settings"),
        ({"space": {}}, "[search.space]: expected settings"),
        ({"trails": 3, "space": SPACE}, "[search] has no 'trails'; did you mean 'trials'?"),
        ({"trials": 0, "space": SPACE}, "[search] trials: expected an integer >= 1, received 0"),
        ({"metric": "val_acc", "space": SPACE}, "metric: expected one of val_accuracy, val_loss"),
        ({"space": {"learning_rat": [1]}}, "[search.space] has no 'learning_rat'; did you mean"),
        ({"space": {"data": ["a", "b"]}}, "data: trials of different data cannot be compared"),
        ({"space": {"epochs": []}}, "epochs: expected at least one value"),
        ({"space": {"epochs": 3}}, "epochs: expected a list of values or a range, received 3"),
        ({"space": {"optimizer": ["sgd", "sgdd"]}}, "optimizer: expected one of"),
        ({"space": {"epochs": {"low": 3}}}, "epochs: expected low, high, and log or step"),
        ({"space": {"epochs": {"low": 3, "high": 3}}}, "epochs: expected low < high, received 3 and 3"),
        ({"space": {"mixup": {"low": 0, "high": 1, "log": True}}}, "mixup: log: expected low > 0"),
        ({"space": {"cutmix": {"low": 0, "high": 3}}}, "cutmix: expected a finite number >= 0 and"),
    ],
)
def test_wrong_spaces_are_named(table, message):
    with pytest.raises(SettingsError) as caught:
        Space.of_table(table)
    assert message in str(caught.value)
