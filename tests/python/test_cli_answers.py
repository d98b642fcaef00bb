"""What commands answer: exit statuses and messages of wrong arguments, help, JSON, and tables of a run."""

from __future__ import annotations

import json
import os
import re

import command_runs
import numpy as np
import photos
import pytest
from command_runs import status_of

import cnnrs
from cnnrs import cli
from cnnrs.cli import program


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return photos.write(tmp_path_factory.mktemp("data") / "photos", size=24)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    return command_runs.trained(data, tmp_path_factory.mktemp("runs") / "run")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "expected a folder of images, a TOML file"),
        (["train", "none/"], "'none/': no such folder"),
        (["train", "none.toml"], "'none.toml': no such file"),
        (["train", "photos", "--augment", "al"], "argument --augment: expected one of none, light"),
        (["train", "photos", "--image-size", "0"], "argument --image-size: expected an integer"),
        (["train", "photos", "--optimizer", "adamm"], "argument --optimizer: expected one of"),
        (["train", "photos", "--recipe", "cifr"], "did you mean 'cifar'?"),
        (["train", "photos", "--model", "resnet19"], "did you mean 'resnet1"),
        (["train", "photos", "--validation", "none"], "nothing there: "),
        (["train", "photos", "--output", "m.keras"], "--output: expected --out"),
        (["train", "mnist", "--augment", "light"], "expected --out for the folder of the run"),
        (["train", "wrong.toml"], "wrong.toml: [training] has no 'epoch'; did you mean 'epochs'?"),
        (["search", "photos"], "expected a TOML file with the table [search.space]"),
        (["search", "run.toml"], "[search.space]: expected settings"),
        (["serve", "run", "--port", "70000"], "expected an integer from 0 to 65535"),
        (["bench", "lenet5", "--batch", "1,x"], "expected a positive integer, received 'x'"),
        (["convert", "run", "model.onnx"], "ONNX is not written by this version"),
        (["evaluate", "model.keras"], "expected a folder of images by class"),
        (["completion", "csh"], "invalid choice"),
        (["train", "photos", "--lr", "0.1"], "no flag '--lr' is known; did you mean '--learning-rate'?"),
        (
            ["train", "photos", "--imagesize=8"],
            "no flag '--imagesize' is known; did you mean '--image-size'?",
        ),
        (["train", "photos", "--zzzz"], "no flag '--zzzz' is known\n"),
        (["train", "photos", "photos"], "no argument 'photos' is known\n"),
        (["evaluate", "run", "--class-names", "a,a"], "expected different names"),
        (["evaluate", "photos", "--class-names", "a,b"], "--class-names: expected FOLDER with it"),
        (["evaluate", "photos", "--broken", "skip"], "--broken: expected FOLDER with it"),
        (["evaluate", "photos", "--broken", "maybe"], "invalid choice"),
        *(
            ([*command, "--device", "tpu"], 'argument --device: expected one of "cpu", "gpu"')
            for command in (
                ["predict", "run", "a.png"],
                ["evaluate", "run"],
                ["bench", "lenet5"],
                ["explain", "lenet5"],
                ["profile", "lenet5"],
                ["serve", "run"],
            )
        ),
    ],
)
def test_wrong_arguments_are_named_and_exit_with_2(data, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    os.symlink(data, "photos")
    (tmp_path / "wrong.toml").write_text('[data]\ndata = "photos"\n[training]\nepoch = 3\n')
    (tmp_path / "run.toml").write_text('[data]\ndata = "photos"\n')
    assert status_of(arguments) == 2
    assert message in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "wrong.toml", "run.toml"}


def test_a_wrong_argument_is_told_in_two_lines(capsys):
    assert status_of(["train", "none/", "--epochs", "0"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "cnnrs train: error: argument --epochs: expected a positive integer, received '0'",
        "`cnnrs train --help` explains all arguments",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["resume", "none"],
            "'none': expected the folder of a run, as `cnnrs train` writes it; no such folder",
        ),
        (["predict", "none.keras", "a.png"], "no such model"),
        (["summary", "none.keras"], "No such file"),
        (["profile", "none.keras"], "no such file"),
        (["serve", "none"], "no such model"),
    ],
)
def test_what_is_not_there_exits_with_1(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert status_of(arguments) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (["report", "RUN", "--no-explain"], {"path", "bytes"}),
        (["summary", "RUN"], {"name", "parameters", "layers"}),
        (["summary", "RUN/model.keras"], {"kind", "layers", "arrays", "bytes", "image_preprocessing"}),
        (["summary", "lenet5", "--costs"], {"flops", "macs", "inference_bytes", "layers"}),
        (["explain", "lenet5"], {"layers", "steps", "num_steps", "flops", "arena_bytes"}),
        (["profile", "lenet5", "--repeats", "1"], {"seconds", "threads", "idle", "steps", "flops"}),
        (["convert", "RUN", "OUT/m.weights.h5"], {"path", "bytes", "holds", "optimizer"}),
        (["doctor"], {"cnnrs", "Python", "threads"}),
        (["check", "RUN/empty.py"], {"files"}),
    ],
)
def test_each_answer_comes_as_json(run, tmp_path, capsys, arguments, keys):
    out, _ = run
    (out / "empty.py").write_text("import keras\n")
    given = [word.replace("RUN", str(out)).replace("OUT", str(tmp_path)) for word in arguments]
    assert cli.main([*given, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert keys <= set(found), sorted(found)


def test_figures_of_json_are_those_of_the_tables(capsys):
    assert cli.main(["summary", "lenet5", "--costs", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    layers = {layer["name"]: layer for layer in found["layers"]}
    assert found["parameters"] == 61706 == sum(layer["parameters"] for layer in found["layers"])
    assert layers["conv1"]["parameters"] == 156 and layers["conv1"]["receptive_field"] == [5, 5]
    assert cli.main(["profile", "lenet5", "--json"]) == 0
    steps = json.loads(capsys.readouterr().out)["steps"]
    assert [s["seconds"] for s in steps] == sorted((s["seconds"] for s in steps), reverse=True)
    assert {"lenet5/conv1", "lenet5/predictions"} <= {step["origin"] for step in steps}
    assert cli.main(["train", "--list-models", "--json"]) == 0
    assert "resnet18" in json.loads(capsys.readouterr().out)


def test_all_commands_but_that_for_shells_have_json():
    (group,) = (a for a in program.make_parser()._actions if hasattr(a, "choices") and a.choices)
    lacking = [n for n, p in group.choices.items() if "--json" not in p._option_string_actions]
    assert lacking == ["completion"]


@pytest.mark.parametrize("ending", [".h5", ".safetensors", ".keras", ".weights.h5", ".npz"])
def test_convert_writes_other_formats(run, tmp_path, capsys, ending):
    out, _ = run
    path = tmp_path / f"model{ending}"
    assert cli.main(["convert", str(out), str(path)]) == 0
    model = cnnrs.models.load_model(out / "model.keras")
    if ending == ".npz":
        with np.load(path) as arrays:
            assert len(arrays.files) == len(model.weights)
            for weight in model.weights:
                assert np.array_equal(arrays[weight.path], weight.numpy())
    elif ending == ".weights.h5":
        again = cnnrs.models.clone_model(model)
        again.load_weights(path)
        assert all(map(np.array_equal, model.get_weights(), again.get_weights()))
    else:
        again = cnnrs.models.load_model(path, compile=False)
        assert all(map(np.array_equal, model.get_weights(), again.get_weights()))
    assert cli.main(["convert", str(out), str(path)]) == 1
    assert "--overwrite replaces it" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == [path.name]


def test_bench_profile_explain_and_summary_take_networks_and_runs(run, capsys):
    out, _ = run
    assert cli.main(["bench", str(out), "--batch", "1,2", "--seconds", "0.02", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["batch"] for row in rows] == [1, 2] and all(row["images_per_second"] > 0 for row in rows)
    assert cli.main(["explain", "lenet5"]) == 0
    assert "conv1" in capsys.readouterr().out
    assert cli.main(["profile", str(out), "--repeats", "1"]) == 0
    assert "conv1" in capsys.readouterr().out
    assert cli.main(["summary", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "conv1" in shown and "Total params" in shown
    assert cli.main(["summary", "lenet5", "--costs"]) == 0
    assert "61,706" in capsys.readouterr().out


def commands():
    return re.findall(r"^    ([a-z-]+) ", program.make_parser().format_help(), re.MULTILINE)


def test_each_command_teaches(capsys):
    assert {"train", "resume", "evaluate", "predict", "search", "serve", "lr-find"} <= set(commands())
    for command in commands():
        assert status_of([command, "--help"]) == 0
        text = capsys.readouterr().out
        assert "examples:" in text and f"cnnrs {command}" in text.partition("examples:")[2], command
        assert max(map(len, text.splitlines())) < 115


def test_a_run_has_a_report_which_can_be_written_again(run, tmp_path, capsys):
    out, done = run
    assert f"saved {out}, report {out / 'report.html'}" in done.stdout
    path = tmp_path / "pets.html"
    assert cli.main(["report", str(out), "--output", str(path), "--title", "Питомцы", "--no-explain"]) == 0
    text = path.read_text(encoding="utf-8")
    assert "<title>Питомцы</title>" in text and all(name in text for name in photos.CLASSES)
    assert f"saved {path}" in capsys.readouterr().out
