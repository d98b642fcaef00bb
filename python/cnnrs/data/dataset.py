"""`Dataset`: elements that can be gone through many times, with tf.data's methods."""

from __future__ import annotations

from typing import Any

from cnnrs.base.arguments import file_path
from cnnrs.base.suggest import did_you_mean, no_attribute
from cnnrs.data.bucketing import Bucketing
from cnnrs.data.file_sources import FileSources
from cnnrs.data.options import Options
from cnnrs.data.ordering import Ordering
from cnnrs.data.splitting import Splitting
from cnnrs.data.stored import write_elements
from cnnrs.data.strings import StringTensor

__all__ = ["Dataset"]

# Methods that tf.data has and this class has not, with what to do instead.
_ABSENT = {
    "snapshot": "cache(filename) keeps elements on disk",
    "ragged_batch": "tensors have one extent an axis; use padded_batch or bucket_by_sequence_length",
    "dense_to_ragged_batch": "tensors have one extent an axis; use padded_batch",
    "sparse_batch": "there are no sparse tensors; use padded_batch",
    "fingerprint": "content_hash() gives a hash of the data",
    "make_one_shot_iterator": "it is of TensorFlow 1; iter(dataset) gives an iterator",
    "make_initializable_iterator": "it is of TensorFlow 1; iter(dataset) gives an iterator",
}


class Dataset(Bucketing, Ordering, Splitting, FileSources):
    """Elements that can be gone through many times: samples, or batches that `fit` takes.

    A class method such as `from_tensor_slices` makes one, and each method makes another one of it. Nothing
    is computed before elements are asked for, and each pass computes them anew. Elements are tensors, or
    tuples and dicts of them; text is `StringTensor`s. Random orders and what functions draw are the same in
    each run with the same seed: an own one, or that of `utils.set_random_seed`; threads change nothing.

    Attributes:
        class_names: Of images of a directory: the names of their classes; else None.
        file_paths: Of these: their files; else None.
        files_in_order: Whether elements come in the order of `file_paths` in each pass.
        element_spec: The shapes and types of elements.

    Example:
        >>> import numpy as np
        >>> import cnnrs
        >>> from cnnrs import layers, ops
        >>> from cnnrs.data import AUTOTUNE, Dataset
        >>> x, y = np.zeros((10, 8, 8, 1), np.uint8), np.zeros(10, np.int64)
        >>> data = Dataset.from_tensor_slices((x, y)).shuffle(10)
        >>> data = data.map(lambda x, y: (ops.cast(x, "float32") / 255.0, y), num_parallel_calls=AUTOTUNE)
        >>> data = data.batch(4).prefetch(AUTOTUNE)
        >>> data.element_spec[0], len(data)
        (TensorSpec(shape=(None, 8, 8, 1), dtype='float32'), 3)
        >>> model = cnnrs.Sequential([layers.Flatten(), layers.Dense(2, activation="softmax")])
        >>> model.compile(loss="sparse_categorical_crossentropy")
        >>> history = model.fit(data, epochs=2, verbose=0)
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.file_paths: list[str] | None = None
        self.files_in_order = False
        self._options = Options()

    @staticmethod
    def _made(*args: Any, **kwargs: Any) -> Any:
        return Dataset(*args, **kwargs)

    def save(self, path: Any) -> None:
        """Writes the elements to a folder, which `load` reads.

        Args:
            path: The folder; elements that lie there are replaced when all new ones are written.

        Raises:
            FileExistsError: Something else has this name.
            TypeError: Elements hold data sets, or keys that are no text.

        Example:
            >>> import tempfile
            >>> from cnnrs.data import Dataset
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     Dataset.from_tensors({"x": [1.0, 2.0]}).save(f"{folder}/data")
            ...     Dataset.load(f"{folder}/data").element_spec
            {'x': TensorSpec(shape=(2,), dtype='float32')}
        """
        where = path.numpy() if isinstance(path, StringTensor) else path
        write_elements(self._open(False), file_path(where, "Dataset.save"))

    def options(self) -> Options:
        """The options, as `with_options` set them."""
        return self._options

    def with_options(self, options: Any, name: str | None = None) -> Any:
        """The same elements, with options.

        Args:
            options: An `Options`.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of the same elements.

        Raises:
            TypeError: `options` is none.

        Example:
            >>> from cnnrs.data import Dataset, Options
            >>> options = Options()
            >>> options.deterministic = False
            >>> Dataset.range(3).with_options(options).options().deterministic
            False
        """
        if not isinstance(options, Options):
            raise TypeError(f"Dataset.with_options: expected Options, received {type(options).__name__}")
        made = self._step(
            self._open_pass, self._length, self._known_spec, self._rows, name, open_at=self._open_at
        )
        made._options, made._attempts = options, self._attempts
        return made

    def __getattr__(self, name: str) -> Any:
        if name in _ABSENT:
            raise no_attribute("Dataset", name, f", which tf.data has: {_ABSENT[name]}")
        hint = "" if name.startswith("_") else did_you_mean(name, dir(type(self)))
        raise no_attribute("Dataset", name, hint)
