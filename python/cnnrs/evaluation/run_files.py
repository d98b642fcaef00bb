"""The files of a run that hold its evaluation: figures as JSON, and arrays."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Samples", "kind_of", "read_predictions", "read_samples", "write", "write_file"]

_FIGURES, _PREDICTIONS, _SAMPLES = "evaluation.json", "predictions.npz", "samples.npz"


class Samples(NamedTuple):
    """Samples as a model took them.

    Attributes:
        indices: Their numbers among those of the evaluation.
        images: (samples, height, width, channels), or with the channels first.
    """

    indices: np.ndarray
    images: np.ndarray


def write_file(path: Path, content: bytes) -> None:
    """Writes a file that is whole or not there: whatever stood there stays until then."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    except OSError as error:
        raise OSError(error.errno, f"cannot write: {error.strerror}", str(path)) from error
    finally:
        part.unlink(missing_ok=True)


def write(
    folder: Path,
    figures: dict[str, Any],
    arrays: dict[str, np.ndarray],
    samples: Samples | None,
) -> None:
    """Writes the files of an evaluation, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(figures, indent=1, ensure_ascii=False) + "\n"
    write_file(folder / _FIGURES, text.encode("utf-8", "replace"))
    write_file(folder / _PREDICTIONS, _packed(arrays))
    if samples is not None:
        kept = {"indices": samples.indices, "images": _small(samples.images)}
        write_file(folder / _SAMPLES, _packed(kept))


def _packed(arrays: dict[str, np.ndarray]) -> bytes:
    content = io.BytesIO()
    # The stub takes any keyword for `allow_pickle`.
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
    return content.getvalue()


def _small(images: np.ndarray) -> np.ndarray:
    """Pixels as uint8 where they are that, other numbers in half of their bytes."""
    if images.dtype.kind == "f" and images.size and np.all(np.isfinite(images)):
        whole = images.min() >= 0 and images.max() <= 255 and np.array_equal(images, np.rint(images))
        return images.astype(np.uint8) if whole and images.max() > 1 else images.astype(np.float16)
    return images


def _read(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is damaged.
    """
    try:
        # numpy does not close a file that it finds damaged.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise FileNotFoundError(f"{str(path)!r}: no such file; Evaluation.save writes it") from None
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, OSError) as error:
        raise ValueError(f"{str(path)!r}: no file of arrays, or damaged: {error}") from error


def read_predictions(folder: Path, names: tuple[str, str]) -> dict[str, np.ndarray]:
    """The predictions of an evaluation and, where they are known, paths and class names.

    Args:
        folder: The folder.
        names: The arrays that must be there.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, or that of another kind of model.
    """
    arrays = _read(folder / _PREDICTIONS)
    for name in names:
        if name not in arrays:
            raise ValueError(
                f"{str(folder / _PREDICTIONS)!r}: expected {' and '.join(names)}, found no {name}"
            )
    return arrays


def kind_of(folder: Path) -> str:
    """What `evaluation.json` is about: "classes", or "regression"; "classes" where it cannot be read."""
    try:
        found = json.loads((folder / _FIGURES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "classes"
    return str(found.get("kind", "classes")) if isinstance(found, dict) else "classes"


def read_samples(folder: Path) -> Samples | None:
    """The samples that were kept; None where there are none, or they cannot be read."""
    try:
        arrays = _read(folder / _SAMPLES)
        return Samples(arrays["indices"], arrays["images"])
    except (FileNotFoundError, ValueError, KeyError):
        return None
