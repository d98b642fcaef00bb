"""Data sets of folders, CSV lists, tar shards, Parquet files and `PyDataset`s."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cnnrs
from cnnrs.data import Dataset, write_shards
from cnnrs.datasets import shapes


def save(path: Path, value: int, size: tuple[int, int] = (6, 4)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), value, np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes; the pictures have the values 10, 11, 12 and 20, 21."""
    root = tmp_path / "photos"
    for i in range(3):
        save(root / "kočka" / f"{i}.png", 10 + i)
    for i in range(2):
        save(root / "pes" / "more" / f"{i}.PNG", 20 + i)
    (root / "pes" / "notes.txt").write_text("no image")
    return root


def values(data: Any) -> list[Any]:
    return [(int(x[0, 0, 0]), int(y)) for x, y in data.as_numpy_iterator()]


def test_a_folder(folder: Path) -> None:
    data = Dataset.from_folder(folder)
    assert data.class_names == ["kočka", "pes"] and len(data.file_paths) == 5
    assert values(data) == [(10, 0), (11, 0), (12, 0), (20, 1), (21, 1)]
    assert [tuple(s.shape) for s in data.element_spec] == [(None, None, 3), ()]
    grey = Dataset.from_folder(folder, (8, 5), color_mode="grayscale", class_names=["pes", "kočka"])
    assert grey.element_spec[0].shape == (8, 5, 1) and values(grey)[0] == (20, 0)
    alone = Dataset.from_folder(folder, 4, labels=None)
    assert [x.shape for x in alone] == [(4, 4, 3)] * 5 and alone.class_names is None
    shuffled = data.shuffle(5, seed=3).batch(2)
    assert shuffled.class_names == data.class_names
    # A pass over batches decodes in the order of the shuffle, the same with any number of threads.
    one = Dataset.from_folder(folder, num_parallel_calls=None).shuffle(5, seed=3)
    assert values(shuffled.unbatch()) == values(one)


def test_batches_have_the_bits_of_single_images(folder: Path) -> None:
    shapes.write_folder(folder.parent / "drawn", size=37, n=30)
    singles = [
        (x, y)
        for x, y in Dataset.from_folder(folder.parent / "drawn", (20, 24), fit="crop").as_numpy_iterator()
    ]
    for workers in (None, 2, 7):
        data = Dataset.from_folder(folder.parent / "drawn", (20, 24), fit="crop", num_parallel_calls=workers)
        batches = list(data.batch(7).prefetch(2).as_numpy_iterator())
        assert [len(y) for _, y in batches] == [7, 7, 7, 7, 2]
        np.testing.assert_array_equal(np.concatenate([x for x, _ in batches]), [x for x, _ in singles])
        np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), [y for _, y in singles])
        elements = iter(data.shuffle(30, seed=3).batch(7))
        next(elements)
        state = elements.state()
        rest = [(x.numpy(), y.numpy()) for x, y in elements]
        for (x, y), (u, v) in zip(rest, data.shuffle(30).batch(7).restore(state), strict=True):
            np.testing.assert_array_equal(x, u)
            np.testing.assert_array_equal(y, v)


def test_fits(tmp_path: Path) -> None:
    array = np.zeros((4, 8, 3), np.uint8)
    array[:, 2:6] = 200
    (tmp_path / "a").mkdir()
    Image.fromarray(array).save(tmp_path / "a" / "1.png")
    with pytest.warns(UserWarning, match="has one class, 'a'"):
        ((crop, _),) = Dataset.from_folder(tmp_path, 4, fit="crop").as_numpy_iterator()
    assert (crop == 200).all()
    ((pad,),) = [[x] for x in Dataset.from_folder(tmp_path, 8, labels=None, fit="pad").as_numpy_iterator()]
    assert not pad[:2].any() and not pad[6:].any() and (pad[2:6, 3] == 200).all()


def test_folders_that_are_none(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"path: expected a folder, received '.*nothing'"):
        Dataset.from_folder(tmp_path / "nothing")
    with pytest.raises(ValueError, match=r"expected one folder a class in .*, found images alone; sort them"):
        Dataset.from_folder(folder / "kočka")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"expected images \(.bmp, .*\) in .*empty', found none"):
        Dataset.from_folder(tmp_path / "empty")
    (folder / "void").mkdir()
    with pytest.warns(UserWarning, match="classes without images: 'void'"):
        Dataset.from_folder(folder)
    (folder / "void").rmdir()
    with pytest.raises(ValueError, match=r"class_names: expected names of the folders .*received \['dog'\]"):
        Dataset.from_folder(folder, class_names=["dog"])
    with pytest.raises(ValueError, match="fit: expected one of 'stretch', 'crop', 'pad', received 'zoom'"):
        Dataset.from_folder(folder, fit="zoom")


def test_a_loop_of_links_ends(folder: Path) -> None:
    os.symlink(folder, folder / "pes" / "again", target_is_directory=True)
    assert len(Dataset.from_folder(folder)) == 5
    followed = Dataset.from_folder(folder, follow_links=True)
    assert len(set(followed.file_paths)) == len(followed) >= 5
    keras = cnnrs.utils.image_dataset_from_directory(folder, follow_links=True, verbose=False)
    assert len(keras.file_paths) == len(followed)


def test_broken_files(folder: Path) -> None:
    (folder / "pes" / "zero.png").write_bytes(b"")
    data = Dataset.from_folder(folder, 4)
    with pytest.raises(ValueError, match=r"from_folder: .*zero.png.*: an empty file"):
        list(data)
    skipping = Dataset.from_folder(folder, 4, on_error="skip")
    with pytest.warns(UserWarning, match=r"a file is left out: .*zero.png"):
        assert len(values(skipping)) == 5
    # Each file is named once.
    assert len(values(skipping.shuffle(9))) == 5
    assert int(skipping.cardinality()) == cnnrs.data.UNKNOWN_CARDINALITY


def test_files(folder: Path) -> None:
    paths = sorted(folder.rglob("*.png"))
    data = Dataset.from_files(paths, np.array([2, 0, 1]), 4, class_names="abc")
    assert values(data) == [(10, 2), (11, 0), (12, 1)] and data.class_names == ["a", "b", "c"]
    with pytest.raises(ValueError, match="labels: expected one for each of 3 paths, received 2"):
        Dataset.from_files(paths, [0, 1])
    with pytest.raises(ValueError, match="class_names: expected a name for each label up to 2"):
        Dataset.from_files(paths, [0, 1, 2], class_names=["a"])
    with pytest.raises(ValueError, match="expected at least one, received none"):
        Dataset.from_files([])
    with pytest.raises(FileNotFoundError, match=r"gone\.png") as caught:
        list(Dataset.from_files([folder / "gone.png"], 4))
    assert caught.value.filename


CSV = "kočka/0.png,cat,train\nkočka/1.png,cat,test\npes/more/0.PNG,dog,train\n"


@pytest.mark.parametrize(
    "text",
    [
        CSV,
        "image,label,split\n" + CSV,
        "\ufeffFile;Class;Subset\n" + CSV.replace(",", ";"),
        "path\tlabel\tsplit\n\n" + CSV.replace(",", "\t"),
    ],
)
def test_a_csv_list(folder: Path, text: str) -> None:
    (folder / "list.csv").write_text(text, encoding="utf-8")
    data = Dataset.from_csv(folder / "list.csv", 4)
    assert data.class_names == ["cat", "dog"] and values(data) == [(10, 0), (11, 0), (20, 1)]
    assert values(Dataset.from_csv(folder / "list.csv", 4, split="train")) == [(10, 0), (20, 1)]
    assert len(list(Dataset.from_csv(folder / "list.csv", 4, labels=None))) == 3


def test_columns_of_a_csv_list(folder: Path) -> None:
    (folder / "list.csv").write_text("n,breed,photo\n1,3,0.png\n2,1,1.png\n")
    data = Dataset.from_csv(
        folder / "list.csv", 4, root=folder / "kočka", path_column="photo", label_column="breed"
    )
    # Numbers are labels by themselves.
    assert values(data) == [(10, 3), (11, 1)] and data.class_names == ["0", "1", "2", "3"]
    root, names = folder / "kočka", ["1", "3"]
    named = Dataset.from_csv(
        folder / "list.csv", root=root, path_column=2, label_column=1, header=True, class_names=names
    )
    assert values(named) == [(10, 1), (11, 0)]


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("", {}, "found an empty file"),
        ("path,label\n", {}, "found the header alone"),
        ("path,label\na.png,cat\nb.png,\nc.png\n", {}, "lines 3, 4: expected a label, found none"),
        ("path,label\n,cat\n", {}, "line 2: expected a path, found none"),
        (
            "a,b\n1,2\n",
            {"header": True},
            r"path_column: expected a column called 'path', .*found \['a', 'b'\]",
        ),
        ("path\na.png\n", {}, r"label_column: expected a column called 'label', .*found \['path'\]"),
        ("a.png\n", {}, "found 1 columns; name it, or say labels=None"),
        ("path,label\na.png,cat\n", {"label_column": "lable"}, "did you mean 'label'"),
        (
            "path,label\na.png,cat\n",
            {"class_names": ["dog"]},
            r"line 2: expected one of the classes \['dog'\]",
        ),
        ("path,label\na.png,cat\n", {"split": "train"}, "expected a column called 'split'"),
        ("path,label,split\na.png,cat,x\n", {"split": "train"}, r"split: expected one of \['x'\]"),
        (
            "path,label,split\na.png,cat,train\na.png,cat,test\n",
            {"split": "train"},
            "lines 2 and 3: expected each file in one split, found 'a.png' in 'train' and 'test'",
        ),
        ('path,label\n"a.png,cat\n', {}, "expected a CSV file"),
    ],
)
def test_csv_lists_that_are_none(tmp_path: Path, text: str, arguments: Any, message: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        Dataset.from_csv(tmp_path / "list.csv", **arguments)
    assert "list.csv" in str(caught.value)


def test_files_that_a_list_names_and_that_are_not_there(folder: Path) -> None:
    (folder / "list.csv").write_text("kočka/0.png,cat\ngone.png,cat\nlost.png,dog\n", encoding="utf-8")
    with pytest.raises(FileNotFoundError, match=r"found no '.*gone.png' and 1 more; root= names"):
        Dataset.from_csv(folder / "list.csv")
    with pytest.warns(UserWarning, match="a file is left out"):
        assert values(Dataset.from_csv(folder / "list.csv", on_error="skip")) == [(10, 0)]
    (folder / "latin.csv").write_bytes("kočka/0.png,cat".encode("cp1250"))
    with pytest.raises(ValueError, match=r"latin.csv: expected text in UTF-8"):
        Dataset.from_csv(folder / "latin.csv")


def shards(tmp_path: Path, count: int = 10) -> list[str]:
    pictures = shapes.draw_pictures(count, size=16)
    rows = np.stack([np.arange(count), 2 * np.arange(count)], 1).astype(np.float32)
    samples = (
        {"__key__": f"a/{i:03d}", "png": x, "cls": y[0], "json": {"at": {"x": i}}, "npy": rows[i]}
        for i, (x, y) in enumerate(zip(pictures.images, pictures.labels, strict=True))
    )
    return write_shards(samples, tmp_path / "train-%03d.tar", samples_per_shard=4)


def test_shards(tmp_path: Path) -> None:
    paths = shards(tmp_path)
    pictures = shapes.draw_pictures(10, size=16)
    assert [os.path.basename(p) for p in paths] == ["train-000.tar", "train-001.tar", "train-002.tar"]
    data = Dataset.from_shards(str(tmp_path / "train-{000..002}.tar"))
    found = list(data.as_numpy_iterator())
    np.testing.assert_array_equal([x for x, _ in found], pictures.images)
    np.testing.assert_array_equal([y for _, y in found], pictures.labels[:, 0])
    fields = {"name": "__key__", "where": "json:at.x", "all": "json", "row": "npy", "image": "jpg;png"}
    first = next(iter(Dataset.from_shards(tmp_path / "*.tar", fields, image_size=8)))
    assert first["name"].numpy() == b"a/000" and int(first["where"]) == 0
    assert json.loads(first["all"].numpy()) == {"at": {"x": 0}}
    assert first["row"].shape == (2,) and first["image"].shape == (8, 8, 3)
    assert [int(y) for y in Dataset.from_shards(paths, "cls")] == pictures.labels[:, 0].tolist()
    # Equal samples make equal files.
    again = tmp_path / "again"
    assert [Path(p).read_bytes() for p in shards(again)] == [Path(p).read_bytes() for p in paths]


def test_shards_in_random_order(tmp_path: Path) -> None:
    paths = shards(tmp_path)
    data = Dataset.from_shards(paths, "json:at.x", shuffle_shards=True, seed=5)
    orders = [[int(i) for i in data] for _ in range(4)]
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert len({tuple(order) for order in orders}) > 1
    again = Dataset.from_shards(paths, "json:at.x", shuffle_shards=True, seed=5, num_parallel_calls=7)
    assert [int(i) for i in again] == orders[0]
    mixed = Dataset.from_shards(paths, ("png", "json:at.x"), shuffle_shards=True).shuffle(5).batch(3)
    elements = iter(mixed)
    next(elements)
    state = elements.state()
    rest = [y.tolist() for _, y in elements]
    other = Dataset.from_shards(paths, ("png", "json:at.x"), shuffle_shards=True).shuffle(5).batch(3)
    assert [y.tolist() for _, y in other.restore(state)] == rest


def test_shards_of_others(tmp_path: Path) -> None:
    """As `tar` makes them: folders, a compressed file, files of systems in between."""
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        folder = tarfile.TarInfo("set")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in (
            ("set/1.txt", b"one"),
            ("set/.hidden", b""),
            ("set/1.left.CLS", b"7"),
            ("set/2.txt", b"two"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    data = Dataset.from_shards(tmp_path / "a.tar.gz", ("__key__", "txt"))
    assert [(k.numpy(), t.numpy()) for k, t in data] == [(b"set/1", b"one"), (b"set/2", b"two")]
    assert int(next(iter(Dataset.from_shards(tmp_path / "a.tar.gz", "left.cls")))) == 7
    with pytest.raises(ValueError, match=r"sample 'set/2': expected a file 'left.cls', found \['txt'\]"):
        list(Dataset.from_shards(tmp_path / "a.tar.gz", "left.cls"))


def test_shards_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"shards: no file matches '.*none-\*.tar'"):
        Dataset.from_shards(tmp_path / "none-*.tar")
    with pytest.raises(FileNotFoundError, match=r"gone\.tar"):
        list(Dataset.from_shards(tmp_path / "gone.tar"))
    with pytest.raises(ValueError, match="fields: 'pkl': pickles are programs and are not read"):
        Dataset.from_shards(tmp_path / "gone.tar", "pkl")
    path = Path(shards(tmp_path)[0])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"train-000.tar: not a tar file of samples, or damaged"):
        list(Dataset.from_shards(path))
    path.write_bytes(b"no archive" * 100)
    with pytest.raises(ValueError, match=r"train-000.tar: not a tar file of samples, or damaged"):
        list(Dataset.from_shards(path))
    (broken,) = write_shards([{"png": b"no image", "cls": "x"}], tmp_path / "b-%d.tar")
    with pytest.raises(ValueError, match=r"b-0.tar: sample '000000': png: .*not an image"):
        list(Dataset.from_shards(broken))
    with pytest.raises(ValueError, match=r"sample '000000': cls: invalid literal"):
        list(Dataset.from_shards(broken, "cls"))


def test_what_is_no_shard_to_write(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a place for a number"):
        write_shards([{"cls": 1}], tmp_path / "a.tar")
    with pytest.raises(ValueError, match="samples: expected at least one"):
        write_shards([], tmp_path / "a-%d.tar")
    with pytest.raises(ValueError, match=r"expected a name without dots, received 'a\.b'"):
        write_shards([{"__key__": "a.b", "cls": 1}], tmp_path / "a-%d.tar")
    with pytest.raises(TypeError, match="expected bytes or text for 'bin', received list"):
        write_shards([{"cls": 1}, {"bin": [1]}], tmp_path / "a-%d.tar")
    assert os.listdir(tmp_path) == []


def test_parquet(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    files = []
    for part in range(3):
        rows = range(part * 7, part * 7 + 7)
        images = []
        for i in rows:
            file = io.BytesIO()
            Image.fromarray(np.full((4, 4, 3), i, np.uint8)).save(file, "PNG")
            images.append({"bytes": file.getvalue(), "path": f"{i}.png"})
        columns = {
            "image": images,
            "label": list(rows),
            "text": [f"t{i}" for i in rows],
            "box": [[0.5 * i, 1.0] for i in rows],
            "good": [i % 2 == 0 for i in rows],
        }
        table = arrow.table(columns)
        files.append(tmp_path / f"p-{part}.parquet")
        parquet.write_table(table, files[-1], row_group_size=3)
    data = Dataset.from_parquet(tmp_path / "p-*.parquet", ("image", "label"))
    assert len(data) == 21 and values(data) == [(i, i) for i in range(21)]
    row = next(iter(Dataset.from_parquet(files[1])))
    assert sorted(row) == ["box", "good", "image", "label", "text"]
    assert (
        row["text"].numpy() == b"t7" and row["box"].tolist() == [3.5, 1.0] and row["box"].dtype == "float32"
    )
    # What is left out is not read, and has the same elements behind it.
    mixed = Dataset.from_parquet(files, "label", shuffle_files=True, seed=1).batch(2)
    for taken in range(11):
        elements = iter(mixed)
        for _ in range(taken):
            next(elements)
        state = elements.state()
        rest = [y.tolist() for y in elements]
        other = Dataset.from_parquet(files, "label", shuffle_files=True).batch(2)
        assert [y.tolist() for y in other.restore(state)] == rest
    with pytest.raises(ValueError, match=r"p-0.parquet: expected a column 'lable', found \['image'"):
        Dataset.from_parquet(files, "lable")
    (tmp_path / "no.parquet").write_bytes(b"no table")
    with pytest.raises(ValueError, match=r"no.parquet: not a Parquet file, or damaged"):
        Dataset.from_parquet(tmp_path / "no.parquet")
    parquet.write_table(arrow.table({"x": [1, None]}), tmp_path / "null.parquet")
    with pytest.raises(ValueError, match=r"null.parquet: row 1, column 'x': expected a value, found null"):
        list(Dataset.from_parquet(tmp_path / "null.parquet", "x"))


def test_a_py_dataset() -> None:
    class Batches(cnnrs.utils.PyDataset):
        ended = 0

        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> Any:
            return np.full((2, 2), index, np.float32), np.array([index, index])

        def on_epoch_end(self) -> None:
            self.ended += 1

    batches = Batches(workers=2)
    data = Dataset.from_py_dataset(batches)
    assert len(data) == 3 and [y.tolist() for _, y in data] == [[0, 0], [1, 1], [2, 2]] and batches.ended == 1
    model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(data.unbatch().shuffle(6).batch(4), epochs=2, verbose=0)
    assert batches.ended == 3
    with pytest.raises(TypeError, match="expected a PyDataset, received int"):
        Dataset.from_py_dataset(3)
