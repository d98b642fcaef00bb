"""The commands `evaluate` and `predict` on a run that a process made."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sys

import command_runs
import numpy as np
import photos
import pytest
from command_runs import in_terminal

import cnnrs
from cnnrs import cli


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return photos.write(tmp_path_factory.mktemp("data") / "photos", size=24)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    return command_runs.trained(data, tmp_path_factory.mktemp("runs") / "run")


def test_predict_takes_files_folders_patterns_and_standard_input(run, data, capsys, monkeypatch):
    out, _ = run
    one = str(data / photos.CLASSES[0] / "0.png")

    def predicted(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        status = cli.main(["predict", str(out), *arguments])
        captured = capsys.readouterr()
        return status, captured.out.splitlines(), captured.err

    status, lines, _ = predicted(one, "--top", "3")
    assert status == 0 and re.fullmatch(re.escape(one) + r": (\S+ 0\.\d{4}(, )?){3}", lines[0])
    assert len(predicted(str(data))[1]) == 24
    assert len(predicted(str(data / "*" / "1.png"))[1]) == 3
    with open(one, "rb") as file:
        image = file.read()
    status, lines, _ = predicted("-", "--json", stdin=image)
    (found,) = map(json.loads, lines)
    assert status == 0 and found["path"] == "-" and len(found["classes"]) == 1
    assert len(predicted("-", stdin=f"{one}\n{one}\n".encode())[1]) == 2
    assert predicted("-")[0] == 1
    status, lines, errors = predicted(str(out / "run.toml"), one)
    assert status == 1 and len(lines) == 1 and "run.toml: not an image" in errors
    status, lines, errors = predicted(str(out / "run.toml"), one, "--json")
    assert status == 1 and "error" in json.loads(lines[0]) and "classes" in json.loads(lines[1])


def test_evaluate_measures_the_validation_or_a_folder(run, data, capsys):
    out, _ = run
    assert cli.main(["evaluate", str(out), "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    kept = json.loads((out / "evaluation.json").read_text())
    assert measured["images"] == 6 and measured["loss"] == pytest.approx(kept["loss"], abs=1e-6)
    assert cli.main(["evaluate", str(out / "model.keras"), str(data)]) == 0
    assert "Accuracy" in capsys.readouterr().out


@pytest.mark.filterwarnings("default")
def test_evaluate_takes_folders_that_lack_a_class_or_have_broken_files(run, data, tmp_path, capsys):
    out, _ = run
    other = tmp_path / "other"
    shutil.copytree(data, other)
    shutil.rmtree(other / photos.CLASSES[1])
    assert cli.main(["evaluate", str(out), str(other), "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert f"has no folder of these classes: {photos.CLASSES[1]}" in said.err
    assert found["images"] == 16 and len(found["confusion_matrix"]) == 3
    assert found["report"]["classes"][photos.CLASSES[1]]["support"] == 0
    # The labels are those of the model: the last class stays the last one.
    assert sum(found["confusion_matrix"][2]) == 8 and sum(found["confusion_matrix"][1]) == 0
    (other / photos.CLASSES[0] / "none.png").write_bytes(b"no picture")
    assert cli.main(["evaluate", str(out), str(other)]) == 1
    said = capsys.readouterr().err
    assert "none.png: not an image" in said and "--broken skip leaves such files out" in said
    assert cli.main(["evaluate", str(out), str(other), "--broken", "skip", "--json"]) == 0
    said = capsys.readouterr()
    assert "left out, for they are no images" in said.err
    assert json.loads(said.out) == found
    shutil.rmtree(other)
    (other / "elsewhere").mkdir(parents=True)
    assert cli.main(["evaluate", str(out), str(other)]) == 2
    assert "has no folder" in capsys.readouterr().err


@pytest.mark.filterwarnings("default")
def test_names_of_classes_are_the_folders_where_the_file_has_none(run, data, tmp_path, capsys):
    out, _ = run
    model = cnnrs.models.load_model(out / "model.keras", compile=False)
    model.set_image_preprocessing(None, image_size=(28, 28))
    path = str(tmp_path / "plain.keras")
    model.save(path)
    assert cli.main(["evaluate", str(out), str(data), "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)
    assert cli.main(["evaluate", path, str(data), "--json"]) == 0
    said = capsys.readouterr()
    assert f"has no names of its classes: taking {', '.join(photos.CLASSES)}" in said.err
    assert json.loads(said.out)["confusion_matrix"] == expected["confusion_matrix"]
    turned = ",".join(reversed(photos.CLASSES))
    assert cli.main(["evaluate", path, str(data), "--class-names", turned, "--json"]) == 0
    found = np.array(json.loads(capsys.readouterr().out)["confusion_matrix"])
    np.testing.assert_array_equal(found, np.array(expected["confusion_matrix"])[::-1])
    assert cli.main(["evaluate", path, str(data), "--class-names", "a,b"]) == 2
    assert "expected 3 names, one for each class" in capsys.readouterr().err
    one = str(data / photos.CLASSES[0] / "0.png")
    assert cli.main(["predict", path, one, "--class-names", "a,b,c", "--top", "3"]) == 0
    assert {word.split()[0] for word in capsys.readouterr().out.split(": ")[1].split(", ")} == {"a", "b", "c"}
    (tmp_path / "two" / "x").mkdir(parents=True)
    (tmp_path / "two" / "y").mkdir()
    assert cli.main(["evaluate", path, str(tmp_path / "two")]) == 2
    assert "has 3 classes without names" in capsys.readouterr().err


@pytest.mark.filterwarnings("default")
def test_evaluate_tells_that_the_data_of_the_run_have_changed(data, tmp_path, capsys):
    own = shutil.copytree(data, tmp_path / "photos")
    out = tmp_path / "run"
    options = ["--model", "lenet5", "--epochs", "1", "--out", str(out), "--quiet", "--no-report"]
    assert cli.main(["train", str(own), *options]) == 0
    assert cli.main(["evaluate", str(out)]) == 0
    said = capsys.readouterr()
    assert "warning" not in said.err and "6 images in" in said.err
    (own / photos.CLASSES[0] / "0.png").unlink()
    assert cli.main(["evaluate", str(out), "--quiet"]) == 0
    said = capsys.readouterr()
    assert "no longer holds the images of the run" in said.err and "images in" not in said.err


def test_evaluate_and_predict_show_rate_and_time_left(run, data, capsys, monkeypatch):
    from cnnrs.runs import progress

    monkeypatch.setattr(progress, "_APART", 0.0)
    out, _ = run
    assert cli.main(["evaluate", str(out), str(data), "--batch-size", "10"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines] == ["10/24", "20/24", "24/24", "24"]
    assert all("images/s" in line for line in lines) and all("left" in line for line in lines[:3])
    assert cli.main(["predict", str(out), str(data), "--json"]) == 0
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 24 and "12/24  " in said.err and "24 images in" in said.err
    assert cli.main(["predict", str(out), str(data), "--quiet"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(os.name != "posix", reason="a pseudo-terminal")
def test_progress_of_predict_leaves_its_answers_whole_in_a_terminal(run, data):
    out, _ = run
    code = (
        "import sys; from cnnrs import cli; from cnnrs.runs import progress; progress._REDRAWN = 0.0\n"
        "sys.exit(cli.main(sys.argv[1:]))"
    )
    status, output = in_terminal([sys.executable, "-c", code, "predict", str(out), str(data)], 80)
    assert status == 0 and "images/s" in output
    shown = [part.split("\r")[-1] for part in output.replace("\r\n", "\n").split("\n")]
    assert sum(f"{data}" in line and line.startswith(str(data)) for line in shown) == 24
    assert re.match(r"24 images in .* images/s", shown[-2] if shown[-1] == "" else shown[-1])
