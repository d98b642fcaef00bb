"""The command line as a user calls it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

import cnnrs
from cnnrs import cli


def test_version_and_module_entry():
    command = [sys.executable, "-m", "cnnrs", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"cnnrs {cnnrs.__version__}\n"


def test_doctor_names_tier_threads_and_versions(capsys):
    assert cli.main(["doctor"]) == 0
    printed = capsys.readouterr().out
    for name in ("cnnrs", "Python", "numpy", "system", "threads"):
        assert re.search(rf"^{name}\s", printed, re.MULTILINE), printed
    assert re.search(r"avx512|avx2|neon|scalar", printed), printed


def test_doctor_shows_settings(capsys, monkeypatch):
    monkeypatch.setenv("CNNRS_SEED", "17")
    assert cli.main(["doctor"]) == 0
    assert re.search(r"^CNNRS_SEED\s+17$", capsys.readouterr().out, re.MULTILINE)


@pytest.fixture
def small_mnist(monkeypatch):
    """The first images of MNIST in place of all of them."""
    (x_train, y_train), (x_test, y_test) = cnnrs.datasets.mnist.load_data()
    small = (x_train[:2000], y_train[:2000]), (x_test[:500], y_test[:500])
    monkeypatch.setattr(cnnrs.datasets.mnist, "load_data", lambda: small)
    return small


def test_train_prints_the_accuracy_and_saves_what_it_trained(tmp_path, capsys, small_mnist):
    output = tmp_path / "m.safetensors"
    arguments = ["train", "mnist", "--epochs", "3", "--seed", "5", "--output", str(output)]
    assert cli.main(arguments) == 0
    printed = capsys.readouterr().out
    accuracy = float(re.search(r"^test accuracy ([0-9.]+)", printed, re.MULTILINE)[1])
    assert accuracy > 0.8
    model = cnnrs.models.load_model(output)
    x, y = small_mnist[1]
    predicted = model.predict(x[..., None].astype(np.float32) / 255, verbose=0).argmax(-1)
    assert np.mean(predicted == y) == pytest.approx(accuracy, abs=1e-4)


def test_a_seed_makes_the_run_repeatable(tmp_path, capsys, small_mnist):
    weights = []
    for name in ("a", "b"):
        output = tmp_path / f"{name}.safetensors"
        cli.main(["train", "mnist", "--epochs", "1", "--seed", "5", "--output", str(output)])
        weights.append(cnnrs.models.load_model(output).get_weights())
    for first, second in zip(*weights, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "mnist", "--epochs", "0"], "positive integer, received '0'"),
        (["train", "mnist", "--epochs", "x"], "--epochs: expected a positive integer, received 'x'"),
        (["train", "mnist", "--batch-size", "2.5"], "--batch-size: expected a positive integer"),
        (["train", "mnist", "--learning-rate", "nan"], "--learning-rate: expected a positive number"),
        (["train", "mnist", "--learning-rate", "-1"], "--learning-rate: expected a positive number"),
        (["train", "mnist", "--seed", "-3"], "--seed: expected an integer from 0"),
        (["train", "fashion"], "mnist"),
        ([], "command"),
    ],
)
def test_wrong_arguments_exit_with_status_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("none/m.safetensors", "no folder"),
        (".", "is a folder"),
        ("m.txt", ".safetensors"),
        ("m.weights.safetensors", "file of weights"),
        ("pipe.safetensors", "a FIFO, not a regular file"),
        ("dangling.safetensors", "No such file"),
        ("m\0.safetensors", "NUL"),
        pytest.param(
            "/proc/m.safetensors",
            "m.safetensors",
            marks=pytest.mark.skipif(
                sys.platform != "linux", reason="a folder that takes no files of root's"
            ),
        ),
    ],
)
def test_an_unusable_output_is_found_before_training(tmp_path, monkeypatch, output, message, capsys):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.safetensors")
    os.symlink("none/m.safetensors", "dangling.safetensors")
    monkeypatch.setattr(cnnrs.datasets.mnist, "load_data", lambda: pytest.fail("training began"))
    assert cli.main(["train", "mnist", "--output", output]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("training", [False, True])
def test_profile_names_every_kernel_of_a_step(capsys, training):
    command = ["profile", "lenet5", "--batch", "4", "--repeats", "2"]
    assert cli.main([*command, "--training"] if training else command) == 0
    *rows, total = capsys.readouterr().out.splitlines()
    milliseconds = [float(row.split()[0]) for row in rows[1:]]
    assert milliseconds == sorted(milliseconds, reverse=True)
    assert "ms in all on" in total
    assert 0 < sum(milliseconds) <= 2 * float(total.split()[0])
    kernels = "".join(rows)
    assert all(layer in kernels for layer in ("conv1", "conv2", "fc1", "fc2", "predictions"))
    assert ("filter_grad" in kernels) == training


def test_profile_refuses_what_it_cannot_run():
    model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
    with pytest.raises(ValueError, match="repeats"):
        cnnrs.utils.profile(model, np.ones((1, 2)), repeats=0)
    with pytest.raises(ValueError, match="compile"):
        cnnrs.utils.profile(model, np.ones((1, 2)), np.ones((1, 1)))


def test_an_interrupted_training_saves_the_epochs_that_are_done(tmp_path):
    path = tmp_path / "m.safetensors"
    command = [sys.executable, "-u", "-m", "cnnrs", "train", "mnist", "--epochs", "1000", "--output", path]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    # The second epoch has begun.
    for line in process.stdout:
        if line.startswith("Epoch 2/"):
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "of 1000 epochs; saved" in errors and "interrupted" in errors and "Traceback" not in errors
    images = np.zeros((1, 28, 28, 1), np.float32)
    assert cnnrs.models.load_model(path).predict(images, verbose=0).shape == (1, 10)


@pytest.mark.skipif(os.name != "posix", reason="a pipe of POSIX")
@pytest.mark.parametrize("command", ["doctor", "profile lenet5", "--help"])
def test_a_reader_that_goes_ends_commands_quietly(command):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "cnnrs", *command.split()], stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    assert done.stderr == ""
