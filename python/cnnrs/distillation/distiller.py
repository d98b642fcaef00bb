"""`Distiller`: a model that trains its student on the teacher's outputs and the targets."""

from __future__ import annotations

from typing import Any

from cnnrs import losses, metrics, ops, serialization, tree
from cnnrs.base.arguments import number
from cnnrs.distillation.distillation_losses import DistillationLoss
from cnnrs.models import Model

__all__ = ["Distiller"]


class _Apart:
    """Models of layers that belong to teacher and student: an owner of this does not own them twice."""

    def __init__(self, teacher: Any, student: Any):
        self.teacher, self.student = teacher, student


class Distiller(Model):
    """A model around a teacher and a student: it computes what the student does, and trains that alone.

    The loss is `student_loss_weight` times that of `compile`, plus the rest of 1 times the sum of the
    distillation losses. Logs have both and their sum, `total_loss`.

    Args:
        teacher: A trained model. It is frozen.
        student: The model to train, with inputs and outputs of the same shapes and types.
        distillation_losses: A `DistillationLoss`, or a list of them.
        distillation_loss_weights: Factor of each of them: a list, or a number for a single one; 1 by default.
        student_loss_weight: Number of 0..1.
        name: Name.
        **kwargs: None; as in `Model`.

    Raises:
        ValueError: Teacher and student do not fit each other or a loss, or a weight is wrong.

    Example:

    >>> import numpy as np
    >>> import cnnrs
    >>> from cnnrs import distillation, layers
    >>> teacher = cnnrs.Sequential([cnnrs.Input((4,)), layers.Dense(8), layers.Dense(3)])
    >>> student = cnnrs.Sequential([cnnrs.Input((4,)), layers.Dense(3)])
    >>> distiller = distillation.Distiller(teacher, student, distillation.LogitsDistillation())
    >>> loss = cnnrs.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> distiller.compile("adam", loss)
    >>> history = distiller.fit(np.ones((6, 4)), np.array([0, 1, 2] * 2), verbose=0)
    >>> sorted(name for name in history.history if name != "loss")
    ['distillation_loss', 'student_loss', 'total_loss']
    """

    def __init__(
        self,
        teacher: Any,
        student: Any,
        distillation_losses: Any,
        distillation_loss_weights: Any = None,
        student_loss_weight: float = 0.5,
        name: str = "distiller",
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        for whose, model in (("teacher", teacher), ("student", student)):
            if not isinstance(model, Model):
                raise ValueError(f"Distiller: {whose}: expected a model, received {model!r}")
        _check_alike(teacher, student)
        number(student_loss_weight, "Distiller", "student_loss_weight", least=0, most=1)
        if distillation_losses is None:
            raise ValueError("Distiller: distillation_losses: expected a DistillationLoss or a list of them")
        several = isinstance(distillation_losses, (list, tuple))
        self.distillation_losses = list(distillation_losses) if several else [distillation_losses]
        for loss in self.distillation_losses:
            if not isinstance(loss, DistillationLoss):
                raise ValueError(
                    "Distiller: distillation_losses: expected a DistillationLoss or a list of them, received "
                    f"{loss!r}"
                )
        weights = distillation_loss_weights
        if weights is None:
            weights = [1.0] * len(self.distillation_losses)
        weights = list(weights) if isinstance(weights, (list, tuple)) else [weights]
        if len(weights) != len(self.distillation_losses):
            raise ValueError(
                f"Distiller: distillation_loss_weights: expected {len(self.distillation_losses)} numbers, "
                f"received {len(weights)}"
            )
        for weight in weights:
            number(weight, "Distiller", "distillation_loss_weights")
        for loss in self.distillation_losses:
            loss.validate_model_compatibility(teacher, student)
        self.distillation_loss_weights, self.student_loss_weight = weights, student_loss_weight
        self.teacher, self.student = teacher, student
        teacher.trainable = False
        self._extractors = _Apart(
            _extractor(teacher, [loss.teacher_layer_name for loss in self.distillation_losses]),
            _extractor(student, [loss.student_layer_name for loss in self.distillation_losses]),
        )
        self.student_loss_tracker = metrics.Mean(name="student_loss")
        self.distillation_loss_tracker = metrics.Mean(name="distillation_loss")
        self.total_loss_tracker = metrics.Mean(name="total_loss")

    @property
    def _teacher_feature_extractor(self) -> Any:
        return self._extractors.teacher

    @property
    def _student_feature_extractor(self) -> Any:
        return self._extractors.student

    def compile(  # type: ignore[override]  # the other arguments go through
        self, optimizer: Any = "adam", loss: Any = None, metrics: Any = None, **kwargs: Any
    ) -> None:
        """Says how to train.

        Args:
            optimizer: Name or object.
            loss: The student's loss: name, object or function, in the structure of the outputs.
            metrics: List of metrics of the student's outputs.
            **kwargs: Further arguments of `Model.compile`.

        Raises:
            ValueError: There is no loss, or metrics are no list.
        """
        if all(one is None for one in tree.flatten(loss)):
            raise ValueError(f"Distiller: compile: loss: expected the student's loss, received {loss!r}")
        if metrics is not None and not isinstance(metrics, (list, tuple)):
            raise ValueError(f"Distiller: compile: metrics: expected a list, received {metrics!r}")
        self._given_loss = loss
        self._student_loss = tree.map_structure(_as_loss, loss)
        super().compile(optimizer=optimizer, loss=None, metrics=metrics, **kwargs)

    def get_compile_config(self) -> dict[str, Any] | None:
        config = super().get_compile_config()
        return config and {**config, "loss": serialization.serialize_keras_object(self._given_loss)}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        deserialize = serialization.deserialize_keras_object
        self.compile(**{key: deserialize(value) for key, value in config.items() if key != "loss_weights"})
        if self.built and self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def call(self, inputs: Any, training: Any = None, **kwargs: Any) -> Any:  # type: ignore[override]
        """What the student computes."""
        return self.student(inputs, training=training, **kwargs)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The weighted sum of the student's loss and the distillation losses."""
        y_pred = self(x, training=training) if y_pred is None else y_pred
        share = float(self.student_loss_weight)
        student_loss: Any = ops.zeros(())
        if share > 0.0 and y is not None:
            student_loss = self._loss_of_student(y, y_pred, sample_weight)
        distillation_loss: Any = ops.zeros(())
        if share < 1.0:
            distillation_loss = self._loss_of_distillation(x, y_pred, training)
        total = share * student_loss + (1.0 - share) * distillation_loss
        for loss in self.losses:
            total = total + ops.sum(ops.cast(loss, "float32"))
        self.student_loss_tracker.update_state(student_loss)
        self.distillation_loss_tracker.update_state(distillation_loss)
        self.total_loss_tracker.update_state(total)
        return total

    def _loss_of_student(self, y: Any, y_pred: Any, sample_weight: Any) -> Any:
        flat = [tree.flatten(part) for part in (self._student_loss, y, y_pred)]
        if len({len(part) for part in flat}) > 1:
            raise ValueError(
                "Distiller: loss: expected the structure of the student's outputs, received "
                f"{len(flat[0])} losses for {len(flat[2])} outputs and {len(flat[1])} targets"
            )
        values = [loss(*pair, sample_weight) for loss, *pair in zip(*flat, strict=True) if loss is not None]
        total = values[0]
        for value in values[1:]:
            total = total + value
        return total

    def _loss_of_distillation(self, x: Any, y_pred: Any, training: bool) -> Any:
        extractors = self._extractors
        teacher = {"final_output": self.teacher(x, training=False)} if extractors.teacher is None else None
        teacher = extractors.teacher(x, training=False) if teacher is None else teacher
        student = {} if extractors.student is None else extractors.student(x, training=training)
        total: Any = ops.zeros(())
        for loss, weight in zip(self.distillation_losses, self.distillation_loss_weights, strict=True):
            of_teacher = teacher[loss.teacher_layer_name or "final_output"]
            of_student = student[loss.student_layer_name] if loss.student_layer_name else y_pred
            loss.validate_outputs(of_teacher, of_student)
            value = loss.compute_loss(of_teacher, of_student)
            if len(value.shape):
                raise ValueError(
                    f"Distiller: {type(loss).__name__}: compute_loss: expected a scalar, received the shape "
                    f"{tuple(value.shape)}"
                )
            total = total + float(weight) * value
        return total

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        serialize = serialization.serialize_keras_object
        return {
            "name": self.name,
            "teacher": serialize(self.teacher),
            "student": serialize(self.student),
            "distillation_losses": [serialize(loss) for loss in self.distillation_losses],
            "distillation_loss_weights": self.distillation_loss_weights,
            "student_loss_weight": self.student_loss_weight,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Distiller:
        """The distiller of a config, with both models."""
        config = dict(config)
        for key in ("teacher", "student", "distillation_losses"):
            config[key] = serialization.deserialize_keras_object(config[key], custom_objects)
        return cls(**config)


def _as_loss(loss: Any) -> Any:
    """A loss with a reduction to a scalar."""
    loss = losses.get(loss)
    if loss is None or isinstance(loss, losses.Loss):
        return loss
    return losses.LossFunctionWrapper(loss, name=getattr(loss, "__name__", None))


def _check_alike(teacher: Any, student: Any) -> None:
    """Checks that inputs and outputs have the same structures, shapes and types, where they are known."""
    for what in ("inputs", "outputs"):
        pair = [getattr(model, what, None) for model in (teacher, student)]
        if any(part is None for part in pair):
            continue
        flat = [tree.flatten(part) for part in pair]
        shapes = [[tuple(x.shape) for x in part] for part in flat]
        dtypes = [[x.dtype for x in part] for part in flat]
        fits = len(flat[0]) == len(flat[1]) and all(
            len(a) == len(b) and all(m == n or None in (m, n) for m, n in zip(a, b, strict=True))
            for a, b in zip(*shapes, strict=True)
        )
        for kind, (of_teacher, of_student), alike in (
            ("shapes", shapes, fits),
            ("dtypes", dtypes, dtypes[0] == dtypes[1]),
        ):
            if not alike:
                raise ValueError(
                    f"Distiller: expected teacher and student with {what} of the same {kind}, "
                    f"received {of_teacher} and {of_student}"
                )


def _extractor(model: Any, names: list[str | None]) -> Any:
    """A model that gives the output of `model` and those of layers of it; None if none is named."""
    wanted = {name for name in names if name}
    if not wanted:
        return None
    output = model.outputs[0] if len(model.outputs) == 1 else model.output
    outputs = {"final_output": output, **{n: model.get_layer(name=n).output for n in sorted(wanted)}}
    return Model(model.inputs, outputs, name=f"{model.name}_multi_feature_extractor")
