"""Files of runs: what Keras reads, what run.toml says when flags change it, what is left of failures."""

from __future__ import annotations

import io
import json
import shutil
import sys
import zipfile
from pathlib import Path

import photos
import pytest

import cnnrs
from cnnrs import cli, runs
from cnnrs.runs.settings import SettingsError
from cnnrs.training.lr_find import LearningRates

KERAS = json.loads((Path(__file__).parents[1] / "fixtures" / "keras_public_names.json").read_text())


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return photos.write(tmp_path_factory.mktemp("data") / "photos", count=5)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    return runs.train(settings(data), out, progress=False, check=False, report=False).folder


def settings(data, **more):
    return runs.Settings(data=str(data), **{"model": "lenet5", "epochs": 1, "seed": 5, **more})


def classes_of(value):
    """Names of the objects that a config describes, with their modules."""
    if isinstance(value, dict):
        if {"class_name", "config", "module"} <= set(value) and value["module"]:
            yield f"{value['module']}.{value['class_name']}"
        for each in value.values():
            yield from classes_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from classes_of(each)


def config_of(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))


def unknown(path):
    known = {f"keras.{name}" for name in KERAS} | {"keras.src.models.functional.Functional"}
    return {name for name in classes_of(config_of(path)) if name not in known}


@pytest.mark.parametrize("more", [{}, {"schedule": "constant"}, {"recipe": "cifar", "warmup_epochs": 0.5}])
def test_keras_knows_all_that_the_model_of_a_run_names(data, tmp_path, more):
    out = tmp_path / "run"
    runs.train(settings(data, **more), out, progress=False, check=False, report=False)
    assert not unknown(out / "model.keras")
    assert "parameter_groups" not in json.dumps(config_of(out / "model.keras"))
    # The last model keeps all of the training.
    assert cnnrs.models.load_model(out / "last.keras").optimizer.iterations > 0


@pytest.mark.filterwarnings("default")
def test_an_optimizer_that_keras_has_not_is_left_out_of_its_files(run, tmp_path, capsys):
    assert unknown(run / "last.keras")
    assert cli.main(["convert", str(run / "last.keras"), str(tmp_path / "m.keras")]) == 0
    assert "the optimizer is left out" in capsys.readouterr().err
    assert not unknown(tmp_path / "m.keras")
    assert cli.main(["convert", str(run / "last.keras"), str(tmp_path / "m.safetensors")]) == 0
    assert cnnrs.models.load_model(tmp_path / "m.safetensors").optimizer.iterations > 0
    plain = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(2)])
    plain.compile("adam", "mse")
    plain.save(tmp_path / "plain.keras")
    assert cli.main(["convert", str(tmp_path / "plain.keras"), str(tmp_path / "n.keras")]) == 0
    assert "left out" not in capsys.readouterr().err
    assert config_of(tmp_path / "n.keras")["compile_config"]["optimizer"]["class_name"] == "Adam"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"augment": "standard"}, "augment: expected none with the file of a model"),
        ({"precision": "mixed_bfloat16"}, "precision: .* has layers of float32"),
        ({"weights": "nosuch.h5"}, "weights: expected none, imagenet or a file, found no file"),
        ({"weights": "imagenet"}, "weights: expected none or a file beside the file of a model"),
        ({"model": "lenet5", "weights": "imagenet"}, "weights: nobody publishes those of LeNet5"),
    ],
)
def test_settings_that_a_model_cannot_have_are_named(run, data, tmp_path, more, message):
    given = {"model": str(run / "model.keras"), **more}
    with pytest.raises(SettingsError, match=message):
        runs.train(settings(data, **given), tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_the_model_of_a_file_takes_weights_of_another_file_and_keeps_its_precision(run, data, tmp_path):
    from cnnrs.runs.preparing import prepare, surroundings

    other = cnnrs.models.load_model(run / "model.keras", compile=False)
    for weight in other.weights:
        weight.assign(weight * 0 + 0.5)
    other.save_weights(tmp_path / "half.weights.h5")
    given = settings(data, model=str(run / "model.keras"), weights=str(tmp_path / "half.weights.h5"))
    with surroundings(given):
        prepared = prepare(given)
    assert all((weights == 0.5).all() for weights in prepared.model.get_weights())
    assert prepared.settings.augment is None and prepared.settings.precision == "float32"


def test_what_a_run_filled_in_gives_way_to_a_recipe_and_an_optimizer(run):
    kept = runs.Settings.load(run / "run.toml")
    assert kept.learning_rate == 1e-3 and "learning_rate" in kept.filled and "epochs" not in kept.filled
    recipe = kept.changed(recipe="cifar", warmup_epochs=0.5).chosen_recipe()
    assert (recipe.optimizer, recipe.batch_size, recipe.learning_rate, recipe.mixup) == ("sgd", 128, 0.1, 0.2)
    assert recipe.epochs == 1
    assert kept.changed(optimizer="sgd").chosen_recipe().learning_rate == 0.05
    assert kept.changed(batch_size=64).chosen_recipe().learning_rate == 2e-3
    assert kept.changed(model="resnet18").image_size is None
    # What the user gave stays, also in the file of the next run.
    given = kept.changed(learning_rate=0.02)
    assert given.changed(optimizer="sgd").chosen_recipe().learning_rate == 0.02
    assert runs.Settings.of_tables(given.tables()) == given


def test_a_run_that_fails_before_its_first_epoch_leaves_the_folder_free(data, tmp_path, monkeypatch, capsys):
    photos_ = shutil.copytree(data, tmp_path / "photos")
    (photos_ / photos.CLASSES[0] / "empty.png").write_bytes(b"")
    arguments = [
        "train",
        str(photos_),
        "--model",
        "lenet5",
        "--epochs",
        "1",
        "--quiet",
        "--no-check",
        "--no-report",
    ]
    arguments += ["--validation-split", "0", "--out", str(tmp_path / "run")]
    assert cli.main(arguments) == 1
    assert "empty.png: not an image" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    with pytest.warns(UserWarning, match="left out"):
        kept = runs.Settings(data=str(photos_), model="lenet5", epochs=1, broken="skip")
        runs.train(kept, tmp_path / "run", progress=False, check=False, report=False)


def test_a_run_without_its_report_names_the_command_that_writes_it(data, tmp_path, monkeypatch, capsys):
    from cnnrs import reporting

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(reporting, "write", interrupted)
    out = tmp_path / "run"
    assert (
        cli.main(["train", str(data), "--model", "lenet5", "--epochs", "1", "--quiet", "--out", str(out)])
        == 130
    )
    errors = capsys.readouterr().err
    assert f"cnnrs report {out}" in errors and "cnnrs resume" not in errors
    assert cli.main(["resume", str(out)]) == 1
    assert f"`cnnrs report {out}` writes its report" in capsys.readouterr().err


def test_a_run_that_replaces_another_keeps_nothing_of_it(run, data, tmp_path, capsys):
    out = Path(shutil.copytree(run, tmp_path / "run"))
    for name in ("report.html", "search.json", "search.log"):
        (out / name).write_text("old")
    (out / "trials" / "0000").mkdir(parents=True)
    given = [
        "train",
        str(data),
        "--model",
        "lenet5",
        "--epochs",
        "1",
        "--quiet",
        "--no-report",
        "--out",
        str(out),
    ]
    assert cli.main(given) == 1
    assert (out / "report.html").exists()
    capsys.readouterr()
    assert cli.main([*given, "--overwrite"]) == 0
    assert "report.html" not in capsys.readouterr().out
    assert not {"report.html", "search.json", "search.log", "trials"} & {path.name for path in out.iterdir()}


def test_the_hash_is_that_of_the_validation_too(data, tmp_path):
    from cnnrs.runs.preparing import prepare

    other = shutil.copytree(data, tmp_path / "other")
    given = settings(data, validation=str(other))
    kept = prepare(given).settings
    assert prepare(kept).data_hash == kept.data_hash != prepare(settings(data)).data_hash
    (other / photos.CLASSES[0] / "0.png").unlink()
    with pytest.raises(SettingsError, match="data_hash: .* or .*other"):
        prepare(kept)


def test_pictures_that_are_missing_do_not_cost_the_answers_of_others(
    run, data, tmp_path, capsys, monkeypatch
):
    one = data / photos.CLASSES[0] / "0.png"
    paths = f"{one}\nnosuch.png\n{one}\n".encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(paths)))
    assert cli.main(["predict", str(run), "-"]) == 1
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 2 and "nosuch.png: no such file" in said.err
    (tmp_path / "empty").mkdir()
    assert cli.main(["predict", str(run), str(tmp_path / "empty"), str(one)]) == 1
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 1 and "empty: no images" in said.err


def test_the_folder_of_a_run_report_is_shown_and_predicts(run, data, tmp_path, capsys):
    # As `reporting.RunReport` makes it, without run.toml.
    for name in ("model.keras", "history.csv", "evaluation.json", "environment.json"):
        shutil.copyfile(run / name, tmp_path / name)
    one = str(data / photos.CLASSES[0] / "0.png")
    for given in (["predict", one], ["evaluate", str(data)]):
        assert cli.main([given[0], str(tmp_path), given[1]]) == 0
    assert cli.main(["summary", str(tmp_path)]) == 0
    assert cli.main(["report", str(tmp_path), "--no-explain"]) == 0
    assert (tmp_path / "report.html").exists()
    capsys.readouterr()
    assert cli.main(["report", str(data)]) == 1
    assert "expected the folder of a run" in capsys.readouterr().err


def test_folders_of_no_class_are_told_and_links_to_the_folder_itself_refused(data, tmp_path):
    from cnnrs.runs.data import Folder

    with pytest.warns(UserWarning, match=f"left out: {photos.CLASSES[2]}; the classes are"):
        assert len(Folder(str(data), [8, 8], class_names=list(photos.CLASSES[:2]))) == 10
    looped = shutil.copytree(data, tmp_path / "looped")
    (looped / "loop").symlink_to(".")
    with pytest.raises(SettingsError, match="'loop' is a link to a folder that it is in"):
        Folder(str(looped), [8, 8])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "no command 'trian'; did you mean 'train'?"),
        (["train", "broken.toml"], "broken.toml: expected TOML"),
        (["train", "photos", "--device", "tpu"], "tpu"),
        (["lr-find", "photos", "--start", "1", "--end", ".1"], "--start: expected less than --end"),
    ],
)
def test_wrong_settings_exit_with_2(data, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.toml").write_text("[data\n")
    (tmp_path / "photos").symlink_to(data)
    try:
        status = cli.main(arguments)
    except SystemExit as ended:
        status = ended.code
    assert status == 2 and message in capsys.readouterr().err


@pytest.mark.parametrize(("steepest", "is_found"), [(1e-2, True), (1e-6, False)])
def test_lr_find_repeats_the_flags_and_says_when_it_found_nothing(
    data, capsys, monkeypatch, steepest, is_found
):
    found = LearningRates([1e-6, 1e-2, 10.0], [3.0, 2.0, 9.0], [3.0, 2.0, 9.0], steepest, 1e-3)
    monkeypatch.setattr(cnnrs.Model, "lr_find", lambda *_, **__: found)
    assert cli.main(["lr-find", str(data), "--model", "lenet5", "--image-size", "28"]) == 0
    said = capsys.readouterr().out
    if is_found:
        assert f"next: cnnrs train {data} --image-size 28x28 --model lenet5 --learning-rate 0.001" in said
    else:
        assert "the test found no rate" in said and "next:" not in said and "learning rate 1" not in said


def test_trials_of_other_settings_or_pictures_are_not_compared(data, tmp_path):
    from cnnrs.runs.searching import Space, search

    def space(trials):
        return Space.of_table({"space": {"learning_rate": [1e-3, 1e-2]}, "trials": trials, "pruning": False})

    own = shutil.copytree(data, tmp_path / "photos")
    out = tmp_path / "search"
    search(settings(own), space(1), out, lambda line: None)
    with pytest.raises(SettingsError, match="epochs: .* has trials with 1, received 2"):
        search(settings(own, epochs=2), space(2), out, lambda line: None)
    (own / photos.CLASSES[0] / "0.png").unlink()
    with pytest.raises(SettingsError, match="data_hash"):
        search(settings(own), space(2), out, lambda line: None)
