"""The command line as a user calls it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

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


def test_doctor_says_what_packed_filters_take(capsys):
    cnnrs.config.release_memory()
    model = cnnrs.applications.LeNet5()
    model.predict(np.zeros((1, 28, 28, 1), np.float32), verbose=0)
    info = cnnrs.config.memory_info()
    assert info["packed"] > 0 and cli.main(["doctor"]) == 0
    line = f"packed filters +{info['packed']:,} bytes, at most {info['packed_limit']:,}"
    assert re.search(f"^{line}", capsys.readouterr().out, re.MULTILINE)


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


ENDS = [pytest.param(signal.SIGINT, 130, id="SIGINT"), pytest.param(signal.SIGTERM, 143, id="SIGTERM")]


def signal_when(monkeypatch, owner, name, number, times=1):
    """Has this process send itself a signal when a function is called, and again when it is done."""
    function = getattr(owner, name)

    def send():
        # It would end all tests.
        assert signal.getsignal(number) is not signal.SIG_DFL
        os.kill(os.getpid(), number)

    def calling(*args, **kwargs):
        for _ in range(times):
            send()
        result = function(*args, **kwargs)
        send()
        return result

    monkeypatch.setattr(owner, name, calling)


FEW_IMAGES = 20_000
FEW = f"""
import sys
import cnnrs
from cnnrs import cli
(x, y), test = cnnrs.datasets.mnist.load_data()
cnnrs.datasets.mnist.load_data = lambda: ((x[:{FEW_IMAGES}], y[:{FEW_IMAGES}]), test)
sys.exit(cli.main(sys.argv[1:]))
"""


def in_its_second_epoch(path):
    """The process of a training, in the course of its second epoch."""
    options = ["--epochs", "1000", "--batch-size", "250", "--output", path]
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", FEW, "train", "mnist", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if line.startswith("Epoch 2/"):
            break
    return process


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "status"), ENDS)
def test_a_training_that_ends_within_an_epoch_saves_those_before(tmp_path, number, status):
    path = tmp_path / "m.safetensors"
    process = in_its_second_epoch(path)
    time.sleep(0.1)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status
    saved = re.search(rf"saved {path} as of the end of epoch (\d+) of 1000", errors)
    assert saved and "Traceback" not in errors, errors
    model = cnnrs.models.load_model(path)
    # Of the epoch that was not over there is nothing in it.
    assert int(model.optimizer.iterations) == int(saved[1]) * FEW_IMAGES // 250
    assert model.predict(np.zeros((1, 28, 28, 1), np.float32), verbose=0).shape == (1, 10)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "status"), ENDS)
def test_a_training_that_ends_in_its_first_epoch_says_that_nothing_is_saved(
    tmp_path, monkeypatch, capsys, small_mnist, number, status
):
    path = tmp_path / "m.safetensors"
    path.write_text("old")
    signal_when(monkeypatch, cnnrs.callbacks.ProgbarLogger, "on_epoch_begin", number)
    assert cli.main(["train", "mnist", "--epochs", "3", "--output", str(path)]) == status
    errors = capsys.readouterr().err
    assert "nothing saved: epoch 1 of 3 was not over" in errors
    assert ("terminated" if number == signal.SIGTERM else "interrupted") in errors
    assert path.read_text() == "old"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "status"), ENDS)
def test_a_training_that_ends_after_its_last_epoch_is_saved(
    tmp_path, monkeypatch, capsys, small_mnist, number, status
):
    path = tmp_path / "m.safetensors"
    signal_when(monkeypatch, cnnrs.Model, "evaluate", number)
    assert cli.main(["train", "mnist", "--epochs", "2", "--output", str(path)]) == status
    assert f"saved {path} as of the end of epoch 2 of 2" in capsys.readouterr().err
    assert int(cnnrs.models.load_model(path).optimizer.iterations) == 2 * -(-2000 // 64)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_further_signals_do_not_stop_the_saving(tmp_path, monkeypatch, capsys, small_mnist):
    path = tmp_path / "m.safetensors"
    path.write_text("old")
    handler = signal.getsignal(signal.SIGINT)
    signal_when(monkeypatch, cnnrs.Model, "evaluate", signal.SIGINT)
    signal_when(monkeypatch, cnnrs.saving.files, "write", signal.SIGINT, times=3)
    assert cli.main(["train", "mnist", "--epochs", "1", "--output", str(path)]) == 130
    assert f"saved {path} as of the end of epoch 1 of 1" in capsys.readouterr().err
    assert cnnrs.models.load_model(path).count_params() > 0
    assert os.listdir(tmp_path) == ["m.safetensors"]
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_signal_during_the_last_save_leaves_the_new_file(tmp_path, monkeypatch, capsys, small_mnist):
    path = tmp_path / "m.safetensors"
    path.write_text("old")
    signal_when(monkeypatch, cnnrs.saving.files, "write", signal.SIGINT)
    assert cli.main(["train", "mnist", "--epochs", "1", "--output", str(path)]) == 130
    assert "as of the end of epoch 1 of 1" in capsys.readouterr().err
    assert cnnrs.models.load_model(path).count_params() > 0


@pytest.mark.skipif(os.name != "posix", reason="a pipe of POSIX")
def test_a_training_whose_reader_goes_is_saved(tmp_path):
    path = tmp_path / "m.safetensors"
    process = in_its_second_epoch(path)
    process.stdout.close()
    assert f"saved {path} as of the end of epoch" in process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 141
    assert cnnrs.models.load_model(path).count_params() > 0


@pytest.mark.skipif(os.name != "posix", reason="a pipe of POSIX")
@pytest.mark.parametrize("command", ["doctor", "profile lenet5", "--help"])
def test_a_reader_that_goes_ends_commands_quietly(command):
    reading, writing = os.pipe()
    os.close(reading)
    # One of the drivers that `doctor` asks prints what it misses, unless it is told not to look for it.
    environment = {**os.environ, "NODEVICE_SELECT": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "cnnrs", *command.split()],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    os.close(writing)
    assert done.stderr == ""
