"""The estimators: a model with the interface of scikit-learn."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import sklearn  # type: ignore[import-untyped,unused-ignore]
from sklearn.base import (  # type: ignore[import-untyped,unused-ignore]
    BaseEstimator,
    ClassifierMixin,
    RegressorMixin,
    TransformerMixin,
)
from sklearn.utils.metadata_routing import (  # type: ignore[import-untyped,unused-ignore]
    MetadataRequest,
)
from sklearn.utils.multiclass import (  # type: ignore[import-untyped,unused-ignore]
    type_of_target,
)
from sklearn.utils.validation import (  # type: ignore[import-untyped,unused-ignore]
    check_is_fitted,
    validate_data,
)

from cnnrs.models import Model, clone_model

__all__ = ["SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"]


class _Estimator(BaseEstimator):
    """What the estimators share.

    Args:
        model: A compiled model, of which each `fit` trains a copy with fresh weights; or a function
            `(X, y, **model_kwargs)` that makes one, which is given the targets as the model will see them.
        warm_start: Whether `fit` goes on with the model of the last one, and at first with `model` itself.
        model_kwargs: Arguments of the function, a dict.
        fit_kwargs: Arguments of the model's `fit`, a dict.

    Attributes:
        model_: The trained model.
        history_: What its `fit` gave.
    """

    # Whether targets may have several columns; scikit-learn asks classifiers and regressors for one.
    _multi_output = False

    def __init__(
        self,
        model: Any,
        warm_start: bool = False,
        model_kwargs: Any = None,
        fit_kwargs: Any = None,
    ):
        # scikit-learn asks that arguments are kept as they are, and checked in `fit`.
        self.model = model
        self.warm_start = warm_start
        self.model_kwargs = model_kwargs
        self.fit_kwargs = fit_kwargs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        return tags

    def __sklearn_clone__(self) -> Any:
        arguments = {name: getattr(self, name) for name in self._get_param_names()}
        if isinstance(self.model, Model):
            arguments["model"] = copy.deepcopy(self.model)
        return type(self)(**arguments)

    @property
    def epoch_(self) -> int:
        """How many epochs the last `fit` trained; 0 before it."""
        return len(self.history_.epoch) if hasattr(self, "history_") else 0

    def set_fit_request(self, **kwargs: Any) -> Any:
        """Says which further arguments of `fit`, `sample_weight` say, meta-estimators pass on.

        Args:
            **kwargs: For each argument True, False, None or the name by which it is given.

        Raises:
            RuntimeError: Routing is not enabled in `sklearn.set_config`.
        """
        if not sklearn.get_config().get("enable_metadata_routing"):
            raise RuntimeError(
                "set_fit_request: enable it with sklearn.set_config(enable_metadata_routing=True)"
            )
        if not hasattr(self, "_metadata_request"):
            self._metadata_request = MetadataRequest(owner=type(self).__name__)
        for param, alias in kwargs.items():
            self._metadata_request.fit.add_request(param=param, alias=alias)
        return self

    def fit(self, X: Any, y: Any, **kwargs: Any) -> Any:
        """Trains a model.

        Args:
            X: Samples.
            y: Targets, one a sample.
            **kwargs: Arguments of the model's `fit`, beside `fit_kwargs`.

        Returns:
            The estimator.

        Raises:
            RuntimeError: The model is not compiled with a loss and an optimizer.
        """
        X, y = validate_data(self, X, y, multi_output=self._multi_output)
        y = self._encoded(y)
        model = self._model_for(X, y)
        if not isinstance(model, Model) or not model.compiled or not model.loss or model.optimizer is None:
            raise RuntimeError(
                f"{type(self).__name__}: model: expected a model that is compiled with a loss and an "
                f"optimizer, received {model!r}"
            )
        self.history_ = model.fit(X, y, **{**(self.fit_kwargs or {}), **kwargs})
        self.model_ = model
        return self

    def _model_for(self, X: Any, y: Any) -> Any:
        if self.warm_start and hasattr(self, "model_"):
            return self.model_
        if isinstance(self.model, Model):
            return self.model if self.warm_start else clone_model(self.model)
        return self.model(X=X, y=y, **(self.model_kwargs or {}))

    def _outputs(self, X: Any) -> np.ndarray:
        """What the trained model computes."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        verbose = (self.fit_kwargs or {}).get("verbose", 0)
        return np.asarray(self.model_.predict(X, verbose=verbose))

    def predict(self, X: Any) -> np.ndarray:
        """The predictions for samples, of the kind of the targets of `fit`."""
        return self._decoded(self._outputs(X))

    def _encoded(self, y: np.ndarray) -> np.ndarray:
        self._check_kind(y)
        return y.reshape(len(y), -1)

    def _decoded(self, y: np.ndarray) -> np.ndarray:
        return np.squeeze(y, axis=1) if y.ndim == 2 and y.shape[1] == 1 else y

    def _check_kind(self, y: np.ndarray) -> str:
        kind: str = type_of_target(y)
        if kind == "unknown":
            raise ValueError(f"Unknown label type for data: {y!r}")
        return kind


class SKLearnClassifier(ClassifierMixin, _Estimator):
    __doc__ = (
        "A classifier of scikit-learn around a model, which sees the classes as one-hot rows.\n\n    "
        + str(_Estimator.__doc__).split("\n\n    ", 1)[1].rstrip()
        + """
        classes_: The classes, in the order of the model's outputs.

    Example:

    >>> import numpy as np
    >>> import cnnrs
    >>> from cnnrs import layers
    >>> model = cnnrs.Sequential([cnnrs.Input((2,)), layers.Dense(2, activation="softmax")])
    >>> model.compile(cnnrs.optimizers.SGD(1.0), "categorical_crossentropy")
    >>> classifier = cnnrs.wrappers.SKLearnClassifier(model, fit_kwargs={"epochs": 20, "verbose": 0})
    >>> x = np.array([[0.0, 1.0], [1.0, 0.0]] * 8)
    >>> classifier.fit(x, ["left", "right"] * 8).predict(x[:2]).tolist()
    ['left', 'right']
    """
    )

    def decision_function(self, X: Any) -> np.ndarray:
        """What the model computes: one column a class, of which the largest is predicted."""
        return self._outputs(X)

    def _encoded(self, y: np.ndarray) -> np.ndarray:
        kind = self._check_kind(y)
        if kind not in ("binary", "multiclass"):
            raise ValueError(
                f"Only binary and multiclass target types are supported. Target type: {kind}; "
                "SKLearnRegressor takes other targets"
            )
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) == 1:
            raise ValueError("Classifier can't train when only one class is present.")
        return np.eye(len(self.classes_), dtype=np.float32)[labels]

    def _decoded(self, y: np.ndarray) -> np.ndarray:
        return self.classes_[np.argmax(y, axis=-1)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags


class SKLearnRegressor(RegressorMixin, _Estimator):
    __doc__ = (
        "A regressor of scikit-learn around a model.\n\n    "
        + str(_Estimator.__doc__).split("\n\n    ", 1)[1].rstrip()
        + """

    Example:

    >>> import numpy as np
    >>> import cnnrs
    >>> model = cnnrs.Sequential([cnnrs.Input((1,)), cnnrs.layers.Dense(1)])
    >>> model.compile(cnnrs.optimizers.SGD(0.1), "mse")
    >>> regressor = cnnrs.wrappers.SKLearnRegressor(model, fit_kwargs={"epochs": 99, "verbose": 0})
    >>> x = np.linspace(-1, 1, 16)[:, None]
    >>> regressor.fit(x, 3 * x[:, 0]).predict([[1.0]]).round(2).tolist()
    [3.0]
    """
    )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags


class SKLearnTransformer(TransformerMixin, _Estimator):
    _multi_output = True
    __doc__ = (
        "A transformer of scikit-learn around a model, whose outputs are what samples become.\n\n    "
        + str(_Estimator.__doc__).split("\n\n    ", 1)[1].rstrip()
        + """

    Example:

    >>> import numpy as np
    >>> import cnnrs
    >>> model = cnnrs.Sequential([cnnrs.Input((4,)), cnnrs.layers.Dense(4)])
    >>> model.compile("sgd", "mse")
    >>> transformer = cnnrs.wrappers.SKLearnTransformer(model, fit_kwargs={"verbose": 0})
    >>> transformer.fit(np.ones((8, 4)), np.ones((8, 4))).transform(np.ones((2, 4))).shape
    (2, 4)
    """
    )

    def transform(self, X: Any) -> np.ndarray:
        """What the model computes of samples."""
        return self._outputs(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags
