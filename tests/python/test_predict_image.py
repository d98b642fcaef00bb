"""`predict_image`, and what it needs to know, in files of every kind."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

import cnnrs
from cnnrs import evaluation, layers, models, utils
from cnnrs.saving.contents import contents_of, describe

NAMES = ["кошка", "犬", "<i>owl"]


def classifier(shape=(8, 8, 3), classes: int = 3, activation: str | None = "softmax") -> cnnrs.Model:
    cnnrs.utils.set_random_seed(2)
    return cnnrs.Sequential(
        [
            cnnrs.Input(shape),
            layers.Conv2D(4, 3),
            layers.Flatten(),
            layers.Dense(classes, activation=activation),
        ]
    )


def picture(height: int = 12, width: int = 9, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def prepared() -> cnnrs.Model:
    model = classifier()
    model.set_image_preprocessing(NAMES, scale=1 / 255, mean=[0.5, 0.4, 0.3], std=(0.2, 0.3, 0.4))
    return model


def test_it_does_what_is_done_by_hand(tmp_path):
    model, image = prepared(), picture()
    utils.save_img(tmp_path / "a.png", image, scale=False)
    resized = utils.image_dataset_from_directory(
        tmp_path, labels=None, image_size=(8, 8), batch_size=1, verbose=False
    )
    (batch,) = [np.asarray(x) for x in resized]
    x = (batch / 255 - [0.5, 0.4, 0.3]) / np.array([0.2, 0.3, 0.4])
    expected = model.predict(x.astype("float32"), verbose=0)[0]
    file = io.BytesIO((tmp_path / "a.png").read_bytes())
    with utils.load_img(tmp_path / "a.png") as opened:
        for given in (str(tmp_path / "a.png"), tmp_path / "a.png", image, file, file.getvalue(), opened):
            found = model.predict_image(given)
            np.testing.assert_allclose(found.scores, expected, atol=1e-6)
            assert found.class_name == NAMES[int(expected.argmax())] and found.score == found.scores.max()
    assert found.top(2)[0] == (found.class_name, found.score) and found.class_name in repr(found)


def test_photographs_are_turned_upright():
    """The same picture, stored as eight cameras would hold it."""
    folder = Path(__file__).parents[1] / "fixtures" / "images"
    made = evaluation.ImagePreprocessing(image_size=(16, 16))
    upright = made.pixels(folder / "orientation_6.png")
    alone = evaluation.ImagePreprocessing().pixels(folder / "orientation_6.png")
    with utils.load_img(folder / "orientation_6.png") as stored:
        assert alone.shape[:2] == stored.size
        np.testing.assert_array_equal(alone, np.rot90(np.asarray(stored, np.float32), -1))
    np.testing.assert_allclose(upright, made.pixels(alone), atol=1e-3)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_images_of_pillow_are_turned_upright_as_files_are(orientation, tmp_path):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(picture()).save(tmp_path / "a.png", exif=exif)
    made = evaluation.ImagePreprocessing()
    with Image.open(tmp_path / "a.png") as opened:
        np.testing.assert_array_equal(made.pixels(opened), made.pixels(tmp_path / "a.png"))


@pytest.mark.parametrize("mode", ["rgb", "rgba", "grayscale"])
def test_images_of_sixteen_bits_are_what_their_file_is(mode, tmp_path):
    from PIL import Image

    values = np.random.default_rng(0).integers(0, 65536, (9, 7)).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    made = evaluation.ImagePreprocessing(color_mode=mode)
    expected = made.pixels(tmp_path / "a.png")
    assert len(np.unique(expected)) > 30
    with Image.open(tmp_path / "a.png") as opened:
        assert opened.mode.startswith("I")
        np.testing.assert_array_equal(made.pixels(opened), expected)
        np.testing.assert_array_equal(made.pixels(opened.convert("I")), expected)
    small = Image.fromarray((values >> 8).astype(np.int32))
    np.testing.assert_array_equal(made.pixels(small), expected)
    with pytest.raises(ValueError, match="8 or 16 bits"):
        made.pixels(Image.fromarray(values.astype(np.int32) * 300))
    with pytest.raises(ValueError, match="from 0 to 255"):
        made.pixels(values)


def test_open_files_are_read(tmp_path):
    model = prepared()
    utils.save_img(tmp_path / "a.png", picture(), scale=False)
    expected = model.predict_image(tmp_path / "a.png").scores
    with open(tmp_path / "a.png", "rb") as one, open(tmp_path / "a.png", "rb") as two:
        np.testing.assert_array_equal(model.predict_image(one).scores, expected)
        np.testing.assert_array_equal(model.predict_image([two])[0].scores, expected)
    (tmp_path / "a.txt").write_text("no picture")
    with open(tmp_path / "a.txt") as text, pytest.raises(TypeError, match="'rb'"):
        model.predict_image(text)


def test_many_images_of_many_sizes():
    model = prepared()
    images = [picture(seed=i, height=8 + i) for i in range(5)]
    found = model.predict_image(images, batch_size=2)
    assert len(found) == 5
    for one, image in zip(found, images, strict=True):
        np.testing.assert_allclose(one.scores, model.predict_image(image).scores, atol=1e-6)
    assert len(model.predict_image(np.stack([images[0]] * 3))) == 3
    assert model.predict_image([]) == []


def test_sizes_that_the_model_does_not_ask_for():
    cnnrs.utils.set_random_seed(0)
    model = cnnrs.Sequential(
        [cnnrs.Input((None, None, 3)), layers.Conv2D(3, 3), layers.GlobalAveragePooling2D()]
    )
    found = model.predict_image([picture(), picture(20, 10)], from_logits=True)
    assert len(found) == 2 and found[0].class_names == ("0", "1", "2")


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_proportions(fit, tmp_path):
    image = picture(16, 8)
    utils.save_img(tmp_path / "a.png", image, scale=False)
    made = evaluation.ImagePreprocessing(image_size=(8, 8), fit=fit)
    options = {"crop": {"crop_to_aspect_ratio": True}, "pad": {"pad_to_aspect_ratio": True}}.get(fit, {})
    data = utils.image_dataset_from_directory(
        tmp_path, labels=None, image_size=(8, 8), batch_size=1, verbose=False, format="grain", **options
    )
    (expected,) = [np.asarray(x) for x in data]
    np.testing.assert_allclose(made(image), expected, atol=1e-4)


def test_channels_and_their_order():
    image = picture()
    made = evaluation.ImagePreprocessing(channel_order="bgr", mean=[1, 2, 3], data_format="channels_first")
    x = made(image)
    np.testing.assert_array_equal(x[0], np.moveaxis(image[..., ::-1].astype("float32") - [1, 2, 3], -1, 0))
    np.testing.assert_array_equal(made.restored(x)[0], image)
    grey = classifier((8, 8, 1))
    assert grey.predict_image(picture()[..., 0]).scores.shape == (3,)
    # A grey picture is shown to a model of colours as three equal channels.
    flat = picture(channels=1)
    same = prepared().predict_image(np.repeat(flat, 3, axis=2)).scores
    np.testing.assert_array_equal(prepared().predict_image(flat).scores, same)


def test_mirror_images_are_averaged():
    model, image = prepared(), picture(8, 8)
    both = [model.predict_image(i).scores for i in (image, image[:, ::-1])]
    np.testing.assert_allclose(model.predict_image(image, augmented=True).scores, np.mean(both, 0), atol=1e-6)


@pytest.mark.parametrize("ending", ["keras", "h5", "safetensors", "folder", "pickle", "clone", "json"])
def test_files_keep_it(ending, tmp_path):
    model = prepared()
    model.compile("sgd", "sparse_categorical_crossentropy")
    expected = model.predict_image(picture()).scores
    path = tmp_path / f"m.{ending}"
    if ending == "pickle":
        again = pickle.loads(pickle.dumps(model))
    elif ending == "clone":
        again = models.clone_model(model)
        again.set_weights(model.get_weights())
    elif ending == "json":
        again = models.model_from_json(model.to_json())
        again.set_weights(model.get_weights())
    else:
        if ending == "folder":
            path = tmp_path / "m"
            cnnrs.saving.save_model(model, path, zipped=False)
        else:
            model.save(path)
        again = cnnrs.models.load_model(path)
    assert again.get_image_preprocessing() == model.get_image_preprocessing()
    found = again.predict_image(picture())
    np.testing.assert_allclose(found.scores, expected, atol=1e-6)
    assert found.class_names == tuple(NAMES)


def test_a_model_inside_of_another_keeps_its_own(tmp_path):
    inner = prepared()
    outer = cnnrs.Sequential([cnnrs.Input((8, 8, 3)), inner])
    outer.save(tmp_path / "m.keras")
    again = cnnrs.models.load_model(tmp_path / "m.keras")
    assert again.get_image_preprocessing() is None
    assert again.layers[-1].get_image_preprocessing() == inner.get_image_preprocessing()


def test_it_changes_nothing_that_was_recorded():
    model = classifier()
    model.predict(np.zeros((1, 8, 8, 3)), verbose=0)
    before = dict(vars(model))
    model.set_image_preprocessing(NAMES)
    assert {k for k, v in vars(model).items() if before.get(k) is not v} == {"_image_preprocessing"}


@pytest.mark.parametrize(
    "damaged",
    [5, [], "x", {"class_names": 3}, {"class_names": {"a": 1}}, {"scale": None}, {"fit": []}, {"x": 1}],
)
def test_files_whose_entry_is_damaged(damaged, tmp_path):
    prepared().save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    assert config["image_preprocessing"]["class_names"] == NAMES
    config["image_preprocessing"] = damaged
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    with pytest.raises(ValueError, match=r"m\.keras.*config\.json is damaged"):
        cnnrs.models.load_model(tmp_path / "m.keras")


def test_summaries_of_files_name_classes(tmp_path):
    prepared().save(tmp_path / "m.keras")
    text = describe(contents_of(tmp_path / "m.keras"))
    assert "takes images: 8 × 8, rgb" in text and "3 classes: кошка, 犬, <i>owl" in text


ERRORS = [
    ({"class_names": ["a"]}, "expected 3 names"),
    ({"class_names": ["a", "b", "a"]}, "'a' twice"),
    ({"color_mode": "grey"}, "color_mode: expected one of rgb"),
    ({"fit": "padd"}, "did you mean 'pad'"),
    ({"std": 0}, "std: expected a finite number > 0"),
    ({"mean": [1, 2]}, "3 for the channels of 'rgb', received 2"),
    ({"interpolation": "best"}, "interpolation"),
    ({"image_size": (0, 8)}, "image_size"),
    ({"channel_order": "bgr", "color_mode": "grayscale"}, "expects color_mode 'rgb'"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), ERRORS)
def test_arguments_that_are_wrong(arguments, message):
    model = classifier()
    with pytest.raises(ValueError, match=message):
        model.set_image_preprocessing(**arguments)
    assert model.get_image_preprocessing() is None


def test_images_that_are_none(tmp_path):
    model = prepared()
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(FileNotFoundError, match="none.png"):
        model.predict_image(tmp_path / "none.png")
    for name in ("empty.png", "text.png"):
        with pytest.raises((ValueError, OSError), match=name):
            model.predict_image(tmp_path / name)
    with pytest.raises(TypeError, match="received int"):
        model.predict_image([3])
    with pytest.raises(ValueError, match=r"expected \(height, width, 3\)"):
        model.predict_image(picture(channels=4))
    with pytest.raises(ValueError, match="a model that takes images"):
        cnnrs.Sequential([cnnrs.Input((4,)), layers.Dense(2)]).predict_image(picture())
