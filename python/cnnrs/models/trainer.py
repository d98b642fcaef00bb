"""`compile`, `fit`, `evaluate`, `predict`: the trainer that every model is."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import _core, tree
from cnnrs.base.arguments import integer, named, reject
from cnnrs.base.building import building
from cnnrs.base.recent import Recent
from cnnrs.base.user_warnings import warn_user
from cnnrs.models.batches import Batches, check_steps, is_due, resolve_verbosity, unpack_validation
from cnnrs.models.data_adapter import (
    ArrayData,
    core_dtype,
    make_data,
    unpack_x_y_sample_weight,
)
from cnnrs.models.logs import as_numbers, in_order, results_of, warn_of_nan
from cnnrs.models.step import Step, run_eagerly

__all__ = ["Trainer"]

# Shapes of batches whose recorded steps a model keeps, those used last.
_MAX_STEPS = 64


class Trainer:
    """What a model can do with data.

    A step (forward, loss, gradients, update, metrics) is recorded once for each shape of batch and then
    replayed without Python. `run_eagerly=True`, and models whose `call`, `train_step` or `test_step` the user
    wrote, run their Python at every batch unless `jit_compile=True`.
    """

    optimizer: Any
    stop_training: bool

    def __init__(self) -> None:
        from cnnrs.random import SeedGenerator

        self._shuffle_seed = SeedGenerator()
        self.optimizer = None
        self.loss = None
        self.stop_training = False
        self.history: Any = None
        self._compiled: dict[str, Any] = {}
        self._jit_compile: Any = "auto"
        self._run_eagerly = False
        self.steps_per_execution = 1

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
            optimizer: Name or object.
            loss: Name, object or function; a list or a dict by output name for several outputs.
            loss_weights: Factor of each output's loss.
            metrics: List of names, objects or functions; for several outputs a list of lists, or a dict.
            weighted_metrics: Metrics that take sample weights into account; one that has the name of another
                metric is reported as `weighted_<name>`.
            run_eagerly: Whether to run Python at every batch.
            steps_per_execution: Batches between two calls of the batch hooks of callbacks.
            jit_compile: "auto", or True to record steps that the user wrote, or False as `run_eagerly=True`.
            auto_scale_loss: True; losses in float32 need no scaling.
        """
        from cnnrs import optimizers
        from cnnrs.metrics import Mean
        from cnnrs.models.compiled import CompiledLoss, CompiledMetrics

        if jit_compile not in ("auto", True, False):
            raise ValueError(
                f"compile: jit_compile: expected 'auto', True or False, received {jit_compile!r}"
            )
        if not auto_scale_loss:
            raise ValueError("compile: auto_scale_loss: expected True; losses in float32 are not scaled")
        if not isinstance(steps_per_execution, int) or steps_per_execution < 1:
            raise ValueError(
                f"compile: steps_per_execution: expected an integer >= 1, received {steps_per_execution!r}"
            )
        names = self.output_names if getattr(self, "_graph", None) is not None else None  # type: ignore[attr-defined]
        compiled_loss = None if loss is None else CompiledLoss(loss, loss_weights, names)
        given = metrics is not None or weighted_metrics is not None
        compiled_metrics = CompiledMetrics(metrics, weighted_metrics, names) if given else None
        self.optimizer = optimizers.get(optimizer)
        self.loss = loss
        self._run_eagerly = bool(run_eagerly)
        self._jit_compile = jit_compile
        self.steps_per_execution = steps_per_execution
        self.stop_training = False
        self._compiled = {
            "loss": compiled_loss,
            "metrics": compiled_metrics,
            "loss_tracker": Mean(name="loss"),
            "steps": Recent(_MAX_STEPS),
            "config": {
                "optimizer": optimizer,
                "loss": loss,
                "loss_weights": loss_weights,
                "metrics": metrics,
                "weighted_metrics": weighted_metrics,
                "run_eagerly": run_eagerly,
                "steps_per_execution": steps_per_execution,
                "jit_compile": jit_compile,
            },
        }

    @property
    def compiled(self) -> bool:
        """Whether `compile` has been called."""
        return "config" in self._compiled

    @property
    def run_eagerly(self) -> bool:
        """Whether Python runs at every batch."""
        return self._run_eagerly

    @property
    def jit_compile(self) -> Any:
        """The argument of `compile`."""
        return self._jit_compile

    def get_compile_config(self) -> dict[str, Any] | None:
        """The arguments of `compile` as plain data; None before it."""
        if not self.compiled:
            return None
        from cnnrs import serialization

        config = {**self._compiled["config"], "optimizer": self.optimizer}
        return {key: serialization.serialize_keras_object(value) for key, value in config.items()}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Calls `compile` with what `get_compile_config` gave, and makes the optimizer's variables.

        A `compile` that the user wrote has arguments of its own: it is not called, with a warning.
        """
        from cnnrs import serialization

        if type(self).compile is not Trainer.compile:
            warn_user(
                f"{self.name}: {type(self).__name__} defines compile(), so that its arguments are not known; "  # type: ignore[attr-defined]
                "call it yourself, or define get_compile_config and compile_from_config"
            )
            return
        self.compile(**{key: serialization.deserialize_keras_object(value) for key, value in config.items()})
        if getattr(self, "built", False):
            self.optimizer.build(self.trainable_variables)  # type: ignore[attr-defined]

    def _require_compiled(self, method: str) -> None:
        if not self.compiled:
            raise ValueError(f"{self.name}: {method}: expected compile() to be called first")  # type: ignore[attr-defined]

    def _layers_are_built(self) -> bool:
        inside = (layer for layer in self._flatten_layers() if layer is not self)  # type: ignore[attr-defined]
        return all(layer.built for layer in inside)

    def _python_at_every_batch(self, kind: str) -> bool:
        if self._run_eagerly or self._jit_compile is False:
            return True
        if self._jit_compile is True:
            # The layers of a model that is never called are built by their first step.
            return not (self._defines_call() or self._layers_are_built())  # type: ignore[attr-defined]
        hooks = {"train": ["train_step", "compute_loss"], "test": ["test_step", "compute_loss"]}
        names = ["call", "compute_metrics", *hooks.get(kind, ["predict_step"])]
        return any(not getattr(type(self), name).__module__.startswith("cnnrs.") for name in names)

    # ---- what a step consists of; a subclass may define these

    def train_step(self, data: Any) -> Any:
        """Forward, loss, gradients, update and metrics of a batch; gives the logs."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=True)  # type: ignore[operator]
        loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True)
        self._track_loss(loss, x)
        variables = self.trainable_weights  # type: ignore[attr-defined]
        if variables:
            self.optimizer.apply(_core.gradients(loss, variables), variables)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def test_step(self, data: Any) -> Any:
        """Forward, loss and metrics of a batch; gives the logs."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)  # type: ignore[operator]
        loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=False)
        self._track_loss(loss, x)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def predict_step(self, data: Any) -> Any:
        """The outputs for a batch."""
        x, _, _ = unpack_x_y_sample_weight(data)
        return self(x, training=False)  # type: ignore[operator]

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
        compiled = self._compiled.get("loss")
        total = None
        if compiled is not None:
            if y is None:
                raise ValueError(f"{self.name}: the loss needs targets; expected y, received None")  # type: ignore[attr-defined]
            total = compiled(y, y_pred, sample_weight)
        for loss in self.losses:  # type: ignore[attr-defined]
            total = loss if total is None else total + loss
        if total is None:
            raise ValueError(
                f"{self.name}: no loss to train on: expected compile(loss=...) or layers that call add_loss"  # type: ignore[attr-defined]
            )
        return total

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Takes a batch into account in the metrics of `compile`; gives all values by name."""
        compiled = self._compiled.get("metrics")
        if compiled is not None and y is not None:
            compiled.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def _track_loss(self, loss: Any, x: Any) -> None:
        rows = float(tree.flatten(x)[0].shape[0])
        self._compiled["loss_tracker"].update_state(loss, sample_weight=rows)

    @property
    def metrics(self) -> list[Any]:
        """The loss's running mean, the metrics of `compile` as one, those of each output's loss, and those
        that belong to layers.
        """
        from cnnrs.layers.base import Layer

        found = [self._compiled["loss_tracker"]] if self.compiled else []
        if self._compiled.get("metrics") is not None:
            found.append(self._compiled["metrics"])
        if self._compiled.get("loss") is not None:
            found += self._compiled["loss"].metrics
        assert isinstance(self, Layer) and isinstance(Layer.metrics, property) and Layer.metrics.fget
        return found + Layer.metrics.fget(self)

    @property
    def metrics_names(self) -> list[str]:
        """Names of `metrics`."""
        return [metric.name for metric in self.metrics]

    def get_metrics_result(self) -> dict[str, Any]:
        """Values of all metrics, by name; of equal names, the second is `name_1`."""
        return results_of(self.metrics)

    def reset_metrics(self) -> None:
        """Metrics start afresh."""
        for metric in self.metrics:
            metric.reset_state()

    # ---- steps, recorded or not

    def _step(self, kind: str, structure: Any, leaves: list[Any], names: list[str]) -> Step:
        """The recorded step for batches of these shapes."""
        facts = tuple((a.shape, core_dtype(a)) for a in leaves)
        layout = repr(tree.map_structure(lambda a: None if a is None else 0, structure))
        key = (kind, layout, facts, _core.get_precision())
        with building(self):
            self._prepare(kind, structure)
            steps = self._compiled.setdefault("steps", Recent(_MAX_STEPS))
            step = steps.get(key)
            if step is None:
                function = {"train": self.train_step, "test": self.test_step, "predict": self.predict_step}[
                    kind
                ]
                step = steps[key] = Step.record(function, structure, facts, names)
                self._clear_losses()  # type: ignore[attr-defined]
        return step

    def _prepare(self, kind: str, structure: Any) -> None:
        """Makes weights and the optimizer's variables, so that recording finds them there.

        A step that runs in Python makes the weights itself, and `Optimizer.apply` then makes its variables.
        """
        called = self._defines_call()  # type: ignore[attr-defined]
        if not self.built and called and not self._python_at_every_batch(kind):  # type: ignore[attr-defined]
            one = tree.map_structure(lambda a: _core.tensor(a[:1]), structure[0])
            with _core.no_grad():
                self(one)  # type: ignore[operator]
        if kind == "train" and self.optimizer is not None and not self.optimizer.built:
            if (self.built or not called) and self._layers_are_built():  # type: ignore[attr-defined]
                self.optimizer.build(self.trainable_variables)  # type: ignore[attr-defined]

    def _run(self, kind: str, structure: Any) -> Any:
        """One batch, recorded or in Python; gives logs or predictions."""
        x, y, weight = structure
        leaves = [a for a in tree.flatten(list(structure)) if a is not None]
        if self._python_at_every_batch(kind):
            with building(self):
                self._prepare(kind, structure)
            function = {"train": self.train_step, "test": self.test_step, "predict": self.predict_step}[kind]
            return run_eagerly(self, function, structure)
        names = ["x"] * len(tree.flatten(x)) + ["y"] * len([a for a in tree.flatten(y) if a is not None])
        names += ["sample_weight"] * (len(leaves) - len(names))
        step = self._step(kind, structure, leaves, names)
        return step(leaves)

    # ---- fit

    @named
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
    ) -> Any:
        """Trains.

        Args:
            x: Arrays whose rows are samples (also lists and dicts of them), or an iterable of batches.
            y: Targets, if x is arrays.
            batch_size: Samples of a batch, by default 32, or what makes `steps_per_epoch` batches of arrays.
            epochs: The epoch to stop before, counted from 0.
            verbose: 0 silent, 1 progress bar, 2 a line per epoch; "auto" is 1 on terminals, else 2.
            callbacks: List of `cnnrs.callbacks.Callback`.
            validation_split: The part of the arrays, from their end, to validate on.
            validation_data: `(x, y)`, `(x, y, sample_weight)` or an iterable of batches to validate on.
            shuffle: Whether samples come in a new random order in each epoch.
            class_weight: Weight of the samples of each class, an integer; 1 for classes without one. Counts
                in training, not in validation.
            sample_weight: Weight of each sample.
            initial_epoch: The epoch to start with.
            steps_per_epoch: Batches of an epoch, if not all. The next epoch goes on with the batches after
                them; an epoch ends early, with a warning, where there are no more.
            validation_steps: Batches to validate on, if not all.
            validation_batch_size: Samples of a batch of validation.
            validation_freq: Validate every so many epochs, or in the epochs of a list, counted from 1.

        Returns:
            `History`: `history.history["loss"]` lists the loss of each epoch.
        """
        from cnnrs.callbacks import CallbackList
        from cnnrs.random import current_seed

        self._require_compiled("fit")
        epochs = integer(epochs, "fit", "epochs", least=0)
        initial_epoch = integer(initial_epoch, "fit", "initial_epoch", least=0)
        steps_per_epoch = check_steps(steps_per_epoch, "steps_per_epoch")
        validation_steps = check_steps(validation_steps, "validation_steps")
        data = make_data(x, y, sample_weight, batch_size, steps_per_epoch)
        validation: Any = None
        if validation_data is not None:
            vx, vy, vw = unpack_validation(validation_data)
            size = validation_batch_size or (batch_size if vy is not None else None)
            try:
                validation = make_data(vx, vy, vw, size, validation_steps)
            except (TypeError, ValueError) as error:
                raise type(error)(f"validation_data: {error}") from None
        elif validation_split:
            if not isinstance(data, ArrayData):
                raise ValueError("validation_split: expected x to be arrays")
            data, validation = data.split(
                validation_split, steps_per_epoch, validation_batch_size, validation_steps
            )
        # After the split: what is validated on is not weighted by class.
        if class_weight is not None:
            data = data.with_class_weight(class_weight)
        steps = steps_per_epoch or data.num_batches
        verbosity = resolve_verbosity(verbose)
        if not isinstance(callbacks, CallbackList):
            callbacks = CallbackList(
                callbacks,
                add_history=True,
                add_progbar=verbosity != 0,
                model=self,
                verbose=verbosity,
                epochs=epochs,
                steps=steps,
                seed=current_seed(),
            )
        self.stop_training = False
        source = Batches(data, steps, shuffle, self._shuffle_seed)
        callbacks.on_train_begin()
        logs: dict[str, Any] = {}
        for epoch in range(initial_epoch, epochs):
            self.reset_metrics()
            callbacks.on_epoch_begin(epoch)
            logs = self._run_epoch("train", source, callbacks, verbosity)
            if validation is not None and is_due(epoch + 1, validation_freq):
                values = self._evaluate(validation, validation_steps, callbacks, 0)
                logs = as_numbers({**logs, **{f"val_{name}": value for name, value in values.items()}})
            warn_of_nan(logs, epoch, self.name)  # type: ignore[attr-defined]
            callbacks.on_epoch_end(epoch, logs)
            if self.stop_training or source.exhausted:
                break
        if self.optimizer is not None and self.optimizer.built:
            self.optimizer.finalize_variable_values(self.trainable_weights)  # type: ignore[attr-defined]
        callbacks.on_train_end(logs)
        return self.history

    def _run_epoch(self, kind: str, source: Batches, callbacks: Any, verbosity: int) -> dict[str, Any]:
        """All batches of an epoch; gives the logs of the last one."""
        begin = getattr(callbacks, f"on_{kind}_batch_begin")
        end = getattr(callbacks, f"on_{kind}_batch_end")
        hooks = callbacks.has_batch_hooks
        source.start()
        data = source.data
        logs: Any = {}
        batch = 0
        if isinstance(data, ArrayData) and not self._python_at_every_batch(kind):
            assert source.order is not None
            full = len(source.order) // data.batch_size
            if full:
                structure, leaves = data.structure, data.arrays
                head = [a[: data.batch_size] for a in leaves]
                structure = tree.map_structure(
                    lambda a: None if a is None else a[: data.batch_size], structure
                )
                step = self._step(kind, structure, head, data.names)
                seconds = 0.1 if verbosity == 1 else 0.5
                while batch < full and not self.stop_training:
                    if hooks:
                        begin(batch)
                        last = min(full, batch + self.steps_per_execution)
                        batch, logs = step.run_batches(
                            leaves, source.order, data.batch_size, batch, last, 1e9
                        )
                    else:
                        batch, logs = step.run_batches(
                            leaves, source.order, data.batch_size, batch, full, seconds
                        )
                    if hooks or verbosity == 1:
                        logs = as_numbers(logs)
                        end(batch - 1, logs)
            source.skip(batch)
        for structure in source:
            if self.stop_training:
                break
            if hooks:
                begin(batch)
            logs = self._run(kind, structure)
            if hooks or verbosity == 1:
                logs = as_numbers(logs)
                end(batch, logs)
            batch += 1
        if batch == 0:
            raise ValueError("x: expected at least one batch, received none")
        return as_numbers(logs)

    # ---- evaluate

    @named
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Loss and metrics on data.

        Args:
            x: Arrays whose rows are samples, or an iterable of batches.
            y: Targets, if x is arrays.
            batch_size: Samples of a batch, by default 32, or what makes `steps` batches of arrays.
            verbose: 0 silent, 1 progress bar, 2 one line; "auto" is 1 on terminals, else 2.
            sample_weight: Weight of each sample.
            steps: Batches, if not all.
            callbacks: List of callbacks.
            return_dict: Whether to give a dict by name instead of a list.

        Returns:
            The loss if there is no metric, else a list of the loss, with several outputs each one's loss, and
            the metrics, or a dict.
        """
        reject(Trainer.evaluate, kwargs)
        self._require_compiled("evaluate")
        steps = check_steps(steps, "steps")
        data = make_data(x, y, sample_weight, batch_size, steps)
        values = self._evaluate(data, steps, callbacks, resolve_verbosity(verbose))
        return values if return_dict else in_order(values, self.metrics)

    def _evaluate(self, data: Any, steps: int | None, callbacks: Any, verbosity: int) -> dict[str, Any]:
        from cnnrs.callbacks import CallbackList

        count = steps or data.num_batches
        if not isinstance(callbacks, CallbackList):
            callbacks = CallbackList(
                callbacks, add_progbar=verbosity != 0, model=self, verbose=verbosity, epochs=1, steps=count
            )
        self.reset_metrics()
        callbacks.on_test_begin()
        stopping, self.stop_training = self.stop_training, False
        logs = self._run_epoch("test", Batches(data, count, False, None), callbacks, verbosity)
        self.stop_training = stopping or self.stop_training
        callbacks.on_test_end(logs)
        return logs

    # ---- predict

    @named
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The outputs for data, as numpy arrays.

        Args:
            x: Arrays whose rows are samples, or an iterable of batches.
            batch_size: Samples of a batch, by default 32, or what makes `steps` batches of arrays.
            verbose: 0 silent, 1 progress bar, 2 one line; "auto" is 1 on terminals, else 2.
            steps: Batches, if not all.
            callbacks: List of callbacks.
        """
        from cnnrs.callbacks import CallbackList

        steps = check_steps(steps, "steps")
        data = make_data(x, None, None, batch_size, steps)
        count = steps or data.num_batches
        verbosity = resolve_verbosity(verbose)
        if not isinstance(callbacks, CallbackList):
            callbacks = CallbackList(
                callbacks, add_progbar=verbosity == 1, model=self, verbose=verbosity, epochs=1, steps=count
            )
        callbacks.on_predict_begin()
        parts: list[Any] = []
        for batch, structure in enumerate(Batches(data, count, False, None).start()):
            callbacks.on_predict_batch_begin(batch)
            outputs = tree.map_structure(_to_numpy, self._run("predict", structure))
            parts.append(outputs)
            callbacks.on_predict_batch_end(batch, {"outputs": outputs})
        if not parts:
            raise ValueError("x: expected at least one batch, received none")
        callbacks.on_predict_end()
        if len(parts) == 1:
            return parts[0]
        return tree.map_structure(lambda *arrays: np.concatenate(arrays), *parts)

    # ---- single batches

    @named
    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """One step of training on one batch.

        Args:
            x: Samples.
            y: Targets.
            sample_weight: Weight of each sample.
            class_weight: Weight of the samples of each class.
            return_dict: Whether to give a dict by name instead of a list.

        Returns:
            Of this batch: the loss, or a list of it and the metrics as from `evaluate`, or a dict.
        """
        self._require_compiled("train_on_batch")
        data = ArrayData(x, y, sample_weight, None)
        if class_weight is not None:
            data = data.with_class_weight(class_weight)
        self.reset_metrics()
        logs = as_numbers(self._run("train", data.structure))
        return logs if return_dict else in_order(logs, self.metrics)

    @named
    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Loss and metrics on one batch, as `train_on_batch` but without training."""
        self._require_compiled("test_on_batch")
        self.reset_metrics()
        logs = as_numbers(self._run("test", ArrayData(x, y, sample_weight, None).structure))
        return logs if return_dict else in_order(logs, self.metrics)

    @named
    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch, as numpy arrays."""
        return tree.map_structure(_to_numpy, self._run("predict", ArrayData(x, None, None, None).structure))


def _to_numpy(value: Any) -> Any:
    return value.numpy() if hasattr(value, "numpy") else np.asarray(value)
