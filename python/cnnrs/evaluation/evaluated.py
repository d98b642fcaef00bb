"""`Evaluated`: what all evaluations have in common, their samples, their figures and their files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cnnrs.evaluation import run_files
from cnnrs.evaluation.run_files import Samples

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Evaluated"]


class Evaluated:
    """A model on samples: figures, which JSON takes, and arrays, which a run keeps.

    Attributes:
        paths: Files of the samples; None where they are not known.
        samples: Some samples as the model took them; None where they were not kept.

    Args:
        paths: Files of the samples.
        count: How many samples there are.

    Raises:
        ValueError: There are more or fewer paths.
    """

    # Attributes that a run's file keeps: true values and what the model made of them, and lists of text.
    _STORED: ClassVar[tuple[str, str]]
    _TEXTS: ClassVar[tuple[str, ...]] = ("paths",)

    def __init__(self, paths: Any, count: int):
        self.paths: list[str] | None = None if paths is None else [str(path) for path in paths]
        if self.paths is not None and len(self.paths) != count:
            raise ValueError(
                f"{type(self).__name__}: paths: expected {count} as in y_true, received {len(self.paths)}"
            )
        self.samples: Samples | None = None

    def _figures(self) -> dict[str, Any]:
        """Names and values of all figures; nan where one is not known."""
        raise NotImplementedError

    @classmethod
    def _of(cls, arrays: dict[str, np.ndarray]) -> Self:
        """The evaluation of what `_STORED` and `_TEXTS` name; lists of text may be absent."""
        raise NotImplementedError

    def as_dict(self) -> dict[str, Any]:
        """All figures as JSON takes them: None where one is not known."""
        figures = self._figures()
        return {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in figures.items()}

    def save(self, run_directory: Any) -> None:
        """Writes `evaluation.json`, `predictions.npz` and, where samples were kept, `samples.npz`.

        Args:
            run_directory: The folder of a run; it is made if it is not there.

        Raises:
            OSError: A file cannot be written; what stood there is untouched.
        """
        arrays = {name: getattr(self, name) for name in self._STORED}
        # Floats of 32 bits are as exact as what a model gives.
        arrays = {k: v.astype(np.float32) if v.dtype.kind == "f" else v for k, v in arrays.items()}
        texts = {name: getattr(self, name) for name in self._TEXTS}
        arrays |= {name: np.array(text, str) for name, text in texts.items() if text is not None}
        run_files.write(Path(run_directory), self.as_dict(), arrays, self.samples)

    @classmethod
    def load(cls, run_directory: Any) -> Self:
        """The evaluation of a run, from `predictions.npz`.

        Args:
            run_directory: The folder of the run.

        Raises:
            FileNotFoundError: There is none.
            ValueError: The file is damaged, or that of another kind of model.
        """
        folder = Path(run_directory)
        found = cls._of(run_files.read_predictions(folder, cls._STORED))
        found.samples = run_files.read_samples(folder)
        return found
