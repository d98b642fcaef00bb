"""Mistakes that are looked for before training: each is found, and what is none is not."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

import cnnrs
from cnnrs import layers, losses, sanity

RNG = np.random.default_rng(0)
IMAGES = RNG.random((60, 8, 8, 1)).astype("float32")
LABELS = RNG.permutation(np.arange(60) % 3)


def classifier(*before, units=3, activation="softmax", loss="sparse_categorical_crossentropy"):
    model = cnnrs.Sequential(
        [cnnrs.Input((8, 8, 1)), *before, layers.Conv2D(2, 3), layers.Flatten(),
         layers.Dense(units, activation=activation)]
    )  # fmt: skip
    model.compile("adam", loss, metrics=["accuracy"])
    return model


def codes(*args, **kwargs):
    return sanity.check(*args, **kwargs).codes


def test_a_sound_model_and_sound_data_give_nothing():
    validation = RNG.random((20, 8, 8, 1)).astype("float32"), np.arange(20) % 3
    assert codes(classifier(), IMAGES, LABELS, validation_data=validation) == []
    rows = np.eye(3)[LABELS]
    assert codes(classifier(loss="categorical_crossentropy"), IMAGES, rows) == []
    logits = losses.SparseCategoricalCrossentropy(from_logits=True)
    assert codes(classifier(activation=None, loss=logits), IMAGES, LABELS) == []
    binary = classifier(units=1, activation="sigmoid", loss="binary_crossentropy")
    assert codes(binary, IMAGES, LABELS % 2) == []
    regression = cnnrs.Sequential([cnnrs.Input((4,)), layers.Dense(1)])
    regression.compile("sgd", "mse")
    assert codes(regression, RNG.normal(size=(30, 4)) * 1000, np.arange(30)) == []


def test_findings_are_shown_with_what_to_do():
    findings = sanity.check(None, IMAGES, np.zeros(60, int))
    assert str(findings) == (
        "error: one-class: all labels are '0'\n"
        "  do: look at how labels are made: a network learns nothing from one class"
    )
    assert len(findings) == 1 and findings.errors[0].as_dict()["code"] == "one-class"
    assert str(sanity.check(None, IMAGES, LABELS)) == "nothing found"


WITH_NAN = np.where(RNG.random(IMAGES.shape) < 0.01, np.nan, IMAGES).astype("float32")
BYTES = (IMAGES * 255).astype("uint8")
RARE = np.array([0] * 55 + [1] * 5)


@pytest.mark.parametrize(
    ("code", "model", "x", "y", "options"),
    [
        ("not-finite", None, WITH_NAN, LABELS, {}),
        ("constant", None, np.ones_like(IMAGES), LABELS, {}),
        ("blank", None, np.concatenate([IMAGES[:50], np.zeros((10, 8, 8, 1), "float32")]), LABELS, {}),
        ("imbalance", None, IMAGES, RARE, {}),
        ("no-samples", None, IMAGES, LABELS, {"class_names": ["a", "b", "c", "d"]}),
        ("sorted", None, IMAGES, np.sort(LABELS), {"shuffle": False}),
        ("label-range", classifier(), IMAGES, LABELS + 1, {}),
        ("label-range", classifier(), IMAGES, LABELS - 1, {}),
        ("unscaled", classifier(), BYTES, LABELS, {}),
        ("unscaled", classifier(layers.RandomFlip()), BYTES.astype("float32"), LABELS, {}),
        ("scaled-twice", classifier(layers.Rescaling(1 / 255)), IMAGES, LABELS, {}),
        ("ranges", classifier(), IMAGES, LABELS, {"validation_data": (BYTES, LABELS)}),
        ("duplicates", None, IMAGES, LABELS, {"validation_data": (IMAGES[3:9], LABELS[3:9])}),
        ("label-rows", classifier(), IMAGES, np.eye(3)[LABELS], {}),
        ("label-rows", classifier(loss="categorical_crossentropy"), IMAGES, LABELS, {}),
        ("last-activation", classifier(activation="relu"), IMAGES, LABELS, {}),
        ("logits-as-probabilities", classifier(activation=None), IMAGES, LABELS, {}),
        (
            "probabilities-as-logits",
            classifier(loss=losses.SparseCategoricalCrossentropy(from_logits=True)), IMAGES, LABELS, {},
        ),
        ("one-output", classifier(units=1, activation="sigmoid"), IMAGES, LABELS % 2, {}),
    ],
)  # fmt: skip
def test_each_mistake_is_found(code, model, x, y, options):
    findings = sanity.check(model, x, y, **options)
    assert findings.codes == [code], str(findings)
    assert all(len(finding.advice) > 10 for finding in findings)


def test_scaling_layers_take_bytes():
    for layer in (layers.Rescaling(1 / 255), layers.BatchNormalization()):
        assert codes(classifier(layer), BYTES, LABELS) == []
    inner = cnnrs.Sequential([cnnrs.Input((8, 8, 1)), layers.Rescaling(1 / 255)])
    assert codes(classifier(inner), BYTES, LABELS) == []
    inputs = cnnrs.Input((8, 8, 1))
    outputs = layers.Dense(3, activation="softmax")(layers.Flatten()(layers.Conv2D(2, 3)(inputs / 255.0)))
    model = cnnrs.Model(inputs, outputs)
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert codes(model, BYTES, LABELS) == []


def test_frozen_and_broken_models():
    model = classifier()
    model.trainable = False
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert codes(model, IMAGES, LABELS) == ["nothing-to-train"]
    model = classifier()
    model.set_weights([np.full_like(w, np.inf) for w in model.get_weights()])
    assert codes(model, IMAGES, LABELS) == ["outputs-not-finite"]


def test_data_sets_are_looked_at_and_can_be_gone_through_again():
    data = cnnrs.data.Dataset.from_tensor_slices((IMAGES, np.sort(LABELS))).batch(10)
    assert codes(classifier(), data) == ["sorted"]
    mixed = data.unbatch().shuffle(60, seed=1).batch(10)
    assert codes(classifier(), mixed) == []
    assert len(list(mixed)) == 6
    with pytest.raises(TypeError, match="gone through again"):
        sanity.check(None, iter([(IMAGES, LABELS)]))


@pytest.mark.parametrize(("length", "batch"), [(60, 32), (60, 20), (50, 64), (700, 32)])
def test_classes_in_blocks_are_found_whatever_the_batch(length, batch):
    x = RNG.random((3 * length, 4, 4, 1)).astype("float32")
    data = cnnrs.data.Dataset.from_tensor_slices((x, np.repeat([0, 1, 2], length))).batch(batch)
    assert codes(None, data) == ["sorted"]
    if batch < length:
        # A buffer that is shorter than a class mixes little.
        assert codes(None, data.unbatch().shuffle(10, seed=0).batch(batch)) == ["sorted"]
    assert codes(None, data.unbatch().shuffle(3 * length, seed=0).batch(batch)) == []


def test_samples_of_one_class_at_the_start_are_told_from_data_of_one_class():
    x = np.arange(90, dtype="float32").reshape(90, 1)
    data = cnnrs.data.Dataset.from_tensor_slices((x, np.repeat([0, 1, 2], 30))).batch(8)
    assert codes(None, data, samples=20) == ["sorted"]
    assert codes(None, data.take(3)) == ["one-class"]


def test_batches_that_hold_their_classes_in_order_are_mixed():
    labels = np.tile(np.repeat([0, 1, 2], 10), 8)
    data = cnnrs.data.Dataset.from_tensor_slices((np.zeros((240, 1)) + labels[:, None], labels)).batch(30)
    assert codes(None, data) == []
    rare = (RNG.random(400) < 0.15).astype(int)
    data = cnnrs.data.Dataset.from_tensor_slices((RNG.random((400, 2)), rare)).batch(16)
    assert codes(None, data) == []


def flat(*before, shape=(8, 8), has_input=True, units=3, activation="softmax"):
    first = [cnnrs.Input(shape)] if has_input else []
    model = cnnrs.Sequential([*first, *before, layers.Flatten(), layers.Dense(units, activation)])
    model.compile("adam", "sparse_categorical_crossentropy" if units > 1 else "binary_crossentropy")
    return model


def test_scripts_of_beginners():
    flat_bytes = BYTES.reshape(60, 8, 8)
    assert codes(flat(), flat_bytes, LABELS) == ["unscaled"]
    assert codes(flat(shape=(64,)), BYTES.reshape(60, 64).astype("float32"), LABELS) == ["unscaled"]
    assert codes(flat(layers.Rescaling(1 / 255)), flat_bytes, LABELS) == []
    assert codes(flat(layers.Rescaling(1 / 255)), IMAGES[..., 0], LABELS) == ["scaled-twice"]
    assert codes(flat(activation="sigmoid"), IMAGES[..., 0], LABELS) == ["last-activation"]
    # Words and tables are no pictures.
    words = flat(layers.Embedding(256, 2), shape=(64,))
    assert codes(words, BYTES.reshape(60, 64), LABELS) == []
    assert codes(flat(shape=(4,)), RNG.integers(0, 200, (60, 4)), LABELS) == []


def test_a_sequential_without_an_input_is_looked_at_and_stays_unbuilt():
    model = flat(has_input=False)
    state = cnnrs.random.state()
    assert codes(model, BYTES[..., 0], LABELS + 1) == ["label-range", "unscaled"]
    assert codes(model, IMAGES[..., 0], LABELS) == []
    assert not model.built and str(cnnrs.random.state()) == str(state)


def test_labels_below_zero_are_one_mistake():
    assert codes(flat(units=1, activation="sigmoid"), IMAGES[..., 0], LABELS % 2 * 2 - 1) == ["label-range"]
    assert codes(None, IMAGES, LABELS % 2 * 2 - 1) == []


def test_a_validation_that_is_split_off_sorted_arrays():
    findings = sanity.check(flat(), IMAGES[..., 0], np.sort(LABELS), validation_split=0.2)
    assert findings.codes == ["sorted"] and "all of class 2" in str(findings)
    found = sanity.check(flat(), IMAGES[..., 0], np.sort(LABELS), validation_split=0.4)
    assert found.codes[0] == "sorted" and "training has no sample of 2" in str(found)
    assert codes(flat(), IMAGES[..., 0], LABELS, validation_split=0.2) == []
    with pytest.raises(ValueError, match="validation_split"):
        sanity.check(None, IMAGES, LABELS, validation_split=0.2, validation_data=(IMAGES, LABELS))


def test_a_validation_of_other_classes():
    model, few = flat(), LABELS != 2
    data = IMAGES[..., 0]
    assert codes(model, data[few], LABELS[few], validation_data=(1 - data, LABELS)) == ["unseen-classes"]
    assert codes(model, data, LABELS, validation_data=(1 - data, LABELS + 1)) == [
        "label-range",
        "unseen-classes",
    ]
    assert codes(model, data, LABELS, validation_data=(1 - data, LABELS * 0)) == ["validation-classes"]


def test_copies_are_counted_by_samples():
    validation = np.repeat(IMAGES[:6], 5, axis=0), np.repeat(LABELS[:6], 5)
    assert "30 of 30 samples" in str(sanity.check(None, IMAGES, LABELS, validation_data=validation))
    found = str(sanity.check(None, IMAGES, LABELS, validation_data=validation, samples=60))
    assert "30 of 30" in found
    many = np.repeat(IMAGES, 5, axis=0), np.repeat(LABELS, 5)
    found = str(sanity.check(None, IMAGES, LABELS, validation_data=many, samples=60))
    assert "60 of 60 samples of the validation, of 300 in all, are" in found


def test_a_check_changes_nothing():
    model = classifier()
    before = [w.copy() for w in model.get_weights()]
    state = cnnrs.random.state()
    sanity.check(model, IMAGES, LABELS)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert str(cnnrs.random.state()) == str(state)


def test_one_batch_is_learnt_by_heart_and_all_is_put_back():
    model = classifier()
    before, optimizer = [w.copy() for w in model.get_weights()], model.optimizer
    found = sanity.overfit_one_batch(model, IMAGES, LABELS, learning_rate=0.02, batch_size=16)
    assert found.passed and found.accuracy >= 0.95 and "learnt by heart" in str(found)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert model.optimizer is optimizer


def test_a_model_that_learns_nothing_is_told():
    model = classifier(layers.Rescaling(0.0))
    found = sanity.overfit_one_batch(model, IMAGES, LABELS, steps=20)
    assert not found.passed and "do:" in str(found)


def test_the_networks_of_the_examples_raise_no_alarm():
    (x, y), test = cnnrs.datasets.mnist.load_data()
    x = x[:200, ..., None].astype("float32") / 255
    model = cnnrs.applications.LeNet5()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    validation = test[0][:200, ..., None].astype("float32") / 255, test[1][:200]
    assert codes(model, x, y[:200], validation_data=validation) == []


class Looked(Exception):
    """Ends an example once its first model has been looked at."""


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("train_mnist.py", ["--epochs", "1", "--images", "640"]),
        ("lenet_since_1998.py", ["--epochs", "1", "--images", "320"]),
        ("vgg_against_resnet.py", ["--pairs", "1", "--epochs", "1", "--images", "320"]),
        ("distill.py", []),
        ("transfer.py", []),
    ],
)
def test_the_examples_raise_no_alarm(name, arguments, monkeypatch, capsys):
    def look(self, x=None, y=None, **kwargs):
        validation = kwargs.get("validation_data")
        raise Looked(sanity.check(self, x, y, validation_data=validation, samples=200))

    monkeypatch.setattr(cnnrs.Model, "fit", look)
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    with pytest.raises(Looked) as caught:
        runpy.run_path(str(Path(__file__).parents[2] / "examples" / name), run_name="__main__")
    assert str(caught.value) == "nothing found"
