"""Sounds of a directory as a data set. The files are read by `wave` of the standard library."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np

from cnnrs.base.arguments import flag, integer, named
from cnnrs.utils.data_set import Dataset
from cnnrs.utils.directories import data_set_of_files

__all__ = ["audio_dataset_from_directory"]

_FUNCTION = "audio_dataset_from_directory"


@named
def audio_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Any = None,
    batch_size: int | None = 32,
    sampling_rate: int | None = None,
    output_sequence_length: int | None = None,
    ragged: bool = False,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    verbose: bool = True,
) -> Any:
    """Makes a data set of the sounds (`.wav`, PCM) in a directory. Files are read while it is gone through.

    Args:
        directory: The directory, with one folder a class if labels are inferred.
        labels: "inferred" for the folders' names, a list of integers, one for each file in the order of their
            paths, or None for none.
        label_mode: "int"; "binary" for floats of two classes; "categorical" for one-hot rows; None for none.
        class_names: The folders in the order of their labels; None for the alphabet's.
        batch_size: Sounds of a batch; None for single ones.
        sampling_rate: Samples per second that sounds are brought to, by Fourier transform; None keeps theirs.
        output_sequence_length: Samples that sounds are cut, or filled with zeros, to; None fills them to the
            longest of their batch.
        ragged: False; there are no tensors of rows of different lengths.
        shuffle: Whether sounds come in random order, another one each time.
        seed: Of this order and of the split; None draws one.
        validation_split: The part that is kept for validation, whose sounds keep their order; None for none.
        subset: With `validation_split`: "training", "validation", or "both" for a list of two.
        follow_links: Whether links to folders are followed.
        verbose: Whether the number of files is printed.

    Returns:
        A `Dataset` of float32 sounds in -1..1 of shape (samples, channels), or of pairs of them and labels,
        with the attributes `class_names` and `file_paths`.

    Raises:
        ValueError: There are no sounds, one is no PCM file, or an argument is none of the values above.

    Example:
        >>> import tempfile, wave
        >>> from pathlib import Path
        >>> from cnnrs import utils
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("bell", "horn"):
        ...         (Path(folder) / name).mkdir()
        ...         with wave.open(str(Path(folder) / name / "1.wav"), "wb") as file:
        ...             file.setparams((1, 2, 8000, 0, "NONE", ""))
        ...             _ = file.writeframes(bytes([0, 64, 0, 192]))
        ...     data = utils.audio_dataset_from_directory(folder, shuffle=False, verbose=False)
        ...     [(sounds.numpy().tolist(), labels.tolist()) for sounds, labels in data]
        [([[[0.5], [-0.5]], [[0.5], [-0.5]]], [0, 1])]
    """
    if flag(ragged, _FUNCTION, "ragged"):
        raise ValueError(
            f"{_FUNCTION}: ragged: expected False: there are no tensors of rows of different lengths; "
            "give output_sequence_length, or leave it out to fill sounds to the longest of their batch"
        )
    for argument, value in (
        ("sampling_rate", sampling_rate),
        ("output_sequence_length", output_sequence_length),
    ):
        if value is not None:
            integer(value, _FUNCTION, argument, least=1)

    def read(path: Path) -> np.ndarray:
        sound, rate = _read(path)
        if sampling_rate is not None and rate != sampling_rate:
            sound = resampled(sound, max(1, round(len(sound) * sampling_rate / rate)))
        if output_sequence_length is None:
            return sound
        return _filled(sound[:output_sequence_length], output_sequence_length)

    return data_set_of_files(
        _FUNCTION, "sounds", (".wav",), read, Dataset.padded_batch,
        directory=directory, labels=labels, label_mode=label_mode, class_names=class_names,
        batch_size=batch_size, shuffle=shuffle, seed=seed, validation_split=validation_split, subset=subset,
        follow_links=follow_links, format="tf", verbose=verbose,
    )  # fmt: skip


def _read(path: Path) -> tuple[np.ndarray, int]:
    """The samples of a file, as floats of -1 to 1 in an array of (samples, channels), and their rate."""
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            content = file.readframes(file.getnframes())
    except (wave.Error, EOFError, ValueError) as error:
        raise ValueError(f"{_FUNCTION}: {path}: expected a PCM .wav file, received: {error}") from error
    content = content[: len(content) // (channels * width) * channels * width]
    if width == 1:
        # One byte has no sign, more have one.
        sound = np.frombuffer(content, np.uint8).astype(np.float32) / 128.0 - 1.0
    else:
        # The bytes become the upper ones of 32 bits.
        wide = np.zeros((len(content) // width, 4), np.uint8)
        wide[:, 4 - width :] = np.frombuffer(content, np.uint8).reshape(-1, width)
        sound = (wide.view("<i4")[:, 0] / 2.0**31).astype(np.float32)
    return sound.reshape(-1, channels), rate


def resampled(sound: np.ndarray, count: int) -> np.ndarray:
    """A sound of another number of samples: that whose lower frequencies are the same.

    Args:
        sound: Array of (samples, channels).
        count: The number.
    """
    if not len(sound):
        return sound
    spectrum = np.fft.rfft(sound, axis=0)
    least = min(len(sound), count)
    kept = np.zeros((count // 2 + 1, sound.shape[1]), spectrum.dtype)
    kept[: least // 2 + 1] = spectrum[: least // 2 + 1]
    if least % 2 == 0 and least != max(len(sound), count):
        # The highest frequency of an even number stands for two, of which one is beyond the other number.
        kept[least // 2] *= 2.0 if count < len(sound) else 0.5
    return (np.fft.irfft(kept, count, axis=0) * (count / len(sound))).astype(np.float32)


def _filled(sound: np.ndarray, count: int) -> np.ndarray:
    return np.pad(sound, ((0, count - len(sound)), (0, 0)))
