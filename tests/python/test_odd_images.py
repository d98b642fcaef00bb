"""Images of files: the corpus of odd images against Pillow, and what is refused."""

from __future__ import annotations

import io
import re
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from cnnrs import data

pillow = pytest.importorskip("PIL.Image")
from PIL import ImageOps  # noqa: E402

FOLDER = Path(__file__).parents[1] / "fixtures" / "images"
GOOD = sorted(path.name for path in FOLDER.iterdir() if ".bad." not in path.name)
BAD = sorted(path.name for path in FOLDER.iterdir() if ".bad." in path.name)
MODES = {"rgb": "RGB", "rgba": "RGBA", "grayscale": "L"}
FILTERS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")


def expected(path: Path, color_mode: str = "rgb", size=None, interpolation: str = "bilinear", upright=True):
    """What Pillow makes of a file."""
    with warnings.catch_warnings(), pillow.open(path) as image:
        # Palettes with transparency want another mode, says Pillow.
        warnings.simplefilter("ignore")
        image = ImageOps.exif_transpose(image) if upright else image
        if image.mode.startswith("I;16"):
            # Pillow clips 16 bits when it converts them; their upper 8 are meant.
            image = pillow.fromarray((np.asarray(image).astype(np.int64) >> 8).astype(np.uint8))
        image = image.convert(MODES[color_mode])
        if size is not None:
            image = image.resize(size[::-1], getattr(pillow.Resampling, interpolation.upper()))
        array = np.asarray(image)
    return array if array.ndim == 3 else array[:, :, None]


def apart(a: np.ndarray, b: np.ndarray) -> int:
    """The largest difference of two images of one shape."""
    assert a.shape == b.shape and a.dtype == b.dtype == np.uint8
    return int(np.abs(a.astype(int) - b).max())


def test_the_corpus_is_what_the_script_writes(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER.parents[1])
    import make_odd_images

    assert make_odd_images.files().keys() == {path.name for path in FOLDER.iterdir()}
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 150_000


@pytest.mark.parametrize("name", GOOD)
def test_pixels_are_pillows(name):
    for color_mode in MODES:
        made = data.decode_image(FOLDER / name, color_mode)
        assert apart(made, expected(FOLDER / name, color_mode)) <= (2 if "jp" in name else 1), color_mode
        if not name.endswith(".tif"):
            # Pillow turns TIFFs in any case.
            stored = data.decode_image(FOLDER / name, color_mode, exif_orientation=False)
            assert apart(stored, expected(FOLDER / name, color_mode, upright=False)) <= 2
        small = data.decode_image(FOLDER / name, color_mode, (9, 14), draft=False)
        assert apart(small, expected(FOLDER / name, color_mode, (9, 14))) <= 2


@pytest.mark.parametrize("name", GOOD)
def test_indices_are_what_pillow_opens(name):
    with pillow.open(FOLDER / name) as image:
        opened = ImageOps.exif_transpose(image)
        mode, array = opened.mode, np.asarray(opened).astype(np.uint8)
    if mode not in ("1", "L", "P"):
        with pytest.raises(ValueError, match=f"{name}.*expected a palette, or grey of up to 8 bits"):
            data.decode_image(FOLDER / name, "indices")
        return
    made = data.decode_image(FOLDER / name, "indices")
    assert apart(made, array[:, :, None]) == 0
    small = pillow.fromarray(array).resize((14, 9), pillow.Resampling.NEAREST)
    made = data.decode_image(FOLDER / name, "indices", (9, 14), "nearest")
    assert apart(made, np.asarray(small)[:, :, None]) == 0


def test_the_corpus_has_indices_of_each_kind():
    kinds = set()
    for name in GOOD:
        with pillow.open(FOLDER / name) as image:
            kinds.add((image.format, image.mode))
    assert kinds >= {(f, m) for f in ("PNG", "BMP", "TIFF") for m in ("1", "L", "P")} | {("GIF", "P")}


def test_masks_of_a_palette_are_read_by_all_sources(tmp_path):
    """As those of Pascal VOC: numbers of classes, and 255 at borders."""
    masks = np.random.default_rng(0).choice(np.array([0, 1, 20, 255], np.uint8), (4, 12, 10))
    colours = np.random.default_rng(1).integers(0, 256, (256, 3), np.uint8)
    paths = [tmp_path / f"{i}.png" for i in range(4)]
    for path, mask in zip(paths, masks, strict=True):
        image = pillow.fromarray(mask)
        image.putpalette(colours.tobytes())
        image.save(path)
    expected = masks[..., None]
    nearest = {"color_mode": "indices", "interpolation": "nearest"}
    np.testing.assert_array_equal(data.read_images(paths, (12, 10), **nearest), expected)
    np.testing.assert_array_equal(next(data.image_batches(paths, (12, 10), **nearest))[0], expected)
    for made in (
        data.Dataset.from_files(paths, color_mode="indices"),
        data.Dataset.from_files(paths, image_size=(12, 10), **nearest),
        data.Dataset.from_folder(tmp_path, labels=None, color_mode="indices"),
    ):
        assert made.element_spec.shape[-1] == 1
        np.testing.assert_array_equal(np.stack([np.asarray(mask) for mask in made]), expected)
    batches = data.Dataset.from_files(paths, image_size=(24, 20), **nearest).batch(4)
    np.testing.assert_array_equal(next(iter(batches)).numpy(), expected.repeat(2, 1).repeat(2, 2))
    for function in (
        lambda: data.decode_image(paths[0], "indices", 8),
        lambda: data.read_images(paths, 8, "indices"),
        lambda: data.Dataset.from_files(paths, image_size=8, color_mode="indices"),
    ):
        with pytest.raises(ValueError, match="interpolation: expected 'nearest' with color_mode='indices'"):
            function()
    pillow.fromarray(masks[0]).convert("RGB").save(paths[2])
    with pytest.raises(ValueError, match="from_files: .*2.png.*a PNG with 3 channels of 8 bits: expected"):
        list(data.Dataset.from_files(paths, color_mode="indices"))


@pytest.mark.parametrize("name", [name for name in GOOD if name.endswith(".jpg") and "cmyk" not in name])
def test_jpegs_are_those_of_libjpeg_turbo_bit_by_bit(name):
    assert apart(data.decode_image(FOLDER / name), expected(FOLDER / name)) == 0


@pytest.mark.parametrize("interpolation", FILTERS)
@pytest.mark.parametrize("name", ["plain.png", "alpha.png", "grey.png", "large.jpg"])
def test_filters_are_pillows_bit_by_bit(name, interpolation):
    mode = {"alpha.png": "rgba", "grey.png": "grayscale"}.get(name, "rgb")
    for size in [(1, 1), (5, 7), (23, 11), (9, 60), (64, 8), (50, 80), (23, 37)]:
        made = data.decode_image(FOLDER / name, mode, size, interpolation, draft=False)
        assert apart(made, expected(FOLDER / name, mode, size, interpolation)) == 0, size


def test_a_large_jpeg_is_decoded_at_a_part_of_its_size():
    path = FOLDER / "large.jpg"
    with pillow.open(path) as image:
        # As `Image.thumbnail` does it: twice the size is left to the filter.
        image.draft("RGB", (2 * 24, 2 * 18))
        assert image.size == (51, 38)
        reference = np.asarray(image.resize((24, 18), pillow.Resampling.BILINEAR))
    assert apart(data.decode_image(path, size=(18, 24)), reference) == 0
    whole = data.decode_image(path, size=(18, 24), draft=False)
    assert 0 < apart(whole, reference) and np.abs(whole.astype(int) - reference).mean() < 2


def test_the_middle_or_the_whole():
    path = FOLDER / "plain.png"
    with pillow.open(path) as image:
        middle = np.asarray(image.resize((8, 8), pillow.Resampling.BILINEAR, box=(7, 0, 30, 23)))
        whole = np.asarray(image.resize((8, 4), pillow.Resampling.BILINEAR))
    assert apart(data.decode_image(path, size=8, fit="crop"), middle) == 0
    made = data.decode_image(path, size=8, fit="pad")
    assert apart(made[1:5], whole) == 0 and not made[0].any() and not made[5:].any()


def test_unchanged_channels_and_info():
    channels = {
        "grey.png": 1,
        "grey_alpha.png": 2,
        "palette.png": 3,
        "palette_transparent.png": 4,
        "cmyk.jpg": 3,
    }
    for name, count in channels.items():
        assert data.decode_image(FOLDER / name, "unchanged").shape == (23, 37, count)
        assert data.image_info(FOLDER / name).channels == count
    assert data.image_info(FOLDER / "orientation_6.jpg") == ("JPEG", 23, 37, 3, 8, 6)
    assert data.image_info((FOLDER / "deep_grey.png").read_bytes())[:5] == ("PNG", 23, 37, 1, 16)
    with open(FOLDER / "lossy.webp", "rb") as file:
        assert data.image_info(file).format == "WebP"
    kinds = {data.image_info(FOLDER / name).format for name in GOOD}
    assert kinds == {"JPEG", "PNG", "WebP", "BMP", "GIF", "TIFF"}


@pytest.mark.parametrize("name", BAD)
def test_damaged_files_are_named(name):
    with pytest.raises(ValueError, match=f"decode_image: .*{name}"):
        data.decode_image(FOLDER / name)


@pytest.mark.parametrize(
    ("name", "received"),
    [
        ("zstd.bad.tif", "a compression by ZSTD"),
        ("lzma.bad.tif", "a compression by LZMA"),
        ("group3.bad.tif", "a compression by Fax group 3"),
        ("lab.bad.tif", ".*CIELab"),
        ("floats_16.bad.tif", r"Gray\(16\) in floats"),
        ("floats_64.bad.tif", r"Gray\(64\) in floats"),
        ("integers_64.bad.tif", r"Gray\(64\) in unsigned integers"),
        ("signed_white_is_zero.bad.tif", r"Gray\(16\) in signed integers, of which 0 is white"),
        ("inside_png.bad.bmp", ".*PNG compression"),
    ],
)
def test_whole_files_that_are_not_read_are_not_called_damaged(name, received):
    with pytest.raises(ValueError, match=f"{name}.* not supported: expected .*, received {received}"):
        data.decode_image(FOLDER / name)


def test_the_words_of_damage_end_without_a_line_break():
    with pytest.raises(ValueError, match=r"cut_off.bad.bmp': a damaged BMP: .*\S\Z"):
        data.decode_image(FOLDER / "cut_off.bad.bmp")


def test_run_lengths_that_end_before_the_last_pixel_are_cut_off():
    with pytest.raises(ValueError, match="runs.bad.bmp': a damaged BMP: it is cut off"):
        data.decode_image(FOLDER / "runs.bad.bmp")


def test_bmps_of_16_bits_are_spread_over_all_levels():
    blues = data.decode_image(FOLDER / "words_555.bmp")[-1, :8, 2]
    assert blues.tolist() == [round(4 * level * 255 / 31) for level in range(8)]


def test_errors_say_what_was_found_and_expected():
    with pytest.raises(ValueError, match="an empty file: expected an image"):
        data.decode_image(b"")
    with pytest.raises(ValueError, match='not an image: expected JPEG, .* begin with "Not an i"'):
        data.decode_image(FOLDER / "text.bad.jpg")
    with pytest.raises(ValueError, match="60000 x 60000 .* expected at most 178956970, the limit max_pixels"):
        data.decode_image(FOLDER / "bomb.bad.png")
    with pytest.raises(ValueError, match="37 x 23 = 851 pixels: expected at most 850"):
        data.decode_image(FOLDER / "plain.jpg", max_pixels=850)
    with pytest.raises(FileNotFoundError):
        data.decode_image(FOLDER / "none.png")
    for arguments in (
        {"color_mode": "bgr"}, {"size": (1, 2, 3)}, {"size": 0}, {"interpolation": "area"}, {"fit": "cover"},
        {"exif_orientation": "no"}, {"draft": 3}, {"max_pixels": 0},
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"decode_image: {next(iter(arguments))}: expected"):
            data.decode_image(FOLDER / "plain.png", **arguments)
    with pytest.raises(TypeError, match="decode_image: image: expected a path"):
        data.decode_image(3)
    with pytest.raises(TypeError, match="opened with 'rb'"):
        data.decode_image(io.StringIO("text"))


def test_cut_files_never_end_the_process():
    """Each prefix of some files, and each of them with a byte changed, gives an image or an error."""
    random = np.random.default_rng(0)
    for name in ("plain.jpg", "progressive.jpg", "cmyk.jpg", "palette.png", "transparent.gif", "lossy.webp",
                 "runs_4.bmp", "planes.tif", "lowest_bit_first.tif", "palette.bmp"):  # fmt: skip
        content = (FOLDER / name).read_bytes()
        damaged = [content[:end] for end in random.integers(0, len(content), 40)]
        for place in random.integers(0, len(content), 60):
            damaged.append(
                content[:place] + bytes(random.integers(0, 256, 1, np.uint8)) + content[place + 1 :]
            )
        for each in damaged:
            try:
                data.decode_image(each, max_pixels=10**6)
            except ValueError as error:
                assert "decode_image" in str(error)


def test_batches_are_the_same_with_any_number_of_threads():
    paths = [FOLDER / name for name in GOOD]
    one = data.read_images(paths, (16, 12), threads=1)
    assert one.shape == (len(GOOD), 16, 12, 3)
    for index in (0, len(GOOD) // 2, len(GOOD) - 1):
        assert apart(one[index], data.decode_image(paths[index], size=(16, 12))) == 0
    for threads in (2, 7, None):
        assert apart(one, data.read_images(paths, (16, 12), threads=threads)) == 0


def test_bad_files_are_left_out_with_one_warning():
    paths = [FOLDER / "plain.png", FOLDER / "empty.bad.png", FOLDER / "grey.png", FOLDER / "none.png"]
    with pytest.warns(
        UserWarning, match="left out 2 of 4 files: .*empty.bad.png: an empty file.*none.png"
    ) as caught:
        images, index = data.read_images(paths, 8, on_error="skip", return_index=True)
    assert len(caught) == 1 and index.tolist() == [0, 2]
    assert apart(images, data.read_images([paths[0], paths[2]], 8)) == 0
    with pytest.raises(ValueError, match="read_images: .*empty.bad.png: an empty file"):
        data.read_images(paths, 8)
    with pytest.raises(FileNotFoundError, match="none.png"):
        data.read_images(paths[3:], 8)
    with pytest.warns(UserWarning, match="and 2 more"):
        assert data.read_images([paths[3]] * 7, 8, on_error="skip").shape == (0, 8, 8, 3)


def test_batches_come_in_order_and_are_read_ahead():
    paths = [FOLDER / name for name in GOOD]
    whole = data.read_images(paths, 8)
    for prefetch in (0, 1, 3):
        batches = list(data.image_batches(paths, 8, batch_size=7, prefetch=prefetch))
        assert apart(np.concatenate([images for images, _ in batches]), whole) == 0
        assert np.concatenate([index for _, index in batches]).tolist() == list(range(len(paths)))
    with pytest.warns(UserWarning, match="image_batches: left out 1 of 2 files"):
        batches = list(data.image_batches([FOLDER / "empty.bad.png", paths[0]] * 2, 8, 2, on_error="skip"))
    assert [index.tolist() for _, index in batches] == [[1], [3]]


def test_arguments_of_batches():
    path = FOLDER / "plain.png"
    for function in (data.read_images, data.image_batches):
        with pytest.raises(TypeError, match="paths: expected a list of paths, received one"):
            list(function(str(path), 8))
        for arguments in (
            {"size": None}, {"color_mode": "unchanged"}, {"on_error": "ignore"}, {"threads": 0},
        ):  # fmt: skip
            with pytest.raises(ValueError, match=f"{next(iter(arguments))}: expected"):
                list(function([path], **{"size": 8, **arguments}))
    with pytest.raises(ValueError, match="prefetch: expected"):
        data.image_batches([path], 8, prefetch=-1)


def test_names_in_any_script(tmp_path):
    content = (FOLDER / "plain.png").read_bytes()
    paths = [tmp_path / f"{name}.png" for name in ("größe", "猫", "кот", "قط", "🐈", "with space", "a%20b")]
    for path in paths:
        path.write_bytes(content)
    assert data.read_images(paths, 8).shape == (7, 8, 8, 3)


def test_other_threads_run_meanwhile():
    """Python goes on while files are decoded: the GIL is let go of."""
    large = io.BytesIO()
    pillow.fromarray(np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), np.uint8)).save(large, "PNG")
    counted, stop = [0], threading.Event()

    def count():
        while not stop.is_set():
            counted[0] += 1
            time.sleep(0)

    thread = threading.Thread(target=count)
    thread.start()
    try:
        before = counted[0]
        for _ in range(3):
            data.decode_image(large.getvalue())
        during = counted[0] - before
    finally:
        stop.set()
        thread.join()
    assert during > 100


def test_the_directory_function_names_damaged_files(tmp_path):
    from cnnrs import utils

    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "1.png").write_bytes((FOLDER / "plain.png").read_bytes())
    (tmp_path / "b" / "2.png").write_bytes(b"")
    images = utils.image_dataset_from_directory(tmp_path, image_size=(4, 4), shuffle=False, verbose=False)
    with pytest.raises(ValueError, match="image_dataset_from_directory: .*2.png: an empty file"):
        list(images)


def folder_of_classes(tmp_path, *names: str) -> Path:
    for label in names:
        (tmp_path / label).mkdir(parents=True)
        (tmp_path / label / "1.png").write_bytes((FOLDER / "plain.png").read_bytes())
    return tmp_path


def test_a_folder_without_classes_or_with_one(tmp_path):
    from cnnrs import utils

    (tmp_path / "1.png").write_bytes((FOLDER / "plain.png").read_bytes())
    with pytest.raises(ValueError, match="expected one folder a class .* labels=None"):
        utils.image_dataset_from_directory(tmp_path, verbose=False)
    with pytest.warns(UserWarning, match="has one class, 'a'"):
        one = utils.image_dataset_from_directory(folder_of_classes(tmp_path, "a"), verbose=False)
    assert one.class_names == ["a"] and len(list(one)) == 1
    with pytest.raises(ValueError, match="expected 2 classes for 'binary', found"):
        utils.image_dataset_from_directory(tmp_path, label_mode="binary", verbose=False)


def test_links_in_a_circle_end(tmp_path):
    from cnnrs import utils

    folder_of_classes(tmp_path, "a", "b")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a", target_is_directory=True)
    images = utils.image_dataset_from_directory(tmp_path, follow_links=True, shuffle=False, verbose=False)
    # Both lead to folders in which they lie: through the first, images of `b` would be of class `a`.
    found = [str(Path(path).relative_to(tmp_path)) for path in images.file_paths]
    assert found == ["a/1.png", "b/1.png"]


@pytest.mark.parametrize("follow_links", [False, True])
def test_loops_of_links_deep_in_a_class(tmp_path, follow_links):
    from cnnrs import utils

    root = folder_of_classes(tmp_path / "data", "a", "b")
    deep = root / "a" / "deep" / "deeper"
    deep.mkdir(parents=True)
    # A link to itself, two to each other, some into each other's folders, one out and two to one folder.
    (deep / "self").symlink_to("self")
    (deep / "one").symlink_to("two")
    (deep / "two").symlink_to("one")
    for i in range(12):
        (deep / f"{i}").mkdir()
        (deep / f"{i}" / "1.png").write_bytes((FOLDER / "plain.png").read_bytes())
        for j in range(12):
            (deep / f"{i}" / f"to{j}").symlink_to(deep / f"{j}", target_is_directory=True)
    folder_of_classes(tmp_path / "more", "c")
    for name in ("out", "again"):
        (deep / name).symlink_to(tmp_path / "more", target_is_directory=True)
    for found in (
        data.Dataset.from_folder(root, follow_links=follow_links).file_paths,
        utils.image_dataset_from_directory(
            root, follow_links=follow_links, shuffle=False, verbose=False
        ).file_paths,
    ):
        names = [str(Path(path).relative_to(root)) for path in found]
        assert names == sorted(names) or follow_links
        outside = ["a/deep/deeper/again/c/1.png"] if follow_links else []
        inside = [f"a/deep/deeper/{i}/1.png" for i in range(12)]
        assert sorted(names) == sorted(["a/1.png", "b/1.png", *inside, *outside])


def test_a_link_that_leads_to_itself_is_named(tmp_path):
    root = folder_of_classes(tmp_path, "a", "b")
    (root / "a" / "2.png").symlink_to("2.png")
    with pytest.raises(OSError, match="Too many levels of symbolic links: .*2.png"):
        list(data.Dataset.from_folder(root))
    with pytest.warns(UserWarning, match="Dataset.from_folder: a file is left out: .*2.png"):
        assert len(list(data.Dataset.from_folder(root, on_error="skip"))) == 2


def test_the_directory_function_leaves_out_what_is_no_image(tmp_path):
    from cnnrs import utils

    root = folder_of_classes(tmp_path, "a", "b")
    for name in ("empty.bad.png", "cut_off.bad.jpg", "text.bad.jpg"):
        (root / "b" / name).write_bytes((FOLDER / name).read_bytes())
    for options in ({"shuffle": False}, {"seed": 1}, {"batch_size": None, "shuffle": False}):
        with pytest.warns(
            UserWarning, match="image_dataset_from_directory: a file is left out: .*b/"
        ) as told:
            images = utils.image_dataset_from_directory(
                root, image_size=(4, 4), verbose=False, on_error="skip", **options
            )
            elements = list(images)
            assert len(told) == 3
            # Each is named once.
            assert len(list(images)) == len(elements) and len(told) == 3
        labels = np.concatenate([np.atleast_1d(np.asarray(label)) for _, label in elements])
        assert sorted(labels.tolist()) == [0, 1] and not images.files_in_order
    with pytest.raises(ValueError, match="on_error: expected one of 'raise', 'skip', received 'warn'"):
        utils.image_dataset_from_directory(root, on_error="warn", verbose=False)


def test_orientation_and_the_limit_of_pixels_of_data_sets(tmp_path):
    from cnnrs import utils

    root = folder_of_classes(tmp_path, "a", "b")
    (root / "a" / "1.png").write_bytes((FOLDER / "orientation_6.png").read_bytes())
    upright = data.decode_image(FOLDER / "orientation_6.png")
    stored = data.decode_image(FOLDER / "orientation_6.png", exif_orientation=False)
    paths = [root / "a" / "1.png"]
    for turned, expected in ((True, upright), (False, stored)):
        for made in (
            data.Dataset.from_folder(root, exif_orientation=turned),
            data.Dataset.from_files(paths, [0], exif_orientation=turned),
            utils.image_dataset_from_directory(
                root, image_size=expected.shape[:2], exif_orientation=turned, shuffle=False, verbose=False
            ).unbatch(),
        ):
            np.testing.assert_array_equal(next(iter(made))[0].numpy(), expected)
    for made in (
        data.Dataset.from_folder(root, max_pixels=850),
        data.Dataset.from_files(paths, max_pixels=850, image_size=8).batch(1),
        utils.image_dataset_from_directory(root, max_pixels=850, verbose=False),
    ):
        with pytest.raises(ValueError, match="= 851 pixels: expected at most 850, the limit max_pixels"):
            list(made)


@pytest.mark.parametrize(
    ("argument", "hint"),
    [
        ("label_mode", r"labels are integers; .*one_hot.*image_dataset_from_directory has Keras's arguments"),
        ("batch_size", r"data.batch\(32\) makes batches; utils.image_dataset_from_directory has"),
        ("validation_split", r"data.split\(0.8\) does so"),
        ("colour_mode", "did you mean 'color_mode'"),
    ],
)
def test_arguments_of_keras_get_a_hint(tmp_path, argument, hint):
    root = folder_of_classes(tmp_path, "a", "b")
    for name, first in (
        ("from_folder", root),
        ("from_files", []),
        ("from_csv", "x.csv"),
        ("from_shards", "x"),
    ):
        with pytest.raises(TypeError, match=f"Dataset.{name}: unexpected argument '{argument}'.*{hint}"):
            getattr(data.Dataset, name)(first, **{argument: 1})


def test_batches_of_a_directory_are_its_single_images(tmp_path):
    from cnnrs import utils

    folder_of_classes(tmp_path, "a", "b")
    for index, name in enumerate(["orientation_6.jpg", "alpha.png", "deep_grey.png", "cmyk.jpg"]):
        (tmp_path / "a" / f"{index}{Path(name).suffix}").write_bytes((FOLDER / name).read_bytes())
    for options in ({}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True, "format": "grain"},
                    {"data_format": "channels_first", "color_mode": "grayscale"}):  # fmt: skip
        options = {"image_size": (9, 5), "shuffle": False, "verbose": False, **options}
        whole = next(iter(utils.image_dataset_from_directory(tmp_path, batch_size=6, **options)))
        single = list(utils.image_dataset_from_directory(tmp_path, batch_size=None, **options))
        np.testing.assert_array_equal(whole[0], np.stack([image for image, _ in single]))
        np.testing.assert_array_equal(whole[1], np.stack([label for _, label in single]))


PAGE = FOLDER.parents[2] / "docs" / "data" / "images.md"


def test_the_page_of_images_runs_and_its_picture_is_what_its_program_draws(tmp_path, monkeypatch):
    """The picture is of `decode_image`: the letter of each orientation is upright."""
    text = PAGE.read_text(encoding="utf-8")
    (picture,) = re.findall(r"\((\S+\.svg)\)", text)
    assert (PAGE.parent / picture).stat().st_size < 100_000
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(code, str(PAGE), "exec"), {})
    monkeypatch.syspath_prepend(PAGE.parents[1] / "toolbox" / "pictures")
    import images as program

    for orientation in range(1, 9):
        content = program.file(program.stored(program.letter(), orientation), orientation)
        np.testing.assert_array_equal(data.decode_image(content), program.letter())
        assert data.image_info(content).orientation == orientation
    assert f"a corpus of {len(GOOD) + len(BAD)} files" in text
