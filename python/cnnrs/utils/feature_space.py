"""`FeatureSpace`: the columns of a table as the inputs of a network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from cnnrs import layers, ops, symbolic
from cnnrs.base.arguments import named
from cnnrs.base.naming import auto_name
from cnnrs.data import Dataset
from cnnrs.serialization import (
    deserialize_keras_object,
    register_keras_serializable,
    serialize_keras_object,
)
from cnnrs.utils.features import Cross, Feature

__all__ = ["FeatureSpace"]


@register_keras_serializable(package="cnnrs")
class FeatureSpace(layers.Layer):
    """Prepares the columns of a table: scales, bins, looks up and hashes them, and joins the results.

    Strings, hashes and crosses are of values, so that the object is called on data, as in `dataset.map`.
    Where all columns are numbers without a hash, `get_inputs` and `get_encoded_features` make it part of
    a model.

    Attributes:
        features: The features by the names of their columns.
        preprocessors: Their layers.
        crossers: The layers of crosses, by their names, as `a_X_b`.

    Args:
        features: Features by names of columns: "float", "float_normalized", "float_rescaled",
            "float_discretized", "integer_categorical", "string_categorical", "integer_hashed",
            "string_hashed", or what the class methods of these names give.
        output_mode: "concat" for one vector of all columns in the order of their names, crosses last; "dict"
            for the result of each.
        crosses: Names of columns that are crossed, in tuples, or results of `cross`; None for none.
        crossing_dim: How many bins a cross has.
        hashing_dim: How many bins a hashed column has.
        num_discretization_bins: How many bins a discretized column has.
        name: The layer's name.

    Raises:
        ValueError: There are no features, or an argument is none of the values above.

    Example:
        >>> from cnnrs import utils
        >>> space = utils.FeatureSpace({"size": "float", "kind": "string_categorical"})
        >>> table = {"size": [1.0, 2.0, 4.0], "kind": ["a", "b", "b"]}
        >>> space.adapt(table)
        >>> space(table).tolist()
        [[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 2.0], [0.0, 1.0, 0.0, 4.0]]
    """

    def __init__(
        self,
        features: Any,
        output_mode: str = "concat",
        crosses: Any = None,
        crossing_dim: int = 32,
        hashing_dim: int = 32,
        num_discretization_bins: int = 32,
        name: str | None = None,
    ):
        super().__init__(name=name)
        if not isinstance(features, Mapping) or not features:
            raise ValueError(f"FeatureSpace: features: expected features by names, received {features!r}")
        if output_mode not in ("concat", "dict"):
            raise ValueError(
                f"FeatureSpace: output_mode: expected 'concat' or 'dict', received {output_mode!r}"
            )
        self.output_mode, self.crossing_dim, self.hashing_dim = output_mode, crossing_dim, hashing_dim
        self.num_discretization_bins = num_discretization_bins
        self.features = {name: self._feature(name, given) for name, given in features.items()}
        self.crosses = [self._cross(given) for given in crosses or ()]
        self.preprocessors = {name: feature.preprocessor for name, feature in self.features.items()}
        self.crossers = {
            cross.name: layers.HashedCrossing(cross.crossing_dim, name=cross.name) for cross in self.crosses
        }
        self._inputs: Any = None
        self._encoded: Any = None
        self._adapted = False

    # ---- kinds of features

    @classmethod
    def cross(cls, feature_names: Any, crossing_dim: int, output_mode: str = "one_hot") -> Cross:
        """Columns whose values are hashed together.

        Args:
            feature_names: Their names.
            crossing_dim: How many bins there are.
            output_mode: "one_hot" or "int".
        """
        return Cross(feature_names, crossing_dim, output_mode)

    @classmethod
    def feature(cls, dtype: str, preprocessor: Any, output_mode: str) -> Feature:
        """A column that a layer of the user's prepares.

        Args:
            dtype: "float32", "int32", "int64" or "string".
            preprocessor: The layer.
            output_mode: "float" for numbers, "int" for indices, "one_hot" for vectors of them.
        """
        return Feature(dtype, preprocessor, output_mode)

    @classmethod
    def float(cls, name: str | None = None) -> Feature:
        """Numbers as they are."""
        return Feature("float32", layers.Identity(name=_name(name, "float")), "float")

    @classmethod
    def float_rescaled(cls, scale: Any = 1.0, offset: Any = 0.0, name: str | None = None) -> Feature:
        """Numbers times `scale`, plus `offset`."""
        layer = layers.Rescaling(scale, offset, name=_name(name, "float_rescaled"))
        return Feature("float32", layer, "float")

    @classmethod
    def float_normalized(cls, name: str | None = None) -> Feature:
        """Numbers without their mean, over their standard deviation; `adapt` finds both."""
        return Feature("float32", layers.Normalization(name=_name(name, "float_normalized")), "float")

    @classmethod
    def float_discretized(
        cls, num_bins: int, bin_boundaries: Any = None, output_mode: str = "one_hot", name: str | None = None
    ) -> Feature:
        """Numbers as bins: between boundaries, or of about as many numbers each, which `adapt` finds."""
        layer = layers.Discretization(
            bin_boundaries, None if bin_boundaries is not None else num_bins,
            name=_name(name, "float_discretized"),
        )  # fmt: skip
        return Feature("float32", layer, output_mode)

    @classmethod
    def integer_categorical(
        cls,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """Integers as indices of a vocabulary, which `adapt` finds."""
        layer = layers.IntegerLookup(max_tokens, num_oov_indices, name=_name(name, "integer_categorical"))
        return Feature("int32", layer, output_mode)

    @classmethod
    def string_categorical(
        cls,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """Strings as indices of a vocabulary, which `adapt` finds."""
        layer = layers.StringLookup(max_tokens, num_oov_indices, name=_name(name, "string_categorical"))
        return Feature("string", layer, output_mode)

    @classmethod
    def string_hashed(cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None) -> Feature:
        """Strings as bins that a hash chooses."""
        return Feature("string", layers.Hashing(num_bins, name=_name(name, "string_hashed")), output_mode)

    @classmethod
    def integer_hashed(cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None) -> Feature:
        """Integers as bins that a hash chooses."""
        return Feature("int32", layers.Hashing(num_bins, name=_name(name, "integer_hashed")), output_mode)

    def _feature(self, name: str, given: Any) -> Feature:
        if isinstance(given, dict):
            given = deserialize_keras_object(given)
        if isinstance(given, Feature):
            return given
        sizes: dict[str, Any] = {
            "float": (), "float_normalized": (), "float_rescaled": (), "integer_categorical": (),
            "string_categorical": (), "float_discretized": (self.num_discretization_bins,),
            "integer_hashed": (self.hashing_dim,), "string_hashed": (self.hashing_dim,),
        }  # fmt: skip
        if not isinstance(given, str) or given not in sizes:
            raise ValueError(
                f"FeatureSpace: features: {name}: expected one of {', '.join(sizes)}, received {given!r}"
            )
        made: Feature = getattr(self, given)(*sizes[given], name=name)
        return made

    def _cross(self, given: Any) -> Cross:
        if isinstance(given, dict):
            given = deserialize_keras_object(given)
        made = given if isinstance(given, Cross) else Cross(given, self.crossing_dim)
        for name in made.feature_names:
            if name not in self.features:
                raise ValueError(f"FeatureSpace: crosses: expected names of features, received {name!r}")
        return made

    # ---- adapting

    def _adaptable(self) -> list[str]:
        """The features whose layers still measure data."""
        return [
            name
            for name, layer in self.preprocessors.items()
            if hasattr(layer, "adapt") and not _given(layer)
        ]

    @property
    def _is_adapted(self) -> bool:
        """Whether all layers have what they measure, from `adapt` or as a copy."""
        return self._adapted or all(_measured(self.preprocessors[name]) for name in self._adaptable())

    @named
    def adapt(self, dataset: Any) -> None:
        """Lets the layers measure columns: means, boundaries, vocabularies.

        Args:
            dataset: Columns by names: a dict of lists or arrays, or a data set of dicts of rows or batches.

        Raises:
            TypeError: It is neither.
            ValueError: A column is missing.
        """
        columns = self._columns(dataset)
        for name in self._adaptable():
            self.preprocessors[name].adapt(columns[name].reshape(len(columns[name]), -1))
        self._adapted, self._encoded = True, None

    def _columns(self, dataset: Any) -> dict[str, np.ndarray]:
        """The columns that are measured, whole."""
        needed = self._adaptable()
        if isinstance(dataset, Mapping):
            batches: Iterable[Any] = [dataset]
        elif isinstance(dataset, Dataset):
            batches = dataset.as_numpy_iterator()
        else:
            raise TypeError(
                "FeatureSpace.adapt: dataset: expected a dict of columns or a data set of dicts, "
                f"received {type(dataset).__name__}"
            )
        parts: dict[str, list[np.ndarray]] = {name: [] for name in needed}
        for batch in batches:
            for name in needed:
                if not isinstance(batch, Mapping) or name not in batch:
                    raise ValueError(f"FeatureSpace.adapt: dataset: expected a column {name!r}")
                parts[name].append(np.atleast_1d(self._array(name, batch[name])))
        return {name: np.concatenate(arrays) for name, arrays in parts.items()}

    def _array(self, name: str, values: Any) -> np.ndarray:
        """Values of a column in the type of its feature."""
        array = np.asarray(values.numpy() if hasattr(values, "numpy") else values)
        dtype = self.features[name].dtype
        if dtype == "string":
            texts = [v.decode() if isinstance(v, bytes) else v for v in array.astype(object).ravel()]
            return np.array(texts, object).reshape(array.shape)
        return array.astype(dtype)

    # ---- calls

    def __call__(self, data: Any, **kwargs: Any) -> Any:
        """The encoded columns of rows.

        Args:
            data: Columns by names: values of one row, of shape (), or of n rows, of shape (n,) or (n, 1).
            **kwargs: Nothing.

        Returns:
            A tensor of shape (columns,) or (n, columns), or a dict of tensors.

        Raises:
            TypeError: `data` is no dict.
            ValueError: A column is missing, or `adapt` was not called.
        """
        if kwargs:
            raise TypeError(f"{self.name}: unexpected argument {next(iter(kwargs))!r}")
        if not isinstance(data, Mapping):
            raise TypeError(f"{self.name}: expected a dict of columns, received {type(data).__name__}")
        if symbolic.any_symbolic(tuple(data.values()), {}):
            return self._merged({name: self._column(data, name) for name in self.features})
        arrays = {name: self._array(name, self._column(data, name)) for name in self.features}
        single = any(array.ndim == 0 for array in arrays.values())
        columns = {name: array.reshape(-1, 1) if array.ndim < 2 else array for name, array in arrays.items()}
        merged = self._merged(columns)
        if not single:
            return merged
        if self.output_mode == "concat":
            return ops.squeeze(merged, 0)
        return {name: ops.squeeze(value, 0) for name, value in merged.items()}

    def _column(self, data: Mapping[str, Any], name: str) -> Any:
        if name not in data:
            raise ValueError(f"{self.name}: expected columns {list(self.features)}, received {list(data)}")
        return data[name]

    def _merged(self, columns: dict[str, Any]) -> Any:
        if not self._is_adapted:
            raise ValueError(f"{self.name}: expected a call of adapt(dataset) before the first call")
        prepared = {name: self.preprocessors[name](column) for name, column in columns.items()}
        for name in sorted(self.features):
            feature = self.features[name]
            columns[name] = self._output(name, prepared[name], feature.output_mode, feature.preprocessor)
        crossed = {cross.name: cross for cross in self.crosses}
        results = {name: columns[name] for name in sorted(self.features)}
        for name in sorted(crossed):
            cross, layer = crossed[name], self.crossers[name]
            indices = layer([prepared[part] for part in cross.feature_names])
            results[name] = self._output(name, indices, cross.output_mode, layer)
        if self.output_mode == "dict":
            return results
        for name, value in results.items():
            if "int" in value.dtype:
                raise ValueError(
                    f"{self.name}: {name}: expected a feature that is encoded, for output_mode 'concat', "
                    f"received {value.dtype}; output_mode='dict' gives it as it is"
                )
        return ops.concatenate(list(results.values()), axis=-1)

    def _output(self, name: str, value: Any, mode: str, layer: Any) -> Any:
        if mode != "one_hot":
            return value
        if isinstance(layer, (layers.IntegerLookup, layers.StringLookup)):
            depth: int | None = layer.vocabulary_size()
        elif isinstance(layer, layers.Discretization):
            depth = layer.num_bins or len(layer.bin_boundaries or ()) + 1
        else:
            depth = getattr(layer, "num_bins", None) or getattr(layer, "num_tokens", None)
        if depth is None or "int" not in value.dtype:
            raise ValueError(
                f"{self.name}: {name}: output_mode: expected 'int' or 'float' for a layer whose number of "
                "categories is not known, received 'one_hot'"
            )
        return layers.CategoryEncoding(depth, "multi_hot")(value)

    # ---- in models

    def get_inputs(self) -> dict[str, Any]:
        """Symbolic tensors of the columns, for a model that takes them as they are.

        Raises:
            TypeError: A column holds strings, which no tensors are made of.
        """
        if self._inputs is None:
            for name, feature in self.features.items():
                if feature.dtype == "string":
                    raise TypeError(
                        f"{self.name}: {name}: tensors hold no strings; call the object on the data, as in "
                        "dataset.map, and let the model take what it gives"
                    )
            self._inputs = {
                name: layers.Input((1,), dtype=feature.dtype, name=name)
                for name, feature in self.features.items()
            }
        return dict(self._inputs)

    def get_encoded_features(self) -> Any:
        """What the columns of `get_inputs` become: a symbolic tensor, or a dict of them.

        Raises:
            TypeError: A column holds strings, or is hashed or crossed.
            ValueError: `adapt` was not called.
        """
        if self._encoded is None:
            self._encoded = self(self.get_inputs())
        return self._encoded

    def get_config(self) -> dict[str, Any]:
        return {
            "features": serialize_keras_object(self.features),
            "output_mode": self.output_mode,
            "crosses": serialize_keras_object(self.crosses),
            "crossing_dim": self.crossing_dim,
            "hashing_dim": self.hashing_dim,
            "num_discretization_bins": self.num_discretization_bins,
            "name": self.name,
        }


def _name(name: str | None, kind: str) -> str:
    return f"{name or auto_name(kind)}_preprocessor"


def _given(layer: Any) -> bool:
    """Whether a layer was made with what it would measure."""
    if isinstance(layer, layers.Normalization):
        return layer.input_mean is not None
    if isinstance(layer, layers.Discretization):
        return layer.num_bins is None
    return bool(layer.get_config().get("has_input_vocabulary"))


def _measured(layer: Any) -> bool:
    """Whether a layer has measured data."""
    if isinstance(layer, layers.Normalization):
        return layer.built and int(layer.count.numpy()) > 0
    if isinstance(layer, layers.Discretization):
        return layer.bin_boundaries is not None
    if isinstance(layer, (layers.IntegerLookup, layers.StringLookup)):
        return bool(layer.get_vocabulary(include_special_tokens=False))
    return False
