"""The Python examples run, and say what they should."""

from __future__ import annotations

import glob
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, *arguments: str) -> str:
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("name", "arguments", "least"),
    [
        ("train_mnist.py", ["--epochs", "1", "--images", "19200"], 90),
        ("custom_loop.py", ["--steps", "120"], 80),
        ("train_on_gpu.py", ["--epochs", "1", "--images", "19200"], 80),
    ],
)
def test_examples_that_learn(name, arguments, least):
    found = re.search(r"test accuracy ([\d.]+)%", run(name, *arguments))
    assert found and float(found[1]) > least


@pytest.mark.skipif(
    not glob.glob("/usr/share/vulkan/icd.d/lvp_icd*"), reason="lavapipe is not installed: the GPU did not run"
)
def test_a_gpu_is_used_where_there_is_one(monkeypatch):
    monkeypatch.setenv("CNNRS_ADAPTER", "software")
    monkeypatch.setenv("NODEVICE_SELECT", "1")
    said = run("train_on_gpu.py", "--epochs", "1", "--images", "1280")
    assert "trained on gpu:0; the weights lie on gpu:0" in said
    accuracy = re.search(r"test accuracy ([\d.]+)%", said)
    assert accuracy and float(accuracy[1]) > 30


def test_resumed_training_has_the_same_bits():
    assert run("save_and_resume.py").strip() == "the same bits"


@pytest.mark.parametrize(
    ("name", "arguments", "rows"),
    [
        ("lenet_since_1998.py", ["--epochs", "1", "--images", "1280"], 7),
        ("vgg_against_resnet.py", ["--pairs", "1", "2", "--epochs", "1", "--images", "640"], 8),
    ],
)
def test_tables_of_examples(name, arguments, rows):
    head, *lines = run(name, *arguments).splitlines()
    assert "weights" in head and len(lines) == rows
    # Weights grow along the table, and each row ends in a figure of the test.
    weights = [int(re.search(r" ([\d,]{4,}) ", line)[1].replace(",", "")) for line in lines]
    assert weights[0] < weights[-1]
    assert all(re.search(r"(\d+|[\d.]+%)$", line) for line in lines)


def test_a_taught_student_is_told_apart():
    said = run("distill.py", "--epochs", "1", "--images", "6400", "--few", "640")
    shares = [float(share) for share in re.findall(r"([\d.]+)%", said)]
    assert len(shares) == 3 and shares[0] > max(50.0, *shares[1:])


def test_old_features_help_with_new_digits():
    said = run("transfer.py", "--epochs", "1", "--images", "12800")
    old, scratch, frozen, further = [float(share) for share in re.findall(r"([\d.]+)%", said)]
    assert old > 90 and min(scratch, frozen, further) > 50


def test_an_ablation_has_a_row_for_each_thing():
    said = run("ablation.py", "--epochs", "2", "--images", "100", "--seeds", "2", "--tests", "200")
    head, *lines = said.splitlines()
    assert head.split() == ["weights", "train", "loss", "test", "errors", "range"] and len(lines) == 10
    rows = [re.search(r"([\d,]+) +([\d.]+) +(\d+) +(\d+)–(\d+)$", line).groups() for line in lines]
    for _, loss, mean, least, most in rows:
        assert 0.5 < float(loss) < 3.0 and 0 < int(least) <= int(mean) <= int(most) <= 200
    # Only batch normalisation and CBAM have weights.
    weights = [int(row[0].replace(",", "")) for row in rows]
    assert weights[0] < weights[1] < weights[5] and len(set(weights)) == 3


def test_a_detector_learns_and_shows_what_it_finds(tmp_path):
    picture = tmp_path / "found.svg"
    sizes = ["--epochs", "25", "--images", "32", "--tests", "8", "--extent", "64"]
    said = run("detector.py", *sizes, "--picture", str(picture))
    first, last = re.search(r"loss ([\d.]+) at first, ([\d.]+) at last", said).groups()
    assert float(last) < 0.8 * float(first)
    precision = re.search(r"AP ([\d.]+), AP50 ([\d.]+) on 8 images", said)
    assert precision and 0.0 <= float(precision[1]) <= float(precision[2]) <= 1.0
    assert picture.read_text().startswith("<svg")


def test_a_unet_tells_shapes_from_the_ground(tmp_path):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "found.svg"
    sizes = ["--epochs", "8", "--images", "64", "--tests", "16", "--extent", "32", "--filters", "4"]
    said = run("unet_shapes.py", *sizes, "--cutmix", "--picture", str(picture))
    shares = {name: float(share) for name, share in re.findall(r"IoU of (\w+) +([\d.]+)", said)}
    assert set(shares) == {"ground", "square", "disc", "ring"} and shares["ground"] > 0.6
    assert picture.stat().st_size < 100_000


def test_embeddings_know_digits_that_they_never_saw():
    said = run(
        "metric_learning.py",
        *("--epochs", "1", "--images", "6400"),
        *("--methods", "softmax and centres", "triplets, hard"),
    )
    head, *lines = said.splitlines()
    assert head.split()[:2] == ["learnt", "by"] and len(lines) == 3
    for line in lines:
        old, new = (float(share) for share in re.findall(r"([\d.]+)%", line))
        assert old > 80 and new > 50


def test_a_convolution_learns_to_find_edges(tmp_path):
    said = run("edges.py", "--size", "96", "--epochs", "240", "--picture", str(tmp_path / "edges.png"))
    assert (tmp_path / "edges.png").stat().st_size > 10_000
    filters, kernel = said.split("a convolution that learned to find edges:")
    assert len(filters.splitlines()) == 7
    found = [float(number) for number in re.findall(r"-?\d+\.\d*", kernel)]
    assert found == pytest.approx([-1, 0, 1, -2, 0, 2, -1, 0, 1], abs=0.1)


def test_every_example_is_run_here():
    tested = Path(__file__).read_text()
    assert all(f'"{path.name}"' in tested for path in EXAMPLES.glob("*.py"))
