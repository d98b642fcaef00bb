"""What `tf.data` and `tf.io` give for the same calls in TensorFlow and in cnnrs.

    python tests/tf_data.py --tensorflow python-with-tensorflow          # compare, both run here
    python tests/tf_data.py --tensorflow python-with-tensorflow --write  # also keep what TensorFlow gave

`tests/python/test_tf_data.py` compares cnnrs with what was kept. A case is a function of `tf`; random orders
are compared as sets. Specs are compared too, where cnnrs knows shapes without looking at elements.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

KEPT = Path(__file__).parent / "fixtures" / "tf_data.json"
CASES: dict[str, Callable[[Any, Path], Any]] = {}


def case(function: Callable[[Any, Path], Any]) -> Callable[[Any, Path], Any]:
    CASES[function.__name__] = function
    return function


def plain(value: Any) -> Any:
    """A value as JSON holds it: tensors with their type and shape."""
    if isinstance(value, dict):
        return {str(key): plain(value[key]) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, (str, bool, int, float)) or value is None:
        return value
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if hasattr(value, "indices") and hasattr(value, "dense_shape"):
        return {"sparse": [plain(value.indices), plain(value.values), plain(value.dense_shape)]}
    if hasattr(value, "numpy"):
        value = value.numpy()
    if isinstance(value, bytes):
        return ["string", [], value.decode("latin-1")]
    array = np.asarray(value)
    if array.dtype.kind in "OSU":
        texts = [v.decode("latin-1") if isinstance(v, bytes) else v for v in array.ravel().tolist()]
        return ["string", list(array.shape), texts]
    numbers = [round(v, 5) if isinstance(v, float) else v for v in array.ravel().tolist()]
    return [array.dtype.name, list(array.shape), numbers]


def elements(dataset: Any, limit: int = 50) -> list[Any]:
    return [plain(element) for element in dataset.take(limit)]


def spec(structure: Any) -> Any:
    if isinstance(structure, dict):
        return {key: spec(structure[key]) for key in sorted(structure)}
    if isinstance(structure, (list, tuple)):
        return [spec(part) for part in structure]
    if not hasattr(structure, "dtype"):
        return "data set"
    shape = structure.shape
    if hasattr(shape, "rank"):
        shape = None if shape.rank is None else shape.as_list()
    dtype = structure.dtype
    return [None if shape is None else list(shape), getattr(dtype, "name", dtype)]


def told(dataset: Any) -> dict[str, Any]:
    """Elements, spec and cardinality of a data set."""
    return {
        "elements": elements(dataset),
        "spec": spec(dataset.element_spec),
        "cardinality": int(dataset.cardinality()),
    }


def counted(dataset: Any) -> dict[str, Any]:
    """Elements and cardinality, where only elements tell shapes."""
    return {"elements": elements(dataset), "cardinality": int(dataset.cardinality())}


X = np.arange(24, dtype=np.float32).reshape(6, 2, 2)
Y = np.arange(6) % 3


@case
def slices(tf, folder):
    make = tf.data.Dataset.from_tensor_slices
    return [
        told(make(values))
        for values in (
            [1, 2, 3],
            [1.5, 2.5],
            (X, Y),
            {"b": X, "a": Y},
            ["x", "yz"],
            (X, {"y": (Y, Y)}),
            np.float64(X),
        )
    ]


@case
def tensors(tf, folder):
    make = tf.data.Dataset.from_tensors
    return [told(make(values)) for values in ([1, 2], 3.5, "text", (X, {"a": Y}), [["a", "b"]])]


@case
def ranges(tf, folder):
    make = tf.data.Dataset.range
    return [told(make(*a)) for a in ((5,), (2, 5), (5, 0, -2), (0, 10, 3), (0,))] + [
        told(make(3, output_type="int32"))
    ]


@case
def generators(tf, folder):
    def count(stop):
        for i in range(stop):
            yield i, [i] * i, str(i)

    signature = (tf.TensorSpec((), tf.int32), tf.TensorSpec([None], tf.float32), tf.TensorSpec((), tf.string))
    first = tf.data.Dataset.from_generator(count, args=(3,), output_signature=signature)
    second = tf.data.Dataset.from_generator(lambda: iter([1, 2]), tf.int64)
    third = tf.data.Dataset.from_generator(lambda: iter([[1, 2]]), output_types=tf.float32, output_shapes=[2])
    return [told(d) for d in (first, second, third)]


@case
def batches(tf, folder):
    data = tf.data.Dataset.from_tensor_slices((X, Y))
    return [
        told(data.batch(4)),
        told(data.batch(4, drop_remainder=True)),
        told(data.batch(6)),
        told(data.repeat(2).batch(5)),
        told(data.batch(2).batch(2)),
        told(data.batch(4).unbatch()),
        told(data.batch(4).rebatch(3)),
        told(data.repeat().batch(4).take(3)),
    ]


@case
def parts(tf, folder):
    data = tf.data.Dataset.range(10)
    return [
        told(d)
        for d in (
            data.take(3),
            data.take(-1),
            data.take(20),
            data.skip(7),
            data.skip(-1),
            data.skip(20),
            data.shard(3, 1),
            data.repeat(2),
            data.repeat(0),
            data.concatenate(data.take(2)),
            data.enumerate(5),
            data.take(2).cache().repeat(2),
            data.prefetch(2),
            data.skip(2).take(5).shard(2, 0),
            data.take_while(lambda x: x < 4),
        )
    ]


@case
def infinite(tf, folder):
    data = tf.data.Dataset.range(3).repeat()
    return [
        int(data.cardinality()),
        int(data.batch(2).cardinality()),
        int(data.take(5).cardinality()),
        int(data.filter(lambda x: x > 0).cardinality()),
        int(tf.data.Dataset.counter().cardinality()),
        int(tf.data.Dataset.zip((data, tf.data.Dataset.range(2))).cardinality()),
        int(data.concatenate(tf.data.Dataset.range(2)).cardinality()),
        int(tf.data.Dataset.range(2).concatenate(data).cardinality()),
        elements(tf.data.Dataset.counter(5, 2), 3),
    ]


@case
def maps(tf, folder):
    data = tf.data.Dataset.from_tensor_slices((X, Y))
    named = data.map(lambda x, y: {"image": tf.cast(x, tf.float32) / 255.0, "label": tf.one_hot(y, 3)})
    return [
        told(named),
        told(named.map(lambda e: (e["image"] * 2.0, e["label"]), num_parallel_calls=tf.data.AUTOTUNE)),
        told(data.map(lambda x, y: tf.reduce_sum(x))),
        told(data.map(lambda x, y: (x, y, 3, 2.5))),
        told(data.map(lambda x, y: (tf.transpose(x), tf.shape(x)[0]))),
        told(data.map(lambda x, y: [tf.reduce_sum(x), tf.reduce_max(x)])),
        told(data.batch(2, drop_remainder=True).map(lambda x, y: tf.image.flip_left_right(x[..., None]))),
        told(tf.data.Dataset.from_tensor_slices(["a b", "c d"]).map(lambda t: tf.strings.split(t)[0]))[
            "elements"
        ],
    ]


@case
def filters(tf, folder):
    data = tf.data.Dataset.from_tensor_slices((X, Y))
    return [
        told(data.filter(lambda x, y: y == 1)),
        told(data.filter(lambda x, y: tf.reduce_sum(x) > 30)),
        told(data.filter(lambda x, y: False)),
    ]


@case
def zips(tf, folder):
    a, b = tf.data.Dataset.range(3), tf.data.Dataset.range(10, 15)
    zip_ = tf.data.Dataset.zip
    return [
        told(zip_((a, b))),
        told(zip_(a, b)),
        told(zip_({"a": a, "b": (a, b)})),
        told(zip_((a, zip_((b, a))))),
    ]


@case
def flat_maps(tf, folder):
    D = tf.data.Dataset
    data = D.range(1, 5)
    return [
        counted(data.flat_map(lambda x: D.range(x))),
        counted(D.from_tensor_slices(X).flat_map(D.from_tensor_slices)),
        *(
            counted(data.interleave(lambda x: D.from_tensors(x).repeat(x), cycle_length=c, block_length=b))
            for c in (1, 2, 3, 6)
            for b in (1, 2, 3)
        ),
        counted(data.interleave(lambda x: D.range(x), cycle_length=2, num_parallel_calls=2)),
    ]


@case
def windows(tf, folder):
    data = tf.data.Dataset.range(8)
    found = []
    for options in (
        {"size": 3},
        {"size": 3, "shift": 1},
        {"size": 3, "shift": 2, "drop_remainder": True},
        {"size": 2, "stride": 3},
        {"size": 2, "shift": 5},
        {"size": 3, "shift": 1, "stride": 2, "drop_remainder": True},
    ):
        windows = data.window(**options)
        found.append([[plain(x) for x in w] for w in windows] + [int(windows.cardinality())])
    pairs = tf.data.Dataset.from_tensor_slices((X, Y)).window(2)
    found.append(elements(pairs.flat_map(lambda x, y: tf.data.Dataset.zip((x.batch(2), y.batch(2))))))
    return found


@case
def padded(tf, folder):
    data = tf.data.Dataset.range(1, 5).map(lambda n: tf.fill([n], n))
    return [
        counted(data.padded_batch(3)),
        counted(data.padded_batch(2, padded_shapes=[6])),
        counted(data.padded_batch(2, padded_shapes=[None], padding_values=tf.constant(-1, tf.int64))),
        counted(data.padded_batch(3, drop_remainder=True)),
        counted(data.map(lambda x: (x, x[0])).padded_batch(2, padded_shapes=([None], []))),
        counted(data.bucket_by_sequence_length(lambda x: tf.shape(x)[0], [2, 4], [2, 2, 2])),
        counted(
            data.take(3).bucket_by_sequence_length(
                lambda x: tf.shape(x)[0], [3, 5], [2, 2, 2], pad_to_bucket_boundary=True
            )
        ),
    ]


@case
def groups(tf, folder):
    data = tf.data.Dataset.range(10)
    return [
        elements(data.group_by_window(lambda x: x % 3, lambda k, d: d.batch(2), window_size=2)),
        elements(
            data.group_by_window(lambda x: x % 2, lambda k, d: d.batch(4), window_size_func=lambda k: k + 2)
        ),
        elements(tf.data.Dataset.from_tensor_slices([3, 1, 3, 1, 2]).unique()),
        elements(data.scan(np.int64(0), lambda s, x: (s + x, s * x))),
        plain(data.reduce(np.int64(0), lambda s, x: s + x)),
        plain(data.reduce((np.int64(0), np.float32(1)), lambda s, x: (s[0] + x, s[1] * 2.0))),
        plain(data.take(1).get_single_element()),
        elements(data.apply(lambda d: d.take(2))),
        elements(
            tf.data.Dataset.choose_from_datasets(
                [data, data.map(lambda x: -x)], tf.data.Dataset.from_tensor_slices(np.int64([0, 1, 1, 0]))
            )
        ),
    ]


@case
def shuffled(tf, folder):
    data = tf.data.Dataset.from_tensor_slices((X, Y))
    plain_order = [
        sorted(json.dumps(e) for e in elements(d))
        for d in (
            data.shuffle(10, seed=1),
            data.shuffle(3),
            data.shuffle(10).repeat(2),
            data.shuffle(6).batch(1).unbatch(),
            tf.data.Dataset.sample_from_datasets([data, data.take(2)], seed=3),
        )
    ]
    d = tf.data.Dataset.range(100)
    fixed = d.shuffle(100, seed=5, reshuffle_each_iteration=False)
    again = d.shuffle(100, seed=5)
    near = [int(x) for x in d.shuffle(4, seed=2)]
    return [
        plain_order,
        told(data.shuffle(4))["spec"],
        int(data.shuffle(4).cardinality()),
        [int(x) for x in fixed] == [int(x) for x in fixed],
        [int(x) for x in again] == [int(x) for x in again],
        [int(x) for x in d.shuffle(1)] == list(range(100)),
        all(x < place + 4 for place, x in enumerate(near)),
    ]


@case
def lines(tf, folder):
    (folder / "a.txt").write_bytes(b"one\ntwo\r\n\nlast")
    (folder / "b.txt").write_bytes(b"other\n")
    paths = [str(folder / name) for name in ("a.txt", "b.txt")]
    found = tf.data.Dataset.list_files(str(folder / "*.txt"), shuffle=False)
    return [
        told(tf.data.TextLineDataset(paths)),
        told(tf.data.TextLineDataset(paths[0]).skip(1)),
        elements(tf.data.TextLineDataset(paths, num_parallel_reads=2)),
        [Path(p.numpy().decode()).name for p in found],
        int(found.cardinality()),
        plain(tf.io.read_file(paths[0])),
        elements(tf.data.TextLineDataset(found)),
    ]


def example(tf, i):
    F, T = tf.train.Feature, tf.train
    features = {
        "image": F(bytes_list=T.BytesList(value=[b"\x00\xff" * i])),
        "label": F(int64_list=T.Int64List(value=[i])),
        "box": F(float_list=T.FloatList(value=[0.5 * i, 1.5])),
        "tags": F(bytes_list=T.BytesList(value=[b"t%d" % j for j in range(i)])),
    }
    return T.Example(features=T.Features(feature=features))


@case
def records(tf, folder):
    found = []
    for kind in ("", "GZIP", "ZLIB"):
        path = str(folder / f"r{kind}.tfrecord")
        with tf.io.TFRecordWriter(path, kind or None) as writer:
            for i in range(4):
                writer.write(example(tf, i).SerializeToString(deterministic=True))
        found.append(told(tf.data.TFRecordDataset(path, compression_type=kind or None)))
    found.append((folder / "r.tfrecord").read_bytes().decode("latin-1"))
    described = {
        "label": tf.io.FixedLenFeature([], tf.int64),
        "box": tf.io.FixedLenFeature([2], tf.float32),
        "image": tf.io.FixedLenFeature([], tf.string),
        "tags": tf.io.VarLenFeature(tf.string),
        "none": tf.io.FixedLenFeature([], tf.int64, default_value=-1),
        "more": tf.io.FixedLenSequenceFeature([], tf.string, allow_missing=True),
    }
    data = tf.data.TFRecordDataset([str(folder / "r.tfrecord")] * 2)
    texts = [x.numpy() for x in data.take(4)]
    found.append([plain(tf.io.parse_single_example(t, described)) for t in texts])
    found.append(plain(tf.io.parse_example(texts, described)))
    found.append(plain(tf.sparse.to_dense(tf.io.parse_single_example(texts[2], described)["tags"])))
    boxes = {"box": described["box"], "label": described["label"]}
    found.append(told(data.map(lambda t: tf.io.parse_single_example(t, boxes)))["elements"])
    return found


@case
def tables(tf, folder):
    path = str(folder / "a.csv")
    Path(path).write_text(
        'x,n,big,name,label\n1.5,1,3000000000,ab,0\n,2,1,,1\n2.5,,5,"q,r",1\n3.5,4,6,z,0\n4.5,5,7,z,1\n'
    )
    csv, make = tf.data.experimental.CsvDataset, tf.data.experimental.make_csv_dataset
    once = {"num_epochs": 1, "shuffle": False}
    defaults = [[0.0], [9], [0], ["none"], [0]]
    return [
        told(make(path, 2, label_name="label", **once)),
        told(make([path, path], 4, select_columns=["n", "name"], column_defaults=[[7], ["none"]], **once)),
        told(make(path, 2, select_columns=[0, 2], na_value="z", **once)),
        told(make(path, 3, column_names=list("abcde"), **once)),
        elements(make(path, 2, shuffle=False), 8),
        spec(make(path, 2).element_spec),
        sorted(v for batch in make(path, 2, num_epochs=2) for v in batch["big"].numpy().tolist()),
        told(csv(path, [tf.int64, tf.int32], header=True, select_cols=[2, 4])),
        told(csv([path], defaults[:2] + [[tf.constant(1, tf.int64)]] + defaults[3:], header=True)),
        told(csv(path, [["a"], ["b"]], exclude_cols=[0, 1, 2])),
    ]


@case
def messages(tf, folder):
    found = []
    for value in (
        X,
        Y,
        3.5,
        True,
        "text",
        [["a", "b"]],
        np.float16([1.5, -2]),
        np.uint8([1, 2]),
        np.zeros((0, 3)),
    ):
        text = tf.io.serialize_tensor(tf.constant(value))
        back = tf.io.parse_tensor(text, tf.constant(value).dtype)
        found.append([plain(text), plain(back)])
    return found


@case
def raw(tf, folder):
    return [
        plain(tf.io.decode_raw("abcd", tf.uint8)),
        plain(tf.io.decode_raw(["abcd", "efgh"], tf.int16)),
        plain(tf.io.decode_raw("abcd", tf.int16, little_endian=False)),
        plain(tf.io.decode_raw(tf.constant([b"\x00\x00\x80\x3f"]), tf.float32)),
        [plain(c) for c in tf.io.decode_csv(["1,2.5,x", '3,,"y,z"'], [[0], [9.5], [""]])],
        [
            plain(c)
            for c in tf.io.decode_csv("1|2|3", [tf.constant([], tf.int32), [0.0]], "|", select_cols=[0, 2])
        ],
        plain(tf.io.encode_base64("a?b>")),
        plain(tf.io.decode_base64(tf.io.encode_base64("any text"))),
    ]


@case
def pictures(tf, folder):
    r = np.random.default_rng(1)
    found = []
    for channels in (1, 3, 4):
        image = r.integers(0, 256, (5, 7, channels)).astype(np.uint8)
        png = tf.io.encode_png(image)
        found += [
            plain(tf.io.decode_png(png)),
            plain(tf.io.decode_image(png)),
            plain(tf.io.decode_image(png, dtype="float32")),
        ]
    gray = tf.io.encode_png(r.integers(0, 65536, (3, 4, 1)).astype(np.uint16))
    found += [plain(tf.io.decode_png(gray, dtype=tf.uint16)), plain(tf.io.decode_png(gray))]
    found.append(plain(tf.io.decode_png(gray, channels=3)))
    path = str(folder / "a.png")
    tf.io.write_file(path, tf.io.encode_png(r.integers(0, 256, (4, 6, 3)).astype(np.uint8)))
    data = tf.data.Dataset.from_tensor_slices(([path, path], [0, 1]))
    data = data.map(lambda p, y: (tf.image.resize(tf.io.decode_png(tf.io.read_file(p), 3), (2, 3)), y))
    found.append(elements(data.batch(2)))
    smooth = np.broadcast_to(np.linspace(20, 220, 32)[:, None, None], (32, 24, 3)).astype(np.uint8)
    back = tf.io.decode_jpeg(tf.io.encode_jpeg(smooth, quality=100)).numpy()
    found += [list(back.shape), bool(abs(back.astype(int) - smooth).max() <= 3)]
    found += [list(tf.io.decode_jpeg(tf.io.encode_jpeg(smooth), ratio=2, channels=1).shape)]
    found += [
        plain(tf.io.extract_jpeg_shape(tf.io.encode_jpeg(smooth))),
        plain(tf.io.is_jpeg(tf.io.encode_jpeg(smooth))),
    ]
    return found


@case
def files(tf, folder):
    g = tf.io.gfile
    g.makedirs(str(folder / "deep" / "er"))
    with g.GFile(str(folder / "deep" / "a.txt"), "w") as file:
        file.write("line one\nline two\n")
    g.copy(str(folder / "deep" / "a.txt"), str(folder / "deep" / "b.txt"))
    with g.GFile(str(folder / "deep" / "b.txt"), "rb") as file:
        content = file.read()
    found = [
        sorted(g.listdir(str(folder / "deep"))),
        g.exists(str(folder / "no")),
        g.isdir(str(folder / "deep")),
        content,
        sorted(Path(p).name for p in g.glob(str(folder / "deep" / "*.txt"))),
        g.stat(str(folder / "deep" / "a.txt")).length,
    ]
    g.rmtree(str(folder / "deep"))
    return plain([*found, g.exists(str(folder / "deep"))])


def results(tf: Any) -> dict[str, Any]:
    """What each case gives, or the error."""
    found = {}
    for name, function in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            try:
                found[name] = plain(function(tf, Path(folder)))
            except Exception as error:
                found[name] = f"{type(error).__name__}: {error}"
    return found


def differences(expected: Any, found: Any, where: str) -> list[str]:
    """Where two results differ: a sentence each."""
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        return [
            d
            for i, (a, b) in enumerate(zip(expected, found, strict=True))
            for d in differences(a, b, f"{where}[{i}]")
        ]
    if isinstance(expected, dict) and isinstance(found, dict) and expected.keys() == found.keys():
        return [d for key in expected for d in differences(expected[key], found[key], f"{where}.{key}")]
    if isinstance(expected, float) and isinstance(found, (int, float)):
        close = abs(expected - found) <= 1e-4 * max(1.0, abs(expected))
        return [] if close else [f"{where}: expected {expected}, found {found}"]
    return [] if expected == found else [f"{where}: expected {expected!r}, found {found!r}"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tensorflow", help="a Python that has TensorFlow")
    parser.add_argument("--write", action="store_true", help="keep what TensorFlow gave")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        import importlib

        json.dump(results(importlib.import_module(options.run)), sys.stdout)
        return 0
    command = [options.tensorflow, __file__, "--run", "tensorflow"]
    expected = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    if options.write:
        KEPT.write_text(json.dumps(expected, indent=None, sort_keys=True) + "\n", encoding="utf-8")
    import cnnrs.compat.tf as tf

    found = json.loads(json.dumps(results(tf)))
    wrong = [d for name in CASES for d in differences(expected[name], found[name], name)]
    print(*wrong, f"{len(CASES)} cases, {len(wrong)} differences", sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
