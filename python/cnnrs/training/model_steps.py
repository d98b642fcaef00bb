"""`ModelSteps`: what the steps of a model compute on a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from cnnrs import _core, ops, serialization, tree
from cnnrs.base.arguments import named
from cnnrs.base.user_warnings import warn_user
from cnnrs.layers.base import Layer
from cnnrs.training.arguments import check_jit_compile, takes_argument
from cnnrs.training.logs import results_of, track_loss
from cnnrs.training.mixing import BatchMixing, MixedBatch
from cnnrs.training.samples import pack_x_y_sample_weight, unpack_x_y_sample_weight
from cnnrs.training.second_pass import SecondPass
from cnnrs.training.step import RecordedSteps

if TYPE_CHECKING:
    from cnnrs.training.compiled import Compiled

__all__ = ["Kind", "ModelSteps"]

Kind = Literal["train", "test", "predict"]


class _NoMetrics:
    """The metrics of a model that was compiled without."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch into account: there is nothing to do."""


class ModelSteps(Layer):
    """A layer with `compile`, and with the steps that train, test and predict on a batch.

    A subclass may define `train_step`, `test_step`, `predict_step`, `compute_loss` and `compute_metrics`.
    """

    _unowned = (
        Layer._unowned
        | {"_compiled", "_jit_compile", "_mixing", "_recorded", "_run_eagerly", "optimizer"}
        | {"train_function", "test_function", "predict_function"}
    )

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.optimizer: Any = None
        self.loss: Any = None
        self.steps_per_execution = 1
        self.stop_training = self.stop_evaluating = self.stop_predicting = False
        self._compiled: Compiled | None = None
        self._mixing: BatchMixing | None = None
        self._run_eagerly = False
        self._jit_compile: Any = "auto"
        self._forget_recorded()
        self._forget_functions()

    # ---- what a model knows about itself

    def _defines_call(self) -> bool:
        """Whether the model can be called."""
        return type(self).call is not Layer.call

    def _output_names(self) -> list[str] | None:
        """Names of the outputs, if they are known before a call."""
        return None

    # ---- compile

    @named
    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Says how to train.

        Args:
            optimizer: Name or object; None for a model that is evaluated and not trained.
            loss: Name, object or function; a list or a dict by output name for several outputs. An entry may
                be a list of losses, which add up, and one for a nested output is called with its structure.
            loss_weights: Factor of each loss, in the structure of the losses or in their order.
            metrics: List of names, objects or functions; for several outputs a list of lists, or a dict.
            weighted_metrics: Metrics that take sample weights into account; one that has the name of another
                metric is reported as `weighted_<name>`.
            run_eagerly: Whether to run Python at every batch.
            steps_per_execution: Batches between two calls of the batch hooks of callbacks.
            jit_compile: "auto", or True to record steps that the user wrote, or False as `run_eagerly=True`.
            auto_scale_loss: Whether a model whose policy is "mixed_float16" has a `LossScaleOptimizer`,
                whose inner one the optimizer is.
        """
        from cnnrs import optimizers
        from cnnrs.training.compiled import Compiled

        config: dict[str, Any] = {
            "optimizer": optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile,
            "auto_scale_loss": auto_scale_loss,
        }
        self._check_compile(config)
        compiled = Compiled.of(config, self._output_names())
        self.optimizer = None if optimizer is None else optimizers.get(optimizer)
        scales = isinstance(self.optimizer, optimizers.LossScaleOptimizer)
        mixed = self.dtype_policy.name == "mixed_float16"
        if auto_scale_loss and mixed and self.optimizer is not None and not scales:
            self.optimizer = optimizers.LossScaleOptimizer(self.optimizer, name="loss_scale_optimizer")
        self.loss = loss
        self.steps_per_execution = steps_per_execution
        self.stop_training = False
        self._compiled = compiled
        self._run_eagerly, self._jit_compile = compiled.run_eagerly, compiled.jit_compile
        self._forget_recorded()
        self._forget_functions()

    def _check_compile(self, config: dict[str, Any]) -> None:
        """A model that computes its own loss refuses the arguments of `compile` that it does not read."""

    def _check_samples(self, samples: Any) -> None:
        """A model that knows what its targets mean refuses others; recorded steps cannot look at values."""

    def _forget_recorded(self) -> None:
        """What was recorded does not hold any more."""
        self._recorded = RecordedSteps()

    def _forget_functions(self) -> None:
        """The functions that run steps are made anew when they are needed."""
        self.train_function: Any = None
        self.test_function: Any = None
        self.predict_function: Any = None

    @property
    def compiled(self) -> bool:
        """Whether `compile` has been called."""
        return self._compiled is not None

    @property
    def run_eagerly(self) -> bool:
        """Whether Python runs at every batch. It may be set."""
        return self._run_eagerly

    @run_eagerly.setter
    def run_eagerly(self, value: bool) -> None:
        self._run_eagerly = bool(value)

    @property
    def jit_compile(self) -> Any:
        """Whether steps that the user wrote are recorded: "auto", True or False. It may be set."""
        return self._jit_compile

    @jit_compile.setter
    def jit_compile(self, value: Any) -> None:
        self._jit_compile = check_jit_compile(value, f"{self.name}: jit_compile")

    def get_compile_config(self) -> dict[str, Any] | None:
        """The arguments of `compile` as plain data; None before it."""
        if self._compiled is None:
            return None
        serialize = serialization.serialize_keras_object
        config = {**self._compiled.config, "optimizer": self.optimizer}
        return {key: serialize(value) for key, value in config.items()}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Calls `compile` with what `get_compile_config` gave, and makes the optimizer's variables.

        A `compile` that the user wrote has arguments of its own: it is not called, with a warning.
        """
        if type(self).compile is not ModelSteps.compile:
            warn_user(
                f"{self.name}: {type(self).__name__} defines compile(), so that its arguments are not known; "
                "call it yourself, or define get_compile_config and compile_from_config"
            )
            return
        deserialize = serialization.deserialize_keras_object
        self.compile(**{key: deserialize(value) for key, value in config.items()})
        if self.built and self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def _require_compiled(self, method: str) -> Compiled:
        if self._compiled is None:
            raise ValueError(f"{self.name}: {method}: expected compile() to be called first")
        return self._compiled

    # ---- what a step consists of; a subclass may define these

    def _step_function(self, kind: Kind) -> Callable[[Any], Any]:
        if kind == "predict":
            return self.predict_step
        if kind == "test":
            return self.test_step
        if self._mixing is None or type(self).train_step is ModelSteps.train_step:
            return self.train_step
        return lambda data: self.train_step(self._softly_mixed(data))

    def _own_function(self, kind: Kind) -> Callable[[Any], Any] | None:
        """What the user put in the place of the function that runs steps; None if nothing."""
        return None

    def train_step(self, data: Any) -> Any:
        """Forward, loss, gradients, update and metrics of a batch; gives the logs."""
        x, y, sample_weight, labels, label_weight = self._batch_of(data)
        second = SecondPass(self) if self.optimizer is not None and self.optimizer.passes > 1 else None
        y_pred = self(x, training=True)
        loss = self._loss_of(x, y, y_pred, sample_weight, training=True)
        self._track_loss(loss, x)
        variables = self.trainable_weights
        if variables:
            if self.optimizer is None:
                raise ValueError(
                    f"{self.name}: fit: expected compile(optimizer=...), for there are weights to train; "
                    "received an optimizer of None"
                )
            scaled = self.optimizer.scale_loss(loss)
            if second is None:
                gradients = _core.gradients(scaled, variables)
            else:
                gradients = self.optimizer.gradients(
                    scaled, variables, lambda: second.loss(x, y, sample_weight)
                )
            self.optimizer.apply(gradients, variables)
        return self.compute_metrics(x, labels, y_pred, sample_weight=label_weight)

    def _batch_of(self, data: Any) -> MixedBatch:
        """What a step of training computes with: a batch, mixed if `fit` was told so."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        # A step of the user that calls this one has got mixed samples.
        if self._mixing is None or type(self).train_step is not ModelSteps.train_step:
            return MixedBatch(x, y, sample_weight, y, sample_weight)
        batch = self._mixing(x, y, sample_weight)
        if type(self).compute_loss is not ModelSteps.compute_loss:
            batch = batch._replace(y=self._mixing.soft(batch.y, "compute_loss"))
        return batch

    def _softly_mixed(self, data: Any) -> Any:
        """A batch for a step that the user wrote."""
        assert self._mixing is not None
        batch = self._mixing(*unpack_x_y_sample_weight(data))
        targets = self._mixing.soft(batch.y, "train_step")
        return pack_x_y_sample_weight(batch.x, targets, batch.sample_weight)

    def test_step(self, data: Any) -> Any:
        """Forward, loss and metrics of a batch; gives the logs."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        loss = self._loss_of(x, y, y_pred, sample_weight, training=False)
        self._track_loss(loss, x)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def predict_step(self, data: Any) -> Any:
        """The outputs for a batch."""
        x, _, _ = unpack_x_y_sample_weight(data)
        return self(x, training=False)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The loss of a batch: that of `compile`, plus what layers added.

        Raises:
            ValueError: There is none.
        """
        total = None
        if self._compiled is not None and self._compiled.loss is not None:
            if y is None:
                raise ValueError(f"{self.name}: the loss needs targets; expected y, received None")
            total = self._compiled.loss(y, y_pred, sample_weight)
        for loss in self.losses:
            loss = ops.sum(ops.cast(loss, "float32"))
            total = loss if total is None else total + loss
        if total is None:
            raise ValueError(
                f"{self.name}: no loss to train on: expected compile(loss=...) or layers that call add_loss"
            )
        return total

    def _loss_of(self, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool) -> Any:
        """`compute_loss`, which a subclass may define without `training`."""
        arguments = {"x": x, "y": y, "y_pred": y_pred, "sample_weight": sample_weight}
        if takes_argument(type(self).compute_loss, "training"):
            arguments["training"] = training
        return self.compute_loss(**arguments)

    def compiled_loss(
        self, y: Any, y_pred: Any, sample_weight: Any = None, regularization_losses: Any = None
    ) -> Any:
        """What Keras 2 had for `compute_loss`: the loss of `compile`, which "loss" of the logs then says.

        Args:
            y: The targets.
            y_pred: The outputs.
            sample_weight: Weights of the samples.
            regularization_losses: Losses to add, as `self.losses`.

        Raises:
            ValueError: The model is not compiled, or `compile` was given no loss.
        """
        warn_user(
            f"{self.name}: compiled_loss is called compute_loss(x, y, y_pred, sample_weight) since Keras 3"
        )
        compiled = self._require_compiled("compiled_loss")
        if compiled.loss is None:
            raise ValueError(f"{self.name}: compiled_loss: expected compile(loss=...), received none")
        total = compiled.loss(y, y_pred, sample_weight)
        for loss in regularization_losses or ():
            total = total + ops.cast(loss, "float32")
        self._track_loss(total, y_pred)
        return total

    @property
    def compiled_metrics(self) -> Any:
        """What Keras 2 had for `compute_metrics`: its `update_state(y, y_pred, sample_weight)` is that of
        the metrics of `compile`.

        Raises:
            ValueError: The model is not compiled.
        """
        warn_user(f"{self.name}: compiled_metrics is called compute_metrics(x, y, y_pred) since Keras 3")
        metrics = self._require_compiled("compiled_metrics").metrics
        return _NoMetrics() if metrics is None else metrics

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Takes a batch into account in the metrics of `compile`; gives all values by name."""
        if self._compiled is not None and self._compiled.metrics is not None and y is not None:
            self._compiled.metrics.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def _track_loss(self, loss: Any, x: Any) -> None:
        rows = next(leaf for leaf in tree.flatten(x) if leaf is not None).shape[0]
        track_loss(self._require_compiled("train_step or test_step").loss_tracker, loss, rows)

    # ---- metrics

    @property
    def metrics(self) -> list[Any]:
        """The loss's running mean, the metrics of `compile` as one, those of each output's loss, and those
        that belong to layers.
        """
        return ([] if self._compiled is None else self._compiled.all_metrics) + super().metrics

    @property
    def metrics_names(self) -> list[str]:
        """Names of `metrics`."""
        return [metric.name for metric in self.metrics]

    def _result_names(self) -> list[str]:
        """Names of `metrics`, with those of `compile` one by one."""
        own = None if self._compiled is None else self._compiled.metrics
        opened = [own.metrics if own is not None and metric is own else [metric] for metric in self.metrics]
        return [metric.name for metrics in opened for metric in metrics]

    def get_metrics_result(self) -> dict[str, Any]:
        """Values of all metrics, by name; of equal names, the second is `name_1`."""
        return results_of(self.metrics)

    def reset_metrics(self) -> None:
        """Metrics start afresh."""
        for metric in self.metrics:
            metric.reset_state()

    def _assignable(self) -> list[_core.Variable]:
        """The variables that a step may assign: those of layers, metrics and the optimizer."""
        variables = list(self.variables)
        if self._mixing is not None:
            variables += self._mixing.variables
        for metric in self.metrics:
            variables += metric._state()
        return variables if self.optimizer is None else variables + self.optimizer.variables
