"""Texts and sounds of directories as data sets, images of odd forms, and files that are none."""

from __future__ import annotations

import wave

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from cnnrs import utils
from cnnrs.utils.audio_directory import resampled

QUIET = {"shuffle": False, "verbose": False}


def write_sound(path, samples: np.ndarray, width: int, rate: int = 8000) -> None:
    """Integers of `width` bytes."""
    with wave.open(str(path), "wb") as file:
        file.setparams((samples.shape[1], width, rate, 0, "NONE", ""))
        shifted = samples + 128 if width == 1 else samples
        content = shifted.astype("<i4").reshape(-1, 1).view(np.uint8)[:, :width]
        file.writeframes(content.tobytes())


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_sounds_of_each_width(tmp_path, width, channels):
    most = 2 ** (8 * width - 1)
    samples = np.random.default_rng(width).integers(-most, most, (9, channels))
    write_sound(tmp_path / "a.wav", samples, width)
    data = utils.audio_dataset_from_directory(tmp_path, None, batch_size=None, **QUIET)
    found = next(iter(data)).numpy()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, samples / most, atol=1e-7)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 2))
def test_sounds_are_resampled_as_by_scipy(length, count, channels):
    sound = np.random.default_rng(length).normal(size=(length, channels)).astype(np.float32)
    np.testing.assert_allclose(resampled(sound, count), signal.resample(sound, count), atol=1e-5)


def test_sounds_of_a_directory(tmp_path):
    for i, label in enumerate(("a", "b", "a")):
        (tmp_path / label).mkdir(exist_ok=True)
        write_sound(tmp_path / label / f"{i}.wav", np.full((4 + i, 1), 100), 2, 8000 * (1 + i % 2))
    data = utils.audio_dataset_from_directory(tmp_path, batch_size=2, label_mode="binary", **QUIET)
    batches = [(x.shape, y.numpy().tolist()) for x, y in data]
    assert batches == [((2, 6, 1), [[0.0], [0.0]]), ((1, 5, 1), [[1.0]])] and len(data) == 2
    data = utils.audio_dataset_from_directory(tmp_path, sampling_rate=8000, **QUIET)
    # The second of the rate 16,000 has half as many samples.
    assert next(iter(data))[0].shape == (3, 6, 1)
    data = utils.audio_dataset_from_directory(tmp_path, output_sequence_length=5, **QUIET)
    found = next(iter(data))[0].numpy()
    assert found.shape == (3, 5, 1) and found[0, 4, 0] == 0 and found[1, 4, 0] > 0
    for wrong in ({"ragged": True}, {"sampling_rate": 0}, {"output_sequence_length": 1.5}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            utils.audio_dataset_from_directory(tmp_path, **wrong, **QUIET)


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"text", b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x03\0" + bytes(50)]
)
def test_what_is_no_sound_is_named(tmp_path, content):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.wav: expected a PCM \.wav file"):
        list(utils.audio_dataset_from_directory(tmp_path, None, **QUIET))


def test_texts_of_a_directory(tmp_path):
    # What is no UTF-8 stays as it is.
    for label, text in (("good", "schön".encode()), ("bad", b"\xff\xfe!!")):
        (tmp_path / label).mkdir()
        (tmp_path / label / "1.txt").write_bytes(text)
    data = utils.text_dataset_from_directory(tmp_path, max_length=3, label_mode="categorical", **QUIET)
    texts, labels = next(iter(data))
    assert data.class_names == ["bad", "good"] and texts.numpy().tolist() == [b"\xff\xfe!", b"sch"]
    assert labels.numpy().tolist() == [[1, 0], [0, 1]]
    with pytest.raises(ValueError, match="max_length"):
        utils.text_dataset_from_directory(tmp_path, max_length=0, **QUIET)
    (tmp_path / "none" / "a").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"expected texts \(\.txt\)"):
        utils.text_dataset_from_directory(tmp_path / "none", **QUIET)


def test_images_of_16_bits_count_by_their_upper_bytes(tmp_path):
    image = pytest.importorskip("PIL.Image")
    wide = np.array([[0, 255, 256], [40000, 65535, 511]], np.uint16)
    image.fromarray(wide).save(tmp_path / "a.png")
    for mode in ("grayscale", "rgb"):
        data = utils.image_dataset_from_directory(
            tmp_path, None, color_mode=mode, image_size=(2, 3), batch_size=None, **QUIET
        )
        found = next(iter(data)).numpy()
        np.testing.assert_array_equal(found[:, :, 0], wide >> 8)


@pytest.mark.parametrize("damage", [b"", b"text", None])
def test_what_is_no_image_is_named(tmp_path, damage):
    pytest.importorskip("PIL")
    utils.save_img(tmp_path / "a.png", np.random.default_rng(0).normal(size=(50, 50, 3)))
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[: len(content) // 2] if damage is None else damage)
    data = utils.image_dataset_from_directory(tmp_path, None, image_size=4, **QUIET)
    with pytest.raises(ValueError, match=r"a\.png: (not an image|an empty file|a damaged PNG)"):
        list(data)


def test_the_size_of_images_may_be_one_number(tmp_path):
    pytest.importorskip("PIL")
    utils.save_img(tmp_path / "a.png", np.ones((3, 3, 3)))
    data = utils.image_dataset_from_directory(tmp_path, None, image_size=4, **QUIET)
    assert next(iter(data)).shape == (1, 4, 4, 3)
