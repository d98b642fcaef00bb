"""The commands about runs as processes: in a pipe, in a pseudo-terminal, and upon signals."""

from __future__ import annotations

import io
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys

import numpy as np
import photos
import pytest

import cnnrs
from cnnrs import cli, runs
from cnnrs.cli import program

COMMAND = [sys.executable, "-m", "cnnrs"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return photos.write(tmp_path_factory.mktemp("data") / "photos", size=24)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """The folder of a run that a process made, and what it said."""
    out = tmp_path_factory.mktemp("runs") / "run"
    options = ["--model", "lenet5", "--epochs", "2", "--batch-size", "6", "--seed", "5", "--out", str(out)]
    done = subprocess.run(
        [*COMMAND, "train", str(data), *options], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return out, done


def status_of(arguments):
    """The exit status of a command in this process."""
    try:
        return cli.main(arguments)
    except SystemExit as error:
        return error.code


def test_train_shows_progress_in_lines_and_says_what_is_next(run):
    out, done = run
    lines = done.stderr.splitlines()
    assert [line[:3] for line in lines] == ["1/2", "2/2"]
    assert all(re.search(r"\d images/s  loss \d", line) and "val_accuracy" in line for line in lines)
    assert "left" in lines[0] and "\r" not in done.stderr and "\x1b" not in done.stderr
    assert re.search(r"^validation accuracy \d\.\d{4}, loss", done.stdout, re.MULTILINE)
    assert f"next: cnnrs predict {out} PICTURE" in done.stdout


def test_json_is_alone_on_standard_output(data, tmp_path):
    options = ["--model", "lenet5", "--epochs", "1", "--out", str(tmp_path / "run"), "--json"]
    done = subprocess.run(
        [*COMMAND, "train", str(data), *options], capture_output=True, text=True, timeout=120
    )
    found = json.loads(done.stdout)
    assert found["epochs"] == 1 and found["metrics"]["of"] == "validation" and found["out"].endswith("run")
    assert done.stderr.startswith("1/1")


def in_terminal(command, columns=100):
    """Exit status and output of a process in a pseudo-terminal."""
    import fcntl
    import pty
    import struct
    import termios

    mine, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
    environment.pop("COLUMNS", None)
    process = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=environment, close_fds=True)
    os.close(its)
    output = b""
    while True:
        ready, _, _ = select.select([mine], [], [], 60)
        assert ready, "nothing was written for a minute"
        try:
            part = os.read(mine, 65536)
        except OSError:
            break
        if not part:
            break
        output += part
    os.close(mine)
    return process.wait(timeout=60), output.decode()


@pytest.mark.skipif(os.name != "posix", reason="a pseudo-terminal")
@pytest.mark.parametrize("columns", [100, 40])
def test_in_a_terminal_one_line_is_redrawn_and_never_wraps(data, tmp_path, columns):
    options = ["--model", "lenet5", "--epochs", "2", "--batch-size", "1", "--out", str(tmp_path / "run")]
    status, output = in_terminal([*COMMAND, "train", str(data), *options, "--augment", "none"], columns)
    assert status == 0, output
    redrawn = [
        part for line in output.split("\n") for part in line.rstrip("\r").split("\r")[1:] if part.strip()
    ]
    assert redrawn and any("%" in part for part in redrawn)
    # A line that stays may be long; one that is redrawn must fit.
    assert all(len(part) < columns for part in redrawn if "%" in part)
    assert "2/2" in output and "saved" in output


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_says_the_command_that_resumes(run, data, tmp_path, number, status):
    whole, _ = run
    out = tmp_path / "a run"
    options = ["--model", "lenet5", "--epochs", "2", "--batch-size", "6", "--seed", "5", "--out", str(out)]
    code = (
        "import os, signal, sys\n"
        "from cnnrs import cli\n"
        "from cnnrs.runs.callbacks import EpochOrder\n"
        "begin = EpochOrder.on_train_batch_end\n"
        "def end(self, batch, logs=None):\n"
        f"    if (self._batches.epoch, batch) == (1, 1): os.kill(os.getpid(), {int(number)})\n"
        "EpochOrder.on_train_batch_end = end\n"
        "sys.exit(cli.main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", code, "train", str(data), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == status, done.stderr
    assert f"saved; resume with:\n  cnnrs resume '{out}'" in done.stderr and "Traceback" not in done.stderr
    again = subprocess.run(
        [*COMMAND, "resume", str(out), "--json"], capture_output=True, text=True, timeout=120
    )
    assert again.returncode == 0 and json.loads(again.stdout)["epochs"] == 2, again.stderr
    for name in ("model.keras", "last.keras", "run.toml"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()


def test_a_file_repeats_a_run_and_flags_go_before_it(run, tmp_path, capsys):
    out, _ = run
    assert cli.main(["train", str(out / "run.toml"), "--out", str(tmp_path / "same"), "--quiet"]) == 0
    assert (tmp_path / "same" / "last.keras").read_bytes() == (out / "last.keras").read_bytes()
    assert cli.main(
        ["train", str(out / "run.toml"), "--epochs", "1", "--out", str(tmp_path / "other"), "--quiet"]
    ) == 0  # fmt: skip
    assert runs.Settings.load(tmp_path / "other" / "run.toml").epochs == 1
    capsys.readouterr()


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


def test_a_run_that_is_over_trains_to_more_epochs_with_the_bits_of_a_longer_one(data, tmp_path, capsys):
    def train(out, epochs):
        options = ["--model", "lenet5", "--batch-size", "6", "--seed", "5", "--schedule", "constant"]
        options += ["--epochs", str(epochs), "--out", str(tmp_path / out), "--quiet", "--no-report"]
        assert cli.main(["train", str(data), *options]) == 0

    train("long", 3)
    train("short", 1)
    short = str(tmp_path / "short")
    capsys.readouterr()
    assert cli.main(["resume", short]) == 1
    assert f"`cnnrs resume {short} --epochs N`" in capsys.readouterr().err
    assert cli.main(["resume", short, "--epochs", "1"]) == 2
    assert "has 1 already, expected more, received 1" in capsys.readouterr().err
    for epochs in (2, 3):
        arguments = ["resume", short, "--epochs", str(epochs), "--quiet", "--no-report", "--json"]
        assert cli.main(arguments) == 0
        assert json.loads(capsys.readouterr().out)["epochs"] == epochs
    for name in ("model.keras", "last.keras", "run.toml"):
        assert (tmp_path / "short" / name).read_bytes() == (tmp_path / "long" / name).read_bytes()
    assert len((tmp_path / "short" / "history.csv").read_text().splitlines()) == 4
    shutil.rmtree(tmp_path / "short" / "state")
    assert cli.main(["resume", short, "--epochs", "9"]) == 1
    assert "the state of its training is not there" in capsys.readouterr().err
    assert runs.Settings.load(tmp_path / "short" / "run.toml").epochs == 3


def test_an_interrupted_run_is_resumed_to_more_epochs(data, tmp_path):
    class Stop(cnnrs.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                os.kill(os.getpid(), signal.SIGINT)

    given = runs.Settings(data=str(data), model="lenet5", epochs=2, batch_size=6, seed=5)
    with pytest.raises(runs.Interrupted):
        runs.train(given, tmp_path / "run", progress=False, check=False, report=False, callbacks=[Stop()])
    result = runs.resume(tmp_path / "run", progress=False, report=False, epochs=4)
    assert result.epochs == 4 and runs.Settings.load(tmp_path / "run" / "run.toml").epochs == 4
    rates = [row["learning_rate"] for row in result.history]
    # The schedule is that of four epochs from where it went on: it ends at zero there, and not before.
    assert rates[-1] == 0 and min(rates[:-1]) > 0
    # A folder of its own, and the one that a longer run takes up again.
    assert (tmp_path / "run" / "state").is_dir() and not (tmp_path / "run" / "snapshot").exists()


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


def test_check_looks_and_overfits_one_batch_and_trains_nothing(data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = ["train", str(data), "--model", "lenet5", "--check", "--json"]
    assert cli.main(shown) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["facts"]["samples"] == 18 and found["findings"] == []
    assert cli.main([*shown[:-2], "--overfit-one-batch", "--augment", "none"]) == 0
    assert "learnt by heart" in capsys.readouterr().out
    other = tmp_path / "photos"
    shutil.copytree(data, other)
    for number in range(90):
        name = other / photos.CLASSES[0] / f"{number}.png"
        cnnrs.utils.save_img(name, np.random.default_rng(number).integers(0, 255, (24, 24, 3)), scale=False)
    shutil.copy(other / photos.CLASSES[1] / "0.png", other / photos.CLASSES[2] / "copy.png")
    assert cli.main(["train", str(other), "--model", "lenet5", "--check"]) == 0
    assert "imbalance: 72 samples of 'кошка' and 6 of 'птица'" in capsys.readouterr().out
    assert os.listdir(tmp_path) == ["photos"]


def test_warnings_come_as_lines_and_each_once(data, tmp_path):
    other = tmp_path / "photos"
    shutil.copytree(data, other)
    for name in photos.CLASSES:
        for number in range(8):
            path = other / name / f"{number}.png"
            cnnrs.utils.save_img(
                other / name / f"{number}-again.png", cnnrs.utils.load_img(path), scale=False
            )
    command = [
        *COMMAND,
        "train",
        str(other),
        "--model",
        "lenet5",
        "--epochs",
        "1",
        "--out",
        str(tmp_path / "run"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("cnnrs: warning: ")]
    assert "of the validation are in training, too" in line
    assert "  do: take them out of one" in done.stderr


def test_lr_find_suggests_a_rate(data, capsys):
    assert cli.main(["lr-find", str(data), "--model", "lenet5", "--steps", "20", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert 1e-6 < found["suggestion"] < 10 and len(found["losses"]) == len(found["learning_rates"])
    assert cli.main(["lr-find", str(data), "--model", "lenet5", "--steps", "20"]) == 0
    assert "next: cnnrs train" in capsys.readouterr().out


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


def test_a_folder_is_chosen_where_none_is_given(data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("run", "run-2"):
        assert cli.main(["train", str(data), "--model", "lenet5", "--epochs", "1", "--quiet"]) == 0
        assert (tmp_path / name / "model.keras").exists()
    assert cli.main(["train", str(data), "--model", "lenet5", "--epochs", "1", "--out", "run"]) == 1
    assert "--overwrite replaces it" in capsys.readouterr().err


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


def test_a_report_is_served_while_training(data, tmp_path, capfd, monkeypatch):
    import urllib.request

    from cnnrs.runs.callbacks import EpochOrder

    seen = []
    begin = EpochOrder.on_epoch_begin

    def look(self, epoch, logs=None):
        begin(self, epoch, logs)
        if epoch == 1:
            (address,) = re.findall(r"^report: (\S+)$", capfd.readouterr().err, re.MULTILINE)
            with urllib.request.urlopen(address, timeout=30) as answer:
                seen.append((address, answer.read().decode()))

    monkeypatch.setattr(EpochOrder, "on_epoch_begin", look)
    options = ["--model", "lenet5", "--epochs", "2", "--out", str(tmp_path / "run"), "--live", "--no-report"]
    assert cli.main(["train", str(data), *options]) == 0
    ((address, page),) = seen
    assert "val_accuracy" in page and not (tmp_path / "run" / "report.html").exists()
    with pytest.raises(OSError):
        urllib.request.urlopen(address, timeout=5)


def test_a_run_that_fails_says_how_it_goes_on(data, tmp_path, monkeypatch, capsys):
    from cnnrs.runs.callbacks import HistoryFile

    end = HistoryFile.on_epoch_end

    def fail(self, epoch, logs=None):
        if epoch == 1:
            raise OSError(28, "No space left on device", str(self.path))
        end(self, epoch, logs)

    out = tmp_path / "run"
    monkeypatch.setattr(HistoryFile, "on_epoch_end", fail)
    options = ["--model", "lenet5", "--epochs", "2", "--out", str(out), "--quiet"]
    assert cli.main(["train", str(data), *options]) == 1
    errors = capsys.readouterr().err
    assert f"cnnrs resume {out}" in errors and "No space left on device" in errors
    monkeypatch.setattr(HistoryFile, "on_epoch_end", end)
    assert cli.main(["resume", str(out), "--quiet"]) == 0
    assert "2 epochs" in capsys.readouterr().out
