"""How good a model is, how sure that is, and where it is wrong.

>>> from cnnrs import evaluation
>>> report = evaluation.classification_report([0, 1, 1, 2], [0, 1, 0, 2], ["cat", "dog", "owl"])
>>> report.accuracy, report["dog"].recall
(0.75, 0.5)
"""

from cnnrs.evaluation.averaging import test_time_augmentation
from cnnrs.evaluation.bootstrapping import Interval, bootstrap
from cnnrs.evaluation.curves import (
    PrecisionRecallCurve,
    RocCurve,
    average_precision,
    precision_recall,
    roc,
    roc_auc,
    top_k_accuracy,
)
from cnnrs.evaluation.evaluating import Evaluation, evaluate_model
from cnnrs.evaluation.images import ImagePreprocessing
from cnnrs.evaluation.mistakes import Mistake, worst
from cnnrs.evaluation.prediction import ImagePrediction
from cnnrs.evaluation.regression import Deviation, Regression, evaluate_regression
from cnnrs.evaluation.reliability import Calibration, brier_score, calibration, log_loss, temperature
from cnnrs.evaluation.reports import (
    ClassFigures,
    ClassificationReport,
    classification_report,
    confusion_matrix,
)

__all__ = [
    "Calibration",
    "ClassFigures",
    "ClassificationReport",
    "Deviation",
    "Evaluation",
    "ImagePrediction",
    "ImagePreprocessing",
    "Interval",
    "Mistake",
    "PrecisionRecallCurve",
    "Regression",
    "RocCurve",
    "average_precision",
    "bootstrap",
    "brier_score",
    "calibration",
    "classification_report",
    "confusion_matrix",
    "evaluate_model",
    "evaluate_regression",
    "log_loss",
    "precision_recall",
    "roc",
    "roc_auc",
    "temperature",
    "test_time_augmentation",
    "top_k_accuracy",
    "worst",
]
