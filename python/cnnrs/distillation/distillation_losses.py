"""Losses between what a teacher and a student give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnrs import losses, ops, serialization, tree
from cnnrs.base.arguments import NamedArguments, number, reject

__all__ = ["DistillationLoss", "FeatureDistillation", "LogitsDistillation"]


class DistillationLoss(NamedArguments):
    """Base class: subclasses define `compute_loss(teacher_outputs, student_outputs)`, a scalar.

    >>> from cnnrs import distillation, ops
    >>> class Largest(distillation.DistillationLoss):
    ...     def compute_loss(self, teacher_outputs, student_outputs, **kwargs):
    ...         return ops.max(ops.abs(teacher_outputs - student_outputs))
    >>> float(Largest().compute_loss(ops.array([1.0, 2.0]), ops.array([1.0, 5.0])))
    3.0
    """

    teacher_layer_name: str | None = None
    student_layer_name: str | None = None

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Any:
        """The loss, a scalar tensor."""
        raise NotImplementedError(f"{type(self).__name__} must define compute_loss")

    def validate_outputs(self, teacher_outputs: Any, student_outputs: Any) -> None:
        """Checks the outputs of a batch.

        Raises:
            ValueError: Those of teacher and student have different structures.
        """
        try:
            tree.assert_same_structure(teacher_outputs, student_outputs)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{type(self).__name__}: expected teacher and student outputs of one structure: {error}"
            ) from error

    def validate_model_compatibility(self, teacher: Any, student: Any) -> None:
        """Checks the models; raises a ValueError if they do not fit."""


class _OfStructures(DistillationLoss):
    """The sum of losses, one for each output; None for one that does not count."""

    def __init__(self, loss: Any):
        self.loss = tree.map_structure(lambda one: losses.get(one) if isinstance(one, str) else one, loss)
        if all(one is None for one in tree.flatten(self.loss)):
            raise ValueError(f"{type(self).__name__}: loss: expected at least one loss, received {loss!r}")

    def _total(
        self, of_pair: Callable[[Any, Any, Any], Any], teacher_outputs: Any, student_outputs: Any
    ) -> Any:
        """The sum of `of_pair(loss, teacher, student)` over the structure."""
        self.validate_outputs(teacher_outputs, student_outputs)
        flat = [tree.flatten(part) for part in (self.loss, teacher_outputs, student_outputs)]
        values = [ops.mean(of_pair(*parts)) for parts in zip(*flat, strict=True) if parts[0] is not None]
        total = values[0]
        for value in values[1:]:
            total = total + value
        return total

    def validate_outputs(self, teacher_outputs: Any, student_outputs: Any) -> None:
        super().validate_outputs(teacher_outputs, student_outputs)
        try:
            tree.assert_same_structure(self.loss, teacher_outputs)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{type(self).__name__}: loss: expected the structure of the outputs: {error}"
            ) from error

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {"loss": serialization.serialize_keras_object(self.loss)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The loss of a config."""
        return cls(**{**config, "loss": serialization.deserialize_keras_object(config["loss"])})


class FeatureDistillation(_OfStructures):
    """A loss between the outputs of a layer of the teacher and one of the student (Romero et al. 2015).

    Args:
        loss: Name, object or function; in the structure of the features if these have one, None for what does
            not count.
        teacher_layer_name: Name of the teacher's layer; None for the teacher's output.
        student_layer_name: Name of the student's layer; None for the student's output.

    Raises:
        ValueError: There is no loss; or, in a `Distiller`, no such layer.

    >>> from cnnrs import distillation, ops
    >>> float(distillation.FeatureDistillation("mse").compute_loss(ops.array([[1.0]]), ops.array([[3.0]])))
    4.0
    """

    def __init__(
        self, loss: Any = "mse", teacher_layer_name: str | None = None, student_layer_name: str | None = None
    ):
        super().__init__(loss)
        self.teacher_layer_name, self.student_layer_name = teacher_layer_name, student_layer_name

    def validate_model_compatibility(self, teacher: Any, student: Any) -> None:
        if self.teacher_layer_name is None and self.student_layer_name is None:
            return
        for whose, model in (("teacher", teacher), ("student", student)):
            if getattr(model, "inputs", None) is None:
                raise ValueError(
                    f"FeatureDistillation: layers by name are found in functional and Sequential models; the "
                    f"{whose} {model.name!r} is neither; leave out the names to compare outputs"
                )
        for whose, model, name in (
            ("teacher", teacher, self.teacher_layer_name),
            ("student", student, self.student_layer_name),
        ):
            if name is not None:
                try:
                    model.get_layer(name=name)
                except ValueError as error:
                    raise ValueError(f"FeatureDistillation: {whose}_layer_name: {error}") from error

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Any:
        reject(type(self), kwargs)
        return self._total(lambda loss, t, s: loss(t, s), teacher_outputs, student_outputs)

    def get_config(self) -> dict[str, Any]:
        names = {"teacher_layer_name": self.teacher_layer_name, "student_layer_name": self.student_layer_name}
        return {**super().get_config(), **names}


class LogitsDistillation(_OfStructures):
    """A loss between the logits of teacher and student, over a temperature (Hinton et al. 2015).

    The Kullback-Leibler divergence is that of the softmax of both, times the squared temperature, so that its
    gradients do not depend on that. Other losses are those of the logits over the temperature.

    Args:
        temperature: Above 0; larger numbers make the teacher's choices softer.
        loss: Name, object or function; in the structure of the outputs if these have one, None for what does
            not count.

    Raises:
        ValueError: There is no loss, or the temperature is not above 0.

    >>> from cnnrs import distillation, ops
    >>> loss = distillation.LogitsDistillation(temperature=2.0)
    >>> float(loss.compute_loss(ops.array([[1.0, 2.0]]), ops.array([[1.0, 2.0]])))
    0.0
    """

    def __init__(self, temperature: float = 3.0, loss: Any = "kl_divergence"):
        super().__init__(loss)
        self.temperature = number(temperature, self, "temperature", above=0)

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Any:
        reject(type(self), kwargs)
        return self._total(self._of_pair, teacher_outputs, student_outputs)

    def _of_pair(self, loss: Any, teacher: Any, student: Any) -> Any:
        teacher, student = (ops.divide(logits, self.temperature) for logits in (teacher, student))
        divergence: Any = losses.kl_divergence
        of_probabilities = loss is divergence or isinstance(loss, losses.KLDivergence)
        if of_probabilities:
            value = loss(ops.softmax(teacher, axis=-1), ops.softmax(student, axis=-1))
            return value * self.temperature**2
        return loss(teacher, student)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "temperature": self.temperature}
