"""Commands that train: their lines, signals upon which they save, and how they go on."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import command_runs
import numpy as np
import photos
import pytest
from command_runs import COMMAND, in_terminal

import cnnrs
from cnnrs import cli, runs


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return photos.write(tmp_path_factory.mktemp("data") / "photos", size=24)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    return command_runs.trained(data, tmp_path_factory.mktemp("runs") / "run")


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


def test_a_folder_is_chosen_where_none_is_given(data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("run", "run-2"):
        assert cli.main(["train", str(data), "--model", "lenet5", "--epochs", "1", "--quiet"]) == 0
        assert (tmp_path / name / "model.keras").exists()
    assert cli.main(["train", str(data), "--model", "lenet5", "--epochs", "1", "--out", "run"]) == 1
    assert "--overwrite replaces it" in capsys.readouterr().err


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
