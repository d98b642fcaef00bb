"""Models as estimators of scikit-learn, which is the extra `cnnrs[sklearn]`.

The library is imported when one of them is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnrs.base.suggest import did_you_mean

if TYPE_CHECKING:
    from cnnrs.wrappers.estimators import SKLearnClassifier as SKLearnClassifier
    from cnnrs.wrappers.estimators import SKLearnRegressor as SKLearnRegressor
    from cnnrs.wrappers.estimators import SKLearnTransformer as SKLearnTransformer

__all__ = ["SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"cnnrs.wrappers has no {name!r}{did_you_mean(name, __all__)}")
    try:
        from cnnrs.wrappers import estimators
    except ImportError as error:
        raise ImportError(
            f"{name}: scikit-learn is not there; install it with: pip install 'cnnrs[sklearn]'"
        ) from error
    globals()[name] = found = getattr(estimators, name)
    return found
