"""tf.data and tf.io against what TensorFlow gave for the same calls: `tests/tf_data.py` keeps it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

import cnnrs.compat.tf as tf

pytest.importorskip("PIL")
pytest.importorskip("google.protobuf")
pytest.importorskip("google_crc32c")

FILE = Path(__file__).parents[1] / "tf_data.py"
_spec = importlib.util.spec_from_file_location("tf_data", FILE)
tf_data = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tf_data)

EXPECTED = json.loads(tf_data.KEPT.read_text(encoding="utf-8"))


def test_each_case_was_kept():
    assert EXPECTED.keys() == tf_data.CASES.keys()
    # TensorFlow itself refused none of them.
    assert not {name: found for name, found in EXPECTED.items() if isinstance(found, str)}


@pytest.mark.parametrize("name", tf_data.CASES)
def test_as_in_tensorflow(name, tmp_path):
    found = json.loads(json.dumps(tf_data.plain(tf_data.CASES[name](tf, tmp_path))))
    assert not tf_data.differences(EXPECTED[name], found, name)


def test_a_sparse_tensor_in_a_data_set_is_to_be_made_dense():
    feature = {"boxes": tf.io.VarLenFeature(tf.float32)}
    boxes = tf.train.Feature(float_list=tf.train.FloatList(value=[0.5, 1.0]))
    example = tf.train.Example(features=tf.train.Features(feature={"boxes": boxes})).SerializeToString()
    data = tf.data.Dataset.from_tensors(example)
    with pytest.raises(TypeError, match="received SparseTensor; .* with tf.sparse.to_dense"):
        next(iter(data.map(lambda row: tf.io.parse_single_example(row, feature)["boxes"])))
    dense = data.map(lambda row: tf.sparse.to_dense(tf.io.parse_single_example(row, feature)["boxes"]))
    assert next(iter(dense)).numpy().tolist() == [0.5, 1.0]


def test_iterators_have_next():
    data = tf.data.Dataset.from_tensor_slices(([[1.0], [2.0]], [3, 4])).batch(1)
    images, labels = data.as_numpy_iterator().next()
    assert images.tolist() == [[1.0]] and labels.tolist() == [3]
    elements = iter(data)
    assert [int(elements.next()[1]), int(elements.get_next()[1]), next(elements, None)] == [3, 4, None]
