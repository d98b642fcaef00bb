"""Runs: settings, folders, and the same bits again."""

from __future__ import annotations

import csv
import json

import numpy as np
import photos
import pytest

import cnnrs
from cnnrs import runs
from cnnrs.runs import toml
from cnnrs.runs.data import Folder, ImageBatches, split_indices
from cnnrs.runs.inference import Classifier, image_paths
from cnnrs.runs.settings import SETTINGS, SettingsError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return photos.write(tmp_path_factory.mktemp("data") / "photos")


def settings(folder, **more):
    given = {"model": "lenet5", "epochs": 2, "batch_size": 6, "seed": 5, **more}
    return runs.Settings(data=str(folder), **given)


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    """A run of two epochs."""
    out = tmp_path_factory.mktemp("runs") / "run"
    return runs.train(settings(folder), out, progress=False)


def test_a_run_writes_its_folder(run, folder):
    names = {path.name for path in run.folder.iterdir()}
    assert names >= {
        "run.toml", "model.keras", "last.keras", "history.csv", "environment.json", "evaluation.json",
        "predictions.npz",
    }  # fmt: skip
    assert "snapshot" not in names
    with open(run.folder / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"} <= set(rows[0])
    environment = json.loads((run.folder / "environment.json").read_text())
    assert environment["seed"] == 5 and environment["images"] == {"training": 18, "validation": 6}
    evaluation = json.loads((run.folder / "evaluation.json").read_text())
    assert evaluation["accuracy"] == run.metrics["accuracy"]
    predictions = np.load(run.folder / "predictions.npz")
    assert predictions["scores"].shape == (6, 3) and list(predictions["class_names"]) == list(photos.CLASSES)
    assert all(str(folder) in path for path in predictions["paths"])


def test_the_file_of_a_run_repeats_it_bit_for_bit(run, tmp_path):
    again = runs.train(runs.Settings.load(run.folder / "run.toml"), tmp_path / "again", progress=False)
    for name in ("last.keras", "model.keras", "run.toml", "predictions.npz"):
        assert (again.folder / name).read_bytes() == (run.folder / name).read_bytes(), name


def test_the_file_says_all_settings_and_what_data_it_had(run):
    kept = runs.Settings.load(run.folder / "run.toml")
    unsaid = {name for name in SETTINGS if getattr(kept, name) is None}
    assert unsaid == {"validation", "workers", "swa_start", "device"}
    assert kept.class_names == list(photos.CLASSES) and len(kept.data_hash) == 64


def test_other_data_are_not_taken_for_those_of_the_file(run, tmp_path):
    other = photos.write(tmp_path / "other", count=9)
    kept = runs.Settings.load(run.folder / "run.toml").changed(data=str(other))
    with pytest.raises(SettingsError, match="does not hold the images of the run"):
        runs.train(kept, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_the_number_of_threads_does_not_change_a_bit(run, folder, tmp_path):
    for workers in (1, 5):
        again = runs.train(settings(folder, workers=workers), tmp_path / str(workers), progress=False)
        assert (again.folder / "last.keras").read_bytes() == (run.folder / "last.keras").read_bytes()


class Stop(cnnrs.callbacks.Callback):
    """Stops a run within an epoch, as a signal does."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.epoch, self.batch, self.now = epoch, batch, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.now, batch) == (self.epoch, self.batch):
            import os
            import signal

            os.kill(os.getpid(), signal.SIGINT)


AVERAGED = {
    "recipe": "imagenet-small", "warmup_epochs": 1, "mixup": 0.3, "cutmix": 1.0, "augment": "standard",
    "model": "resnet20", "image_size": 8,
}  # fmt: skip
STOPPED = {"optimizer": "sgd", "swa_start": 0.5, "class_weight": "balanced", "early_stopping": 1}


@pytest.mark.parametrize(
    ("more", "place"),
    [({}, (0, 1)), ({}, (1, 0)), ({}, (1, 2)), (AVERAGED, (1, 1)), (STOPPED, (1, 2))],
    ids=["first epoch", "first batch", "last batch", "averages and mixing", "stochastic weight averaging"],
)
def test_a_run_that_is_interrupted_and_resumed_has_the_bits_of_one_that_is_not(folder, tmp_path, more, place):
    whole = runs.train(settings(folder, **more), tmp_path / "whole", progress=False)
    with pytest.raises(runs.Interrupted):
        runs.train(settings(folder, **more), tmp_path / "parts", progress=False, callbacks=[Stop(*place)])
    left = runs.RunFolder(tmp_path / "parts")
    assert left.is_resumable and left.last.exists()
    resumed = runs.resume(left.path, progress=False)
    for name in ("last.keras", "model.keras", "predictions.npz", "evaluation.json"):
        assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name
    histories = [
        [line.rsplit(",", 1)[0] for line in (folder / "history.csv").read_text().splitlines()]
        for folder in (whole.folder, resumed.folder)
    ]
    assert histories[0] == histories[1] and len(histories[0]) == 3
    assert not left.is_resumable


def test_a_finished_run_is_not_resumed_nor_written_over(run, folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="has come to its end"):
        runs.resume(run.folder)
    with pytest.raises(FileExistsError, match="--overwrite replaces it"):
        runs.train(settings(folder), run.folder, progress=False)
    with pytest.raises(FileNotFoundError, match="expected the folder of a run"):
        runs.resume(tmp_path)


def test_the_model_of_a_run_is_trained_further(run, folder, tmp_path):
    more = runs.train(
        settings(folder, model=str(run.folder / "last.keras"), epochs=1), tmp_path / "more", progress=False
    )
    assert more.parameters == run.parameters
    with pytest.raises(SettingsError, match="takes images of shape"):
        runs.train(
            settings(folder, model=str(run.folder / "last.keras"), image_size=32),
            tmp_path / "no",
            progress=False,
        )


def test_a_model_file_knows_classes_and_preparation(run, folder):
    classifier = Classifier(run.folder / "model.keras")
    assert classifier.class_names == list(photos.CLASSES)
    assert classifier.preprocessing.image_size == (28, 28)
    paths = list(image_paths([str(folder / photos.CLASSES[0])]))
    found = list(classifier.predict([*paths, str(run.folder / "run.toml")], top=2, batch_size=3))
    assert len(found) == 9 and found[-1].error and "not an image" in found[-1].error
    for prediction in found[:-1]:
        (_, first), (_, second) = prediction.classes
        assert first >= second
        expected = classifier.model.predict_image(prediction.path)
        assert prediction.classes[0] == (expected.class_name, pytest.approx(expected.score, abs=1e-6))


def test_paths_are_files_folders_and_patterns(folder, tmp_path):
    one = folder / photos.CLASSES[0] / "0.png"
    assert list(image_paths([str(one)])) == [str(one)]
    assert len(list(image_paths([str(folder)]))) == 24
    assert len(list(image_paths([str(folder / "*" / "[01].png")]))) == 6
    # What is not there is given on, to whoever reads it.
    for absent in (tmp_path / "none.png", tmp_path / "*.png", tmp_path):
        assert list(image_paths([str(absent)])) == [str(absent)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"data": {"directory": "x"}}, "[data] has no 'directory'"),
        ({"training": {"epoch": 3}}, "[training] has no 'epoch'; did you mean 'epochs'?"),
        ({"data": {"epochs": 3}}, "[data] has no 'epochs'; it belongs to [training]"),
        ({"epochs": 3}, "no table or key 'epochs'; it belongs to [training]"),
        ({"trainin": {}}, "no table or key 'trainin'; did you mean 'training'?"),
        ({"training": 3}, "training: expected a table, received 3"),
        ({"training": {"epochs": 0}}, "epochs: expected an integer >= 1, received 0"),
        ({"training": {"epochs": "many"}}, "epochs: expected an integer"),
        ({"training": {"augment": "all"}}, "augment: expected one of none, light, standard, randaugment"),
        ({"training": {"recipe": "cifr"}}, "recipe: 'cifr' is unknown; did you mean 'cifar'?"),
        ({"data": {"image_size": [1, 2, 3]}}, "image_size: expected a size or height and width"),
        ({"data": {"class_names": ["a", "a"]}}, "class_names: expected different names"),
        ({"data": {"data": 3}}, "data: expected a text, received 3"),
    ],
)
def test_wrong_settings_are_named(given, message):
    with pytest.raises(SettingsError) as caught:
        runs.Settings.of_tables(given)
    assert message in str(caught.value)


def test_unknown_networks_and_settings_suggest_known_ones(folder, tmp_path):
    with pytest.raises(SettingsError, match="no network 'resnet19'; did you mean 'resnet1"):
        runs.train(settings(folder, model="resnet19"), tmp_path / "out", progress=False)
    with pytest.raises(SettingsError, match="no setting 'epoch'; did you mean 'epochs'"):
        settings(folder).changed(epoch=3)
    with pytest.raises(SettingsError, match="warmup_epochs: expected less than the 2 epochs"):
        settings(folder, warmup_epochs=2).chosen_recipe()


def test_settings_go_to_toml_and_back():
    tables = {
        "data": {"data": 'a "quoted"\\ path\n', "class_names": ["ключ", "\x7f"], "validation_split": 0.1},
        "search": {"trials": 3, "space": {"learning_rate": {"low": 1e-5, "log": True}}},
        "empty": {},
    }
    assert toml.loads(toml.dumps(tables)) == tables
    with pytest.raises(ValueError, match="file.toml: expected TOML: "):
        toml.loads("a = ", "file.toml")


def test_folders_without_classes_are_named(tmp_path, folder):
    with pytest.raises(SettingsError, match="nothing there"):
        Folder(str(tmp_path / "none"), [8, 8])
    with pytest.raises(SettingsError, match="a file"):
        Folder(str(folder / photos.CLASSES[0] / "0.png"), [8, 8])
    with pytest.raises(SettingsError, match="sub-folder of images for each class"):
        Folder(str(folder / photos.CLASSES[0]), [8, 8])
    (tmp_path / "a").mkdir()
    with pytest.raises(SettingsError, match="found none"):
        Folder(str(tmp_path), [8, 8])
    cnnrs.utils.save_img(tmp_path / "a" / "0.png", np.ones((9, 9, 3)))
    with pytest.raises(SettingsError, match="at least two classes, found .'a'."):
        runs.train(runs.Settings(data=str(tmp_path), model="lenet5"), tmp_path / "out", progress=False)


def test_files_that_are_no_images_are_an_error_or_left_out(tmp_path):
    folder = photos.write(tmp_path / "photos", count=4, size=28)
    (folder / photos.CLASSES[0] / "empty.png").write_bytes(b"")
    (folder / photos.CLASSES[1] / "text.jpg").write_text("text")
    with pytest.raises(ValueError, match="(empty.png|text.jpg): not an image, or damaged"):
        runs.train(settings(folder), tmp_path / "error", progress=False)
    with pytest.warns(UserWarning, match="left out, for they are no images: .*empty.png, .*text.jpg"):
        result = runs.train(settings(folder, broken="skip"), tmp_path / "skip", progress=False)
    environment = json.loads((result.folder / "environment.json").read_text())
    assert sum(environment["images"].values()) == 12
    for name in photos.CLASSES:
        for path in (folder / name).iterdir():
            path.write_bytes(b"no")
    with pytest.raises(SettingsError, match="none of the 14 files"):
        runs.train(settings(folder, broken="skip"), tmp_path / "none", progress=False)


def test_splits_have_a_part_of_each_class_by_the_seed():
    labels = np.array([0] * 10 + [1] * 100 + [2] * 1 + [3] * 2)
    train, validation = split_indices(labels, 0.2, 7)
    assert sorted([*train, *validation]) == list(range(len(labels)))
    assert np.bincount(labels[validation], minlength=4).tolist() == [2, 20, 0, 1]
    again, other = split_indices(labels, 0.2, 7), split_indices(labels, 0.2, 8)
    assert np.array_equal(again[1], validation) and not np.array_equal(other[1], validation)


def test_batches_depend_on_seed_epoch_and_index_alone(folder):
    images = Folder(str(folder), [12, 12])
    indices = np.arange(len(images))

    def batches(epoch, **more):
        made = ImageBatches(images, indices, 5, seed=3, **more)
        made.begin(epoch)
        return [made[i] for i in (4, 0, 2)]

    first, again, other = batches(1), batches(1, workers=3), batches(2)
    for (x, y), (u, v) in zip(first, again, strict=True):
        assert np.array_equal(x, u) and np.array_equal(y, v)
    assert not np.array_equal(first[0][0], other[0][0])
    assert len(first[0][0]) == 4
