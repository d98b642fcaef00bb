"""Losses: classes with a reduction, and the functions that they wrap."""

from cnnrs.base import suggest
from cnnrs.losses.boxes import CIoULoss, DIoULoss, GIoULoss, IoULoss
from cnnrs.losses.boxes import ciou_loss as ciou_loss
from cnnrs.losses.boxes import diou_loss as diou_loss
from cnnrs.losses.boxes import giou_loss as giou_loss
from cnnrs.losses.boxes import iou_loss as iou_loss
from cnnrs.losses.categorical import (
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    SparseCategoricalFocalCrossentropy,
)
from cnnrs.losses.categorical import categorical_focal_crossentropy as categorical_focal_crossentropy
from cnnrs.losses.categorical import (
    categorical_generalized_cross_entropy as categorical_generalized_cross_entropy,
)
from cnnrs.losses.categorical import (
    sparse_categorical_focal_crossentropy as sparse_categorical_focal_crossentropy,
)
from cnnrs.losses.centers import center as center
from cnnrs.losses.classes import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from cnnrs.losses.classes import LossFunctionWrapper as LossFunctionWrapper
from cnnrs.losses.functions import (
    binary_crossentropy as binary_crossentropy,
)
from cnnrs.losses.functions import (
    binary_focal_crossentropy as binary_focal_crossentropy,
)
from cnnrs.losses.functions import (
    categorical_crossentropy as categorical_crossentropy,
)
from cnnrs.losses.functions import (
    categorical_hinge as categorical_hinge,
)
from cnnrs.losses.functions import (
    cosine_similarity as cosine_similarity,
)
from cnnrs.losses.functions import (
    hinge as hinge,
)
from cnnrs.losses.functions import (
    huber as huber,
)
from cnnrs.losses.functions import (
    kl_divergence as kl_divergence,
)
from cnnrs.losses.functions import (
    log_cosh as log_cosh,
)
from cnnrs.losses.functions import (
    mean_absolute_error as mean_absolute_error,
)
from cnnrs.losses.functions import (
    mean_absolute_percentage_error as mean_absolute_percentage_error,
)
from cnnrs.losses.functions import (
    mean_squared_error as mean_squared_error,
)
from cnnrs.losses.functions import (
    mean_squared_logarithmic_error as mean_squared_logarithmic_error,
)
from cnnrs.losses.functions import (
    poisson as poisson,
)
from cnnrs.losses.functions import (
    sparse_categorical_crossentropy as sparse_categorical_crossentropy,
)
from cnnrs.losses.functions import (
    squared_hinge as squared_hinge,
)
from cnnrs.losses.lookup import deserialize, get, serialize
from cnnrs.losses.loss import Loss, reduce_weighted_values
from cnnrs.losses.margins import ArcFace, CosFace
from cnnrs.losses.margins import arcface as arcface
from cnnrs.losses.margins import cosface as cosface
from cnnrs.losses.overlap import Dice, FocalTversky, Jaccard, Tversky
from cnnrs.losses.overlap import dice as dice
from cnnrs.losses.overlap import focal_tversky as focal_tversky
from cnnrs.losses.overlap import jaccard as jaccard
from cnnrs.losses.overlap import tversky as tversky
from cnnrs.losses.pairs import Contrastive
from cnnrs.losses.pairs import contrastive as contrastive
from cnnrs.losses.sequences import CTC
from cnnrs.losses.sequences import ctc as ctc
from cnnrs.losses.short_names import KLD as KLD
from cnnrs.losses.short_names import MAE as MAE
from cnnrs.losses.short_names import MAPE as MAPE
from cnnrs.losses.short_names import MSE as MSE
from cnnrs.losses.short_names import MSLE as MSLE
from cnnrs.losses.short_names import Reduction as Reduction
from cnnrs.losses.short_names import kld as kld
from cnnrs.losses.short_names import kullback_leibler_divergence as kullback_leibler_divergence
from cnnrs.losses.short_names import logcosh as logcosh
from cnnrs.losses.short_names import mae as mae
from cnnrs.losses.short_names import mape as mape
from cnnrs.losses.short_names import mse as mse
from cnnrs.losses.short_names import msle as msle
from cnnrs.losses.similarity import Circle
from cnnrs.losses.similarity import circle as circle
from cnnrs.losses.teachers import Distillation
from cnnrs.losses.teachers import distillation as distillation
from cnnrs.losses.triplets import TripletHard, TripletSemiHard
from cnnrs.losses.triplets import triplet_hard as triplet_hard
from cnnrs.losses.triplets import triplet_semi_hard as triplet_semi_hard

__all__ = [
    "CTC",
    "CIoULoss",
    "DIoULoss",
    "GIoULoss",
    "IoULoss",
    "ArcFace",
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge",
    "Circle",
    "Contrastive",
    "CosFace",
    "CosineSimilarity",
    "Dice",
    "Distillation",
    "FocalTversky",
    "Hinge",
    "Huber",
    "Jaccard",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SparseCategoricalFocalCrossentropy",
    "SquaredHinge",
    "TripletHard",
    "TripletSemiHard",
    "Tversky",
    "deserialize",
    "get",
    "reduce_weighted_values",
    "serialize",
]

__getattr__ = suggest.without(
    "cnnrs.losses",
    {},
    __all__,
    also={
        "DiceLoss": "losses.Dice",
        "Focal FocalLoss SigmoidFocalCrossEntropy": (
            "losses.BinaryFocalCrossentropy, losses.CategoricalFocalCrossentropy or "
            "losses.SparseCategoricalFocalCrossentropy"
        ),
        "BCELoss BCEWithLogitsLoss": "losses.BinaryCrossentropy, with from_logits=True",
        "CenterLoss CentreLoss": "layers.CenterLoss, for its centres are weights",
        "CrossEntropy CrossEntropyLoss": (
            "losses.SparseCategoricalCrossentropy or losses.CategoricalCrossentropy, with from_logits=True"
        ),
        "LabelSmoothing LabelSmoothingCrossEntropy": (
            "losses.SparseCategoricalCrossentropy or losses.CategoricalCrossentropy, with label_smoothing"
        ),
        "IoU": "losses.Jaccard for masks or losses.IoULoss for boxes",
        "Triplet TripletLoss": "losses.TripletSemiHard or losses.TripletHard",
    },
)
