"""Data of files beside what Keras on TensorFlow makes of the same: tests/fixtures/make_keras_data.py."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from cnnrs import utils
from cnnrs.preprocessing.image import ImageDataGenerator

pytest.importorskip("PIL")
FIXTURES = Path(__file__).parents[1] / "fixtures"
sys.path.insert(0, str(FIXTURES))
import data_cases as cases  # noqa: E402

FACTS = json.loads((FIXTURES / "keras_data.json").read_text("utf-8"))
ARRAYS = dict(np.load(FIXTURES / "keras_data.npz"))
QUIET = {"shuffle": False, "verbose": False}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    made = tmp_path_factory.mktemp("files")
    cases.make_files(made)
    return made


@pytest.mark.parametrize("name", [n for n in ARRAYS if n.startswith("resized/")])
def test_images_are_resized_as_in_keras(root, name):
    _, interpolation, ratio = name.split("/")
    data = utils.image_dataset_from_directory(
        root / "images", image_size=(5, 4), interpolation=interpolation, **cases.RATIOS[int(ratio)], **QUIET
    )
    # TensorFlow looks weights of "bicubic" up in a table, and rounds others differently.
    atol = 0.5 if interpolation == "bicubic" else 2e-3
    np.testing.assert_allclose(next(iter(data))[0].numpy()[:4], ARRAYS[name], atol=atol, rtol=0)


@pytest.mark.parametrize("color", cases.COLORS)
def test_colors_are_those_of_keras(root, color):
    data = utils.image_dataset_from_directory(
        root / "images", image_size=(7, 9), color_mode=color, batch_size=1, **QUIET
    )
    found = next(iter(data))[0].numpy()
    # Pillow and TensorFlow round greys to either side.
    np.testing.assert_allclose(found, ARRAYS[f"color/{color}"], atol=1.001 if color == "grayscale" else 1e-3)


@pytest.mark.parametrize("mode", ["int", "categorical"])
def test_labels_are_those_of_keras(root, mode):
    found = next(iter(utils.image_dataset_from_directory(root / "images", label_mode=mode, **QUIET)))[1]
    expected = ARRAYS[f"labels/{mode}"]
    np.testing.assert_array_equal(found.numpy(), expected)
    assert found.dtype == expected.dtype


@pytest.mark.parametrize("kind", ["images", "texts", "sounds"])
@pytest.mark.parametrize(("seed", "subset"), cases.SPLITS)
def test_splits_have_the_files_of_keras(root, kind, seed, subset):
    function = {
        "images": utils.image_dataset_from_directory,
        "texts": utils.text_dataset_from_directory,
        "sounds": utils.audio_dataset_from_directory,
    }[kind]
    split = {"validation_split": 0.3, "seed": seed, "verbose": False}
    data = function(root / kind, subset=subset, **split)
    expected = FACTS[f"split/{seed}/{subset}"]
    found = [Path(os.path.relpath(path, root / kind)).with_suffix("").as_posix() for path in data.file_paths]
    assert found == [Path(path).with_suffix("").as_posix() for path in expected]
    both = function(root / kind, subset="both", **split)
    assert both[subset == "validation"].file_paths == data.file_paths


def test_texts_and_sounds_are_those_of_keras(root):
    texts = next(iter(utils.text_dataset_from_directory(root / "texts", **QUIET)))[0]
    assert [text.decode() for text in texts.numpy()] == FACTS["texts"]
    for name, length in (("longest", None), ("five", 5)):
        data = utils.audio_dataset_from_directory(root / "sounds", output_sequence_length=length, **QUIET)
        np.testing.assert_array_equal(next(iter(data))[0].numpy(), ARRAYS[f"sounds/{name}"])


@pytest.mark.parametrize("name", list(cases.DATASETS))
def test_data_sets_have_the_order_of_keras(tmp_path, monkeypatch, name):
    module = importlib.import_module(f"cnnrs.datasets.{name}")
    content = cases.archives()[name]
    path = tmp_path / f"{name}.npz"
    path.write_bytes(content)
    monkeypatch.setattr(module, "_SHA256", hashlib.sha256(content).hexdigest())
    for call, expected in zip(cases.DATASETS[name], FACTS[f"dataset/{name}"], strict=True):
        assert cases.as_lists(module.load_data(path=path, **call)) == expected


@pytest.mark.parametrize("seed", cases.SEEDS)
@pytest.mark.parametrize("name", list(cases.GENERATORS))
def test_generators_transform_as_in_keras(name, seed):
    arguments = cases.GENERATORS[name]
    x = cases.images(6)
    made = ImageDataGenerator(**arguments)
    if "feature" in str(arguments):
        made.fit(x)
    given = x.copy()
    batches = made.flow(given, np.arange(6), batch_size=4, seed=seed)
    drawn = [next(batches) for _ in range(2)]
    labels = np.concatenate([y for _, y in drawn])
    assert labels.tolist() == FACTS[f"generator/{name}/{seed}"]
    found, expected = np.concatenate([a for a, _ in drawn]), ARRAYS[f"generator/{name}/{seed}"]
    np.testing.assert_allclose(found, expected, atol=2e-3, rtol=1e-4)
    np.testing.assert_array_equal(given, x)


@pytest.mark.parametrize("subset", ["training", "validation"])
def test_generators_of_directories_are_those_of_keras(root, subset, capsys):
    made = ImageDataGenerator(validation_split=0.25, rescale=0.5)
    batches = made.flow_from_directory(root / "images", (4, 5), class_mode="sparse", seed=1, subset=subset)
    names, classes = FACTS[f"directory/{subset}"]
    assert [Path(name).as_posix() for name in batches.filenames] == names
    assert batches.classes.tolist() == classes
    np.testing.assert_array_equal(next(batches)[0], ARRAYS[f"directory/{subset}"])
    assert capsys.readouterr().out == f"Found {len(names)} images belonging to 4 classes.\n"
