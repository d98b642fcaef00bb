"""`TextVectorization` against figures of Keras, in data sets, in files, and on what is no text."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnrs
import cnnrs.compat.tf as tf
from cnnrs import layers
from cnnrs.data import Dataset

FIXTURES = Path(__file__).parents[1] / "fixtures"
KEPT = json.loads((FIXTURES / "keras_texts.json").read_text(encoding="utf-8"))


def _maker() -> Any:
    spec = importlib.util.spec_from_file_location("make_keras_texts", FIXTURES / "make_keras_texts.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKER = _maker()


@pytest.mark.parametrize("name", MAKER.CASES)
def test_words_are_those_of_keras(name: str) -> None:
    layer = layers.TextVectorization(**MAKER.CASES[name])
    if "vocabulary" not in MAKER.CASES[name]:
        layer.adapt(MAKER.TEXTS)
    assert layer.get_vocabulary() == KEPT[name]["vocabulary"]
    output = layer(MAKER.CALLED)
    assert (output.dtype == "float32") == KEPT[name]["floats"]
    np.testing.assert_allclose(output.numpy(), np.array(KEPT[name]["output"]), rtol=1e-6)
    # A layer of the configuration does the same, and so do columns, bytes and data sets.
    again = layers.TextVectorization.from_config(json.loads(json.dumps(layer.get_config())))
    assert again(MAKER.CALLED).tolist() == output.tolist()
    if MAKER.CASES[name].get("split", "") is not None:
        assert layer(np.array(MAKER.CALLED)[:, None]).tolist() == output.tolist()
    assert layer([text.encode() for text in MAKER.CALLED]).tolist() == output.tolist()
    batched = Dataset.from_tensor_slices(MAKER.CALLED).batch(len(MAKER.CALLED)).map(layer)
    assert next(iter(batched)).tolist() == output.tolist()


@pytest.mark.parametrize("size", [1, 2, 5])
def test_batches_make_the_same_vocabulary(size: int) -> None:
    for arguments in ({}, {"output_mode": "tf_idf"}, {"ngrams": 2}):
        layer, batched, parts = (layers.TextVectorization(**arguments) for _ in range(3))
        layer.adapt(MAKER.TEXTS)
        batched.adapt(Dataset.from_tensor_slices(MAKER.TEXTS).batch(size))
        parts.adapt(np.array(MAKER.TEXTS), batch_size=size)
        assert layer.get_vocabulary() == batched.get_vocabulary() == parts.get_vocabulary()
        assert layer(MAKER.TEXTS).tolist() == batched(MAKER.TEXTS).tolist() == parts(MAKER.TEXTS).tolist()
    some = layers.TextVectorization()
    some.adapt(Dataset.from_tensor_slices(["a", "b", "c"]).batch(1), steps=2)
    assert sorted(some.get_vocabulary()[2:]) == ["a", "b"]


def test_functions_of_ones_own() -> None:
    def standardize(texts: Any) -> Any:
        return tf.strings.regex_replace(tf.strings.lower(texts), "<br />", " ")

    layer = layers.TextVectorization(standardize=standardize, output_sequence_length=4)
    layer.adapt(["One<br />TWO", "two"])
    assert layer.get_vocabulary() == ["", "[UNK]", "two", "one"] and layer(["two<br />x"]).tolist() == [
        [2, 1, 0, 0]
    ]
    upper = layers.TextVectorization(
        standardize=np.char.upper, split=lambda texts: [t.split("-") for t in texts.tolist()]
    )
    upper.adapt(["a-b", "b"])
    assert upper.get_vocabulary() == ["", "[UNK]", "B", "A"]


def test_a_model_of_texts(tmp_path: Path) -> None:
    """The lines of Keras's example of sentiments, on few texts."""
    texts = ["good film", "bad film", "very good", "very bad", "a good one", "a bad one"] * 8
    data = Dataset.from_tensor_slices((texts, [1, 0] * 24)).batch(8)
    vectorize = layers.TextVectorization(max_tokens=20, output_mode="int", output_sequence_length=4)
    vectorize.adapt(data.map(lambda text, label: text))
    cnnrs.utils.set_random_seed(1)
    model = cnnrs.Sequential(
        [
            layers.Embedding(20, 8),
            layers.GlobalAveragePooling1D(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(cnnrs.optimizers.Adam(0.1), "binary_crossentropy", metrics=["accuracy"])
    history = model.fit(data.map(lambda text, label: (vectorize(text), label)).cache(), epochs=10, verbose=0)
    assert history.history["accuracy"][-1] == 1.0


def test_shapes() -> None:
    layer = layers.TextVectorization(output_sequence_length=7, vocabulary=["a"])
    assert layer.compute_output_shape((None,)) == (None, 7) and layer.compute_output_shape((3, 1)) == (3, 7)
    counts = layers.TextVectorization(output_mode="count", vocabulary=["a", "b"])
    assert counts.compute_output_shape((3,)) == counts(["a", "b c", ""]).shape == (3, 3)
    assert layers.TextVectorization(vocabulary=["a"])(["", ""]).shape == (2, 0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: layers.TextVectorization(standardize="upper"),
            ValueError,
            "standardize: expected one of 'lower_and",
        ),
        (
            lambda: layers.TextVectorization(split="comma"),
            ValueError,
            "split: expected one of 'whitespace', 'character'",
        ),
        (
            lambda: layers.TextVectorization(ngrams=0),
            ValueError,
            "ngrams: expected an integer >= 1, received 0",
        ),
        (lambda: layers.TextVectorization(ragged=True), ValueError, "ragged: expected False"),
        (lambda: layers.TextVectorization(sparse=True), ValueError, "sparse: expected False"),
        (
            lambda: layers.TextVectorization(output_mode="count", output_sequence_length=3),
            ValueError,
            "output_sequence_length: expected None with output_mode 'count', received 3",
        ),
        (lambda: layers.TextVectorization()(["a"]), RuntimeError, "expected a vocabulary"),
        (
            lambda: layers.TextVectorization(vocabulary=["a"])([1]),
            TypeError,
            "expected strings, received int64",
        ),
        (
            lambda: layers.TextVectorization(vocabulary=["a"])([["a", "b"]]),
            ValueError,
            r"expected texts along one axis, or with a last extent of 1, received shape \(1, 2\)",
        ),
        (
            lambda: layers.TextVectorization(vocabulary=["a"]).adapt(["b"]),
            ValueError,
            "made without a vocabulary",
        ),
        (
            lambda: cnnrs.Sequential([cnnrs.Input((1,)), layers.TextVectorization(vocabulary=["a"])]),
            TypeError,
            "tensors hold no strings: call the layer on the data",
        ),
    ],
)
def test_what_is_no_text(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
