"""`cache(file)` serves the elements of its own data set, and says so of others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import layers, ops, utils
from cnnrs.data import Dataset, StringTensor, write_shards
from cnnrs.data.fingerprint import Fingerprint
from cnnrs.datasets import shapes

SCALE = 2.0
OTHER = "expected elements of this data set, found those of another one.*: {}; delete this folder"
ARRAYS = "the arrays and files that it reads are others"
STEPS = "its steps have other arguments, or come in another order"
CODE = "the functions that it maps have other code"


def rows(count: int = 8, shift: int = 0) -> Any:
    return Dataset.from_tensor_slices((np.arange(count * 3.0).reshape(count, 3), np.arange(count) + shift))


def facts(data: Any) -> dict[str, Any]:
    return Fingerprint(data).facts


def differ(one: Any, other: Any) -> str | None:
    return Fingerprint(one).difference(facts(other))


def test_elements_are_served_again_and_not_to_other_data(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    first = [int(y) for _, y in rows().cache(kept)]
    assert [int(y) for _, y in rows().cache(kept)] == first == list(range(8))
    with pytest.raises(ValueError, match=OTHER.format(ARRAYS)):
        list(rows(shift=1).cache(kept))
    with pytest.raises(ValueError, match=OTHER.format(STEPS)):
        list(rows().batch(2, drop_remainder=True).unbatch().take(4).cache(kept))
    with pytest.raises(ValueError, match="its elements are .*float64.*, and were"):
        list(rows().map(lambda x, y: x).cache(kept))
    # Refused, they stay: another data set may need them.
    assert [int(y) for _, y in rows().cache(kept)] == first


def test_parts_of_one_data_set_need_files_of_their_own(tmp_path: Path) -> None:
    train, validation = rows().split(0.5, seed=1)
    list(train.cache(tmp_path / "kept"))
    with pytest.raises(ValueError, match="give each data set a name of its own"):
        list(validation.cache(tmp_path / "kept"))
    # The same split in another run is the same data.
    parts = [rows(100).split(0.5, seed=seed, stratified=False)[0] for seed in (1, 1, 2)]
    assert differ(parts[0], parts[1]) is None and differ(parts[0], parts[2]) == ARRAYS


def test_what_changes_only_speed_and_order_of_draws_is_the_same_data() -> None:
    def mapped(threads: Any, ahead: int) -> Any:
        data = rows().shuffle(8).map(lambda x, y: (x * 2, y), num_parallel_calls=threads)
        return data.prefetch(ahead).batch(2)

    assert differ(mapped(None, 1), mapped(2, 3)) is None
    assert differ(mapped(None, 1), rows().shuffle(8).map(lambda x, y: (x * 2, y)).batch(2)) is not None


def scaled(x: Any, y: Any, by: float = 1.0) -> Any:
    return x * by * SCALE, y


def test_functions_and_what_they_refer_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def times(factor: float) -> Any:
        return rows().map(lambda x, y: (x * factor, y))

    assert differ(times(2.0), times(2.0)) is None and STEPS in str(differ(times(2.0), times(3.0)))
    one, other = rows().map(lambda x, y: (x + 1, y)), rows().map(lambda x, y: (x - 1, y))
    assert differ(one, other) == CODE
    # Another version of Python compiles the same function to other code.
    older = {**facts(other), "python": [3, 1]}
    assert Fingerprint(one).difference(older) is None
    two = rows().map(partial(scaled, by=3.0))
    assert differ(two, rows().map(partial(scaled, by=3.0))) is None
    assert STEPS in str(differ(two, rows().map(partial(scaled, by=4.0))))
    before = facts(two)
    monkeypatch.setitem(globals(), "SCALE", 5.0)
    assert STEPS in str(Fingerprint(two).difference(before))


def test_layers_count_by_their_arguments_and_weights() -> None:
    def resized(size: int) -> Any:
        layer = layers.Resizing(size, size)
        return Dataset.from_tensor_slices(np.zeros((2, 8, 8, 3), np.float32)).map(lambda x: layer(x)[:4, :4])

    assert differ(resized(4), resized(4)) is None and STEPS in str(differ(resized(4), resized(5)))
    images = Dataset.from_tensor_slices(np.zeros((2, 8, 8, 3), np.float32))
    flips = [images.map(layers.RandomFlip()) for _ in range(2)]
    assert differ(*flips) is None, "their seeds are drawn"
    model = cnnrs.Sequential([layers.Input((3,)), layers.Dense(2)])
    features = rows().map(lambda x, y: model(x[None])[0])
    before = facts(features)
    model.set_weights([w + 1 for w in model.get_weights()])
    assert STEPS in str(Fingerprint(features).difference(before))


def test_what_functions_hold(tmp_path: Path) -> None:
    """Numbers, text, sets, tables and objects in the variables of functions and in those of methods."""

    class Table:
        shape = (2,)

        def __init__(self, *values: int):
            self.values = values

        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            return np.array(self.values)

    class Reader:
        def __init__(self, root: str):
            self.root, self.cache = root, {}

        def read(self, index: Any) -> Any:
            return np.float32(len(self.root))

    def held(value: Any) -> Any:
        return Dataset.range(2).map(lambda n: n if value else n)

    normalizations = [layers.Normalization() for _ in range(2)]
    for i, layer in enumerate(normalizations):
        layer.adapt(np.arange(8.0).reshape(4, 2) * (i + 1))
    pairs: list[tuple[Any, Any]] = [
        (1, 2), ("a", "b"), (b"a", b"b"), (1.5, 2.5), ((1, (2,)), (1, (3,))), ({"a": 1}, {"a": 2}),
        ({1, 2}, {1, 3}), (np.arange(3), np.arange(1, 4)), (ops.ones(2), ops.zeros(2)), (len, max),
        (Table(1, 2), Table(1, 3)), (tmp_path / "a", tmp_path / "b"), (None, False), (int, float),
        (layers.Rescaling(2.0), layers.Rescaling(3.0)), tuple(normalizations), (np.mean, np.std),
        (Reader("here"), Reader("there")), (StringTensor(["a"]), StringTensor(["b"])),
    ]  # fmt: skip
    for one, other in pairs:
        assert differ(held(one), held(one)) is None, one
        assert differ(held(one), held(other)) in (STEPS, ARRAYS), (one, other)
    methods = [Dataset.range(2).map(Reader(root).read) for root in ("here", "here", "there")]
    assert differ(methods[0], methods[1]) is None and differ(methods[0], methods[2]) == STEPS


def test_long_chains_and_circles(tmp_path: Path) -> None:
    data = Dataset.range(3)
    for _ in range(150):
        data = data.map(lambda x: x + 1)
    assert [int(x) for x in data.cache(tmp_path / "kept")] == [150, 151, 152]

    def circle(x: Any, depth: int = 0) -> Any:
        return x if depth else circle(x, 1)

    held: list[Any] = [circle]
    held.append(held)
    assert facts(Dataset.range(2).map(lambda x: circle(x) if held else x))


def test_files_count_by_name_size_and_time(tmp_path: Path) -> None:
    shapes.write_folder(tmp_path / "a", size=16, n=20)
    one = Dataset.from_folder(tmp_path / "a", image_size=16)
    before = facts(one)
    os.rename(tmp_path / "a", tmp_path / "b")
    moved = Dataset.from_folder(tmp_path / "b", image_size=16)
    assert Fingerprint(moved).difference(before) is None, "names count from the folder on"
    assert STEPS in str(differ(moved, Dataset.from_folder(tmp_path / "b", image_size=16, fit="crop")))
    path = Path(moved.file_paths[3])
    os.utime(path, ns=(1, 1))
    assert Fingerprint(moved).difference(before) == ARRAYS
    path.unlink()
    assert differ(Dataset.from_folder(tmp_path / "b", image_size=16), moved) == ARRAYS


def test_arguments_of_each_source(tmp_path: Path) -> None:
    folder = shapes.write_folder(tmp_path / "a", size=16, n=20, test_n=10, labels_csv=True)
    paths = sorted(folder.rglob("*.jpg"))
    images, labels = shapes.draw_pictures(4, size=16)[:2]
    samples = ({"png": x, "cls": y[0]} for x, y in zip(images, labels, strict=True))
    shards = write_shards(samples, tmp_path / "a-{:03}.tar")
    text = StringTensor([str(path) for path in paths])

    def directory(**options: Any) -> Any:
        options = {"image_size": (8, 8), "seed": 1, "verbose": False, **options}
        return utils.image_dataset_from_directory(folder / "train", **options)

    def windows(size: int = 2, **options: Any) -> Any:
        return Dataset.from_tensor_slices(text).batch(size).window(3, **options)

    made: list[tuple[Any, list[dict[str, Any]]]] = [
        (directory, [{}, {"image_size": (8, 9)}, {"interpolation": "nearest"}, {"color_mode": "grayscale"},
                     {"crop_to_aspect_ratio": True}, {"label_mode": "categorical"},
                     {"exif_orientation": True}]),
        (partial(Dataset.from_folder, folder / "train"), [{}, {"image_size": 8}, {"fit": "pad"}]),
        (partial(Dataset.from_csv, folder / "labels.csv", 8), [{}, {"fit": "crop"}, {"split": "test"}]),
        (partial(Dataset.from_files, paths), [{}, {"labels": range(30)}, {"exif_orientation": False}]),
        (partial(Dataset.from_shards, shards, "png"), [{}, {"image_size": 8}, {"interpolation": "box"}]),
        (partial(Dataset.of_function, length=3), [{"at": lambda i: i}, {"at": lambda i: i * 2}]),
        (partial(Dataset.range, 20), [{}, {"output_type": "int32"}]),
        (windows, [{}, {"size": 3}, {"shift": 2}]),
    ]  # fmt: skip
    for function, versions in made:
        every = [facts(function(**options)) for options in versions]
        for i, options in enumerate(versions):
            again = Fingerprint(function(**options))
            assert [again.difference(one) is None for one in every] == [i == j for j in range(len(every))], (
                options
            )


def test_paths_among_elements_and_in_functions(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.zeros(3))

    def sources() -> list[Any]:
        def read() -> Any:
            yield from np.load(path)

        return [
            Dataset.from_tensor_slices(StringTensor([str(path)])),
            Dataset.from_generator(read, output_types="float64"),
            Dataset.range(1).map(lambda _: np.load(path)),
        ]

    before = [facts(data) for data in sources()]
    assert [Fingerprint(d).difference(f) for d, f in zip(sources(), before, strict=True)] == [None] * 3
    os.utime(path, ns=(5, 5))
    assert [Fingerprint(d).difference(f) for d, f in zip(sources(), before, strict=True)] == [ARRAYS] * 3


def test_saved_elements_that_are_written_anew(tmp_path: Path) -> None:
    rows().save(tmp_path / "saved")
    list(Dataset.load(tmp_path / "saved").map(lambda x, y: y).cache(tmp_path / "kept"))
    assert len(list(Dataset.load(tmp_path / "saved").map(lambda x, y: y).cache(tmp_path / "kept"))) == 8
    rows(shift=3).save(tmp_path / "saved")
    with pytest.raises(ValueError, match="found those of another one"):
        list(Dataset.load(tmp_path / "saved").map(lambda x, y: y).cache(tmp_path / "kept"))


def test_large_arrays_count_by_some_rows() -> None:
    large = np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), (300, 2**20), (0, 0))
    assert differ(Dataset.from_tensor_slices(large), Dataset.from_tensor_slices(large[:299])) == ARRAYS


def test_elements_of_earlier_versions_are_served(tmp_path: Path) -> None:
    list(rows().cache(tmp_path / "kept"))
    file = tmp_path / "kept" / "dataset.json"
    description = json.loads(file.read_text())
    del description["of"]
    file.write_text(json.dumps(description))
    assert len(list(rows(shift=1).cache(tmp_path / "kept"))) == 8


SCRIPT = """
import sys
import numpy as np
from cnnrs import layers
from cnnrs.data import Dataset
flip, kinds = layers.RandomFlip("horizontal"), {"b", "a", "c"}
data = Dataset.from_tensor_slices((np.zeros((4, 6, 6, 3), np.uint8), np.arange(4))).shuffle(4)
data = data.map(lambda x, y: (flip(x), y if "a" in {"a", "b", "c"} else -y), num_parallel_calls=-1)
print(len(list(data.cache(sys.argv[1]))))
"""


def test_another_process_finds_the_elements(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, str(script), str(tmp_path / "kept")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout.strip() == "4", done.stderr


def test_a_function_that_reads_values_is_cached_too(tmp_path: Path) -> None:
    data = Dataset.range(3).map(lambda n: np.full(2, int(n)))
    one = [x.tolist() for x in data.cache(tmp_path / "kept")]
    assert [x.tolist() for x in data.cache(tmp_path / "kept")] == one == [[0, 0], [1, 1], [2, 2]]
    assert int(ops.sum(one[2])) == 4


def pipelines() -> dict[str, Any]:
    """One data set for each kind of step, with random draws of their own."""
    flip = layers.RandomFlip("horizontal")
    pairs = Dataset.from_tensor_slices((np.zeros((12, 4, 4, 3), np.uint8), np.arange(12) % 3))
    return {
        "shuffle": pairs.shuffle(12).take(12),
        "map": pairs.map(lambda x, y: (flip(x), y), num_parallel_calls=2).prefetch(2),
        "filter": pairs.filter(lambda x, y: y > 0),
        "cache": pairs.map(lambda x, y: (flip(x), y)).cache().batch(5),
        "balance": pairs.balance(),
        "interleave": Dataset.range(3).interleave(
            lambda n: Dataset.from_tensors(n).repeat(2), cycle_length=2
        ),
        "flat_map": Dataset.range(3).flat_map(lambda n: Dataset.from_tensors(n).repeat(2)),
        "scan": Dataset.range(5).scan(np.int64(0), lambda state, x: (state + x, state)),
        "zip": Dataset.zip(pairs, Dataset.range(20)).enumerate(),
        "concatenate": pairs.concatenate(pairs.skip(3)),
        "resample": pairs.rejection_resample(lambda x, y: y, [0.4, 0.3, 0.3], seed=1).take(3),
        "sample": Dataset.sample_from_datasets([Dataset.range(3), Dataset.range(5)], seed=2),
        "bucket": pairs.bucket_by_sequence_length(lambda x, y: y, [1, 2], [2, 2, 2]),
        "padded": pairs.padded_batch(5).unbatch().repeat(2),
        "errors": Dataset.range(3).map(lambda n: np.float32(1 / int(n))).ignore_errors(),
        "random": Dataset.random(seed=3).take(4),
        "generator": Dataset.from_generator(lambda: iter([1, 2]), output_types="int32"),
    }


@pytest.mark.parametrize("name", pipelines())
def test_used_data_sets_and_new_ones_of_the_same_steps_find_their_elements(name: str, tmp_path: Path) -> None:
    used, kept = pipelines()[name], tmp_path / "kept"
    count = len(list(used.cache(kept)))
    for again in (used, pipelines()[name]):
        assert len(list(again.cache(kept))) == count
