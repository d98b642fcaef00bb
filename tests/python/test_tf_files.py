"""Files that tf.io and tf.data read: damaged ones are named, and what is written is whole or absent."""

from __future__ import annotations

import gzip
import os
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cnnrs.compat.tf as tf

pytest.importorskip("PIL")
pytest.importorskip("google.protobuf")
pytest.importorskip("google_crc32c")

RECORDS = [b"", b"one", b"x" * 300, bytes(range(256))]
STARTS = np.cumsum([0, *(len(r) + 16 for r in RECORDS)]).tolist()


def write(path, kind=""):
    with tf.io.TFRecordWriter(str(path), kind) as writer:
        for record in RECORDS:
            writer.write(record)


def read(path, kind=""):
    return [x.numpy() for x in tf.data.TFRecordDataset(str(path), kind)]


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, STARTS[-1] - 1), flip=st.integers(1, 255), cut=st.booleans())
def test_a_damaged_record_is_named_by_its_offset(tmp_path_factory, place, flip, cut):
    path = tmp_path_factory.mktemp("records") / "a.tfrecord"
    write(path)
    content = bytearray(path.read_bytes())
    if cut:
        del content[place:]
    else:
        content[place] ^= flip
    path.write_bytes(content)
    whole = sum(place >= start for start in STARTS[1:])
    found = []
    if cut and place in STARTS:
        assert read(path) == RECORDS[: STARTS.index(place)]
        return
    with pytest.raises(ValueError, match=rf"record at byte {STARTS[whole]} is damaged"):
        for x in tf.data.TFRecordDataset(str(path)):
            found.append(x.numpy())
    assert found == RECORDS[:whole]


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(["GZIP", "ZLIB"]), data=st.data())
def test_damaged_compression_is_named(tmp_path_factory, kind, data):
    path = tmp_path_factory.mktemp("records") / "a.tfrecord"
    write(path, kind)
    assert read(path, kind) == RECORDS
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(1, len(content) - 1))])
    with pytest.raises(ValueError, match="is damaged"):
        read(path, kind)


def test_other_files_are_named(tmp_path):
    path = tmp_path / "a.tfrecord"
    write(path, "GZIP")
    with pytest.raises(ValueError, match='looks like one of compression_type="GZIP"'):
        read(path)
    path.write_text("a,b,c\n1,2,3\n")
    with pytest.raises(ValueError, match="is it a file of TFRecords"):
        read(path)
    with pytest.raises(ValueError, match="compression_type: expected"):
        tf.data.TFRecordDataset(str(path), "BZIP2")
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none")
    # A length of petabytes takes no memory.
    import struct

    import google_crc32c

    crc = google_crc32c.value(head := struct.pack("<Q", 2**52))
    masked = (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
    path.write_bytes(head + struct.pack("<I", masked) + b"little")
    with pytest.raises(ValueError, match="ends behind 6 of its 4503599627370496 bytes"):
        read(path)


def test_what_is_written_is_whole_or_absent(tmp_path):
    path = tmp_path / "a.tfrecord"
    write(path)
    with pytest.raises(RuntimeError, match="half way"), tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(b"new")
        raise RuntimeError("half way")
    assert read(path) == RECORDS and os.listdir(tmp_path) == ["a.tfrecord"]
    writer = tf.io.TFRecordWriter(str(path))
    with pytest.raises(TypeError, match="expected text or bytes"):
        writer.write(3)
    writer.write("text")
    writer.flush()
    assert read(path) == RECORDS  # until it is closed
    writer.close()
    writer.close()
    assert read(path) == [b"text"]
    with pytest.raises(ValueError, match="is closed"):
        writer.write(b"late")
    forgotten = tf.io.TFRecordWriter(str(path))
    forgotten.write(b"last")
    del forgotten
    assert read(path) == [b"last"]


def test_compressed_files_of_equal_records_are_equal(tmp_path):
    for kind in ("", "GZIP", "ZLIB"):
        for name in "ab":
            write(tmp_path / name, kind)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert gzip.decompress(gzip.compress(b"x")) == b"x"


IMAGE = np.random.default_rng(3).integers(0, 256, (12, 9, 3)).astype(np.uint8)
ENCODED = {"png": tf.io.encode_png(IMAGE).numpy(), "jpeg": tf.io.encode_jpeg(IMAGE).numpy()}


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(["png", "jpeg"]), data=st.data())
def test_damaged_images_raise_or_have_a_shape(kind, data):
    content = bytearray(ENCODED[kind])
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[place:]
    else:
        content[place] = data.draw(st.integers(0, 255))
    try:
        image = tf.io.decode_image(bytes(content), channels=3)
    except ValueError as error:
        assert "tf.io.decode_image: contents" in str(error)
    else:
        assert image.shape[-1] == 3 and image.dtype == tf.uint8


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: tf.io.decode_jpeg(b"no image at all"),
            ValueError,
            "received 15 bytes that begin with b'no image",
        ),
        (lambda: tf.io.decode_png(ENCODED["png"], channels=7), ValueError, "channels: expected 0, 1, 3 or 4"),
        (lambda: tf.io.decode_jpeg(ENCODED["jpeg"], ratio=3), ValueError, "ratio: expected 1, 2, 4 or 8"),
        (lambda: tf.io.decode_jpeg(ENCODED["jpeg"], fancy_upscaling=False), ValueError, "expected True"),
        (lambda: tf.io.decode_png(3), TypeError, "expected text or bytes, received int"),
        (
            lambda: tf.io.encode_jpeg(tf.zeros((2, 2, 3))),
            TypeError,
            "expected uint8, received float32; tf.cast",
        ),
        (lambda: tf.io.encode_png(tf.zeros((2, 2), tf.uint8)), ValueError, r"received \(2, 2\)"),
        (lambda: tf.io.read_file("no/such/file"), FileNotFoundError, "no/such/file"),
        (lambda: tf.io.read_file("gs://bucket/file"), ValueError, "path of this system, received 'gs://"),
        (lambda: tf.io.decode_raw("abc", tf.int16), ValueError, "multiple of 2"),
        (lambda: tf.io.decode_csv("1,2", [[1]]), ValueError, "expected 1 fields, received 2"),
        (lambda: tf.io.decode_csv("a", [[1]]), ValueError, "expected int32, found 'a'"),
        (lambda: tf.io.parse_tensor(b"\xff\xff", tf.int32), ValueError, "expected a tf.train.TensorProto"),
        (
            lambda: tf.io.parse_tensor(tf.io.serialize_tensor([1]), tf.int64),
            ValueError,
            "of int64, found int32",
        ),
        (lambda: tf.io.gfile.copy(__file__, __file__), FileExistsError, "overwrite=True"),
        (
            lambda: tf.io.parse_single_example(b"\xff", {"a": tf.io.VarLenFeature(tf.int64)}),
            ValueError,
            "Example",
        ),
        (lambda: tf.io.parse_single_example(b"", {}), ValueError, "expected a dict of features"),
        (
            lambda: tf.io.parse_single_example(b"", {"a": tf.io.FixedLenFeature([], tf.int64)}),
            ValueError,
            "the example lacks it",
        ),
        (lambda: tf.io.read_fil, AttributeError, "did you mean 'read_file'"),
        (lambda: tf.data.Datset, AttributeError, "did you mean 'Dataset'"),
        (lambda: tf.data.experimental.SqlDataset, AttributeError, "from_tensor_slices"),
        (lambda: tf.train.load_checkpoint, AttributeError, "list_variables"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_features_of_another_type_are_named():
    feature = tf.train.Feature(int64_list=tf.train.Int64List(value=[1, 2]))
    text = tf.train.Example(features=tf.train.Features(feature={"a": feature})).SerializeToString()
    with pytest.raises(ValueError, match=r"mine: .*features\['a'\]: expected string, found a int64_list"):
        tf.io.parse_single_example(text, {"a": tf.io.FixedLenFeature([2], tf.string)}, example_names="mine")
    with pytest.raises(ValueError, match=r"example 1: .*expected 1 values for shape \(\), found 2"):
        tf.io.parse_example([b"", text], {"a": tf.io.FixedLenFeature([], tf.int64, 5)})


def test_extras_are_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "google_crc32c", None)
    with pytest.raises(ImportError, match=r"cnnrs\[tfrecord\]"):
        tf.io.TFRecordWriter(str(tmp_path / "a"))
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"cnnrs\[image\]"):
        tf.io.encode_png(IMAGE)
    # Reading needs no Pillow.
    assert tf.io.decode_png(ENCODED["png"]).shape == IMAGE.shape


def test_a_failed_write_leaves_the_file(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    tf.io.write_file(str(path), "first")
    with pytest.raises(TypeError):
        tf.io.write_file(str(path), 3)
    assert tf.io.read_file(str(path)).numpy() == b"first" and os.listdir(path.parent) == ["a.txt"]


def test_images_of_a_folder_as_scripts_read_them(tmp_path):
    """From paths to batches: the paths say the labels."""
    for name in ("cat", "dog"):
        for i in range(3):
            tf.io.write_file(str(tmp_path / name / f"{i}.png"), tf.io.encode_png(IMAGE[: 6 + i]))
    class_names = tf.constant(["cat", "dog"])

    def process(path):
        label = tf.strings.split(path, os.sep)[-2] == class_names
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        return tf.image.resize(image, [4, 4]) / 255.0, tf.argmax(tf.cast(label, tf.int32))

    files = tf.data.Dataset.list_files(str(tmp_path / "*" / "*.png"), shuffle=True, seed=1)
    data = files.map(process, num_parallel_calls=tf.data.AUTOTUNE).batch(4).prefetch(tf.data.AUTOTUNE)
    shapes, labels = zip(*((tuple(x.shape), y.numpy().tolist()) for x, y in data), strict=True)
    assert shapes == ((4, 4, 4, 3), (2, 4, 4, 3)) and sorted(sum(labels, [])) == [0, 0, 0, 1, 1, 1]


def test_texts_are_moved_as_numbers_are():
    names = tf.constant([["a", "b", "c"], ["d", "e", "f"]])
    numbers = tf.constant(np.arange(6).reshape(2, 3))
    letters = np.array(list("abcdef"))
    for move in (
        lambda x: tf.reshape(x, (3, 2)),
        lambda x: tf.expand_dims(x, -1),
        tf.transpose,
        lambda x: tf.gather(x, [1, 0]),
        lambda x: tf.concat([x, x], axis=1),
        lambda x: tf.stack([x, x]),
        lambda x: tf.reverse(x, [1]),
        lambda x: tf.tile(x, [2, 1]),
        lambda x: tf.unstack(x)[1],
        lambda x: tf.split(x, 3, axis=1)[2],
        lambda x: tf.boolean_mask(x, [True, False]),
        lambda x: tf.squeeze(tf.slice(x, [0, 1], [2, 1])),
    ):
        expected = letters[move(numbers).numpy()]
        assert [b.decode() for b in move(names).numpy().ravel()] == expected.ravel().tolist()
        assert move(names).shape == expected.shape
    assert (
        tf.shape(names).numpy().tolist() == [2, 3] and int(tf.size(names)) == 6 and int(tf.rank(names)) == 2
    )
