"""`Trainer`: `fit`, `evaluate`, `predict`, and the same on single batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnnrs import _core, tree
from cnnrs.base.arguments import integer, named, reject
from cnnrs.random import SeedGenerator, current_seed
from cnnrs.training.arguments import check_steps, is_due, limited_epochs, limited_steps, resolve_verbosity
from cnnrs.training.batch_statistics import followers, reestimate
from cnnrs.training.batches import Batches
from cnnrs.training.data_adapter import ArrayData, BatchData, make_data, make_fit_data
from cnnrs.training.device_loss import keep, recovered
from cnnrs.training.fit_state import Fit, Resumed, ResumedRunner
from cnnrs.training.logs import as_numbers, in_order, warn_of_nan
from cnnrs.training.loop import BatchHooks, run_epoch
from cnnrs.training.lr_find import LearningRates, range_test
from cnnrs.training.mixing import BatchMixing
from cnnrs.training.model_steps import Kind
from cnnrs.training.runner import StepRunner
from cnnrs.training.samples import Samples
from cnnrs.training.step_functions import StepFunctions

if TYPE_CHECKING:
    from cnnrs.callbacks import CallbackList

__all__ = ["Trainer"]


class Trainer(StepFunctions):
    """What every model can do with data."""

    _unowned = StepFunctions._unowned | {"_fit", "_shuffle_seed", "history"}

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self._shuffle_seed = SeedGenerator()
        self._initial_epoch = 0
        self._fit: Fit | None = None
        self.history: Any = None

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
        *,
        batch_augmentation: Any = None,
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
            batch_augmentation: `layers.MixUp` or `layers.CutMix`, which mixes the samples of each batch of
                training; of a list of them one is drawn for each batch. Labels may be integers or one-hot:
                the loss of a mixed sample is that of its two labels by their weights, metrics see the label
                of greater weight. Masks of the images' size are mixed as the images are. Validation sees
                samples as they are.

        Returns:
            `History`: `history.history["loss"]` lists the loss of each epoch.
        """
        self._require_compiled("fit")
        epochs = limited_epochs(integer(epochs, "fit", "epochs", least=0))
        initial_epoch = integer(initial_epoch, "fit", "initial_epoch", least=0)
        steps_per_epoch = check_steps(steps_per_epoch, "steps_per_epoch")
        validation_steps = check_steps(validation_steps, "validation_steps")
        mixing = BatchMixing.of(batch_augmentation, self.name)
        data, validation = make_fit_data(
            x,
            y,
            sample_weight,
            batch_size,
            steps_per_epoch,
            class_weight=class_weight,
            validation_data=validation_data,
            validation_split=validation_split,
            validation_steps=validation_steps,
            validation_batch_size=validation_batch_size,
        )
        steps = limited_steps(steps_per_epoch or data.num_batches)
        verbosity = resolve_verbosity(verbose)
        if self.optimizer is not None and self.optimizer.bind(steps, epochs, not initial_epoch):
            self._forget_recorded()
        callbacks = self._callback_list(
            callbacks,
            add_history=True,
            add_progbar=verbosity != 0,
            verbose=verbosity,
            epochs=epochs,
            steps=steps,
            seed=current_seed(),
            do_validation=validation is not None,
        )
        self.stop_training = False
        batches = Batches(data, steps, shuffle, self._shuffle_seed)
        self.make_train_function()
        self._initial_epoch = initial_epoch
        self._fit = fit = Fit(self, batches, callbacks, validation, mixing)
        callbacks.on_train_begin()
        # A callback may have taken up training that was interrupted.
        initial_epoch = self._initial_epoch
        if fit.resumed is not None:
            fit.resumed.restore_callbacks(callbacks)
            if self.stop_training:
                # It was interrupted when a callback had ended it.
                epochs = initial_epoch
        logs: dict[str, Any] = {}
        keep(self)
        for epoch in range(initial_epoch, epochs):
            self.reset_metrics()
            callbacks.on_epoch_begin(epoch)
            try:
                logs = self._run_train_epoch(fit, verbosity)
                keep(self)
            except _core.DeviceLostError as error:
                raise recovered(self, epoch, error) from error
            if validation is not None and is_due(epoch + 1, validation_freq):
                values = self._evaluate(validation, validation_steps, callbacks, 0)
                logs = as_numbers({**logs, **{f"val_{name}": value for name, value in values.items()}})
            warn_of_nan(logs, epoch, self.name)
            fit.ended = epoch, logs
            callbacks.on_epoch_end(epoch, logs)
            if self.stop_training or batches.exhausted:
                break
        if self.optimizer is not None and self.optimizer.built:
            self.optimizer.finalize_variable_values(self.trainable_weights)
        callbacks.on_train_end(logs)
        self._fit = None
        return self.history

    def _run_train_epoch(self, fit: Fit, verbosity: int) -> dict[str, Any]:
        """An epoch of training, in which batches are mixed as `fit` was told."""
        self._mixing = fit.mixing
        try:
            return self._run_epoch("train", fit.batches, fit.callbacks, verbosity, fit.take_resumed())
        finally:
            self._mixing = None

    def _reestimate(self, data: Any, steps: int | None, *, check: bool = False) -> None:
        """Computes moving statistics of batch normalisation anew.

        Args:
            data: The data; None takes those of the `fit` under way.
            steps: Batches to look at, if not all.
            check: Whether only to say whether that would work.

        Raises:
            ValueError: There are such statistics, and the data cannot be gone through again.
        """
        if not self.built or not followers(self):
            return
        if data is not None:
            source = make_data(data[0] if isinstance(data, tuple) else data, None, None, None, steps)
        elif self._fit is not None:
            source = self._fit.batches.data
        if isinstance(source, BatchData) and data is None and (source.once or source.num_batches is None):
            if source.once or steps is None:
                raise ValueError(
                    f"{self.name}: moving statistics are computed over the data anew, and those of fit "
                    "cannot be gone through again, or do not say how long they are; "
                    "expected data=..., or steps=..."
                )
        if not check:
            reestimate(self, source, steps)

    @named
    def lr_find(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        start_learning_rate: float = 1e-6,
        end_learning_rate: float = 10.0,
        steps: int = 100,
        smoothing: float = 0.9,
        stop_factor: float = 4.0,
        sample_weight: Any = None,
    ) -> LearningRates:
        """Trains for some steps at rising learning rates, and says which rate to take.

        The rates rise exponentially from batch to batch (Smith 2017, "Cyclical learning rates for training
        neural networks", arXiv:1506.01186, section 3.3). Afterwards weights, moving statistics, optimizer,
        metrics and random states are what they were, bit for bit. An iterable is left where the test ended.

        Args:
            x: Arrays whose rows are samples, or an iterable of batches.
            y: Targets, if x is arrays.
            batch_size: Samples of a batch, by default 32; None if x yields batches.
            start_learning_rate: The rate of the first batch.
            end_learning_rate: The rate of the last batch.
            steps: Batches of the test. Data that have fewer are gone through again, as a generator cannot be.
            smoothing: Weight of the past in the moving mean of the losses, whose bias is corrected. The mean
                takes in a fifth of the steps at most; 0 takes the losses for exact.
            stop_factor: The test ends when the smoothed loss is above this times its least value, or is not
                finite.
            sample_weight: Weight of each sample.

        Returns:
            `LearningRates`: `learning_rates`, `losses`, `suggestion`, `save("rates.svg")`, and `plot()`.
            Where the losses do not fall by more than they scatter, fewer than ten batches were trained or the
            loss rises at once, a warning says so. `problem` has it, and `suggestion` is then the rate that
            the optimizer has, but at most a tenth of the rate from which on the loss rises.

        Raises:
            ValueError: An argument is out of its range, the model has no optimizer of one rate, or none of
                the weights goes by it, a generator ends, or the loss is not finite at the first rate.

        >>> import numpy as np
        >>> import cnnrs
        >>> cnnrs.utils.set_random_seed(0)
        >>> model = cnnrs.Sequential([cnnrs.Input((4,)), cnnrs.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
        >>> found = model.lr_find(x, x.sum(1), steps=30)
        >>> 1e-6 < found.suggestion < 1.0
        True
        """
        self._require_compiled("lr_find")
        data = make_data(x, y, sample_weight)
        if batch_size is not None:
            if isinstance(data, BatchData):
                raise ValueError(
                    "lr_find: batch_size: expected None, for x yields batches that have their size, received "
                    f"{batch_size!r}"
                )
            data = make_data(x, y, sample_weight, batch_size)
        return range_test(self, data, start_learning_rate, end_learning_rate, steps, smoothing, stop_factor)

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
        return values if return_dict else in_order(values, self._result_names())

    def _evaluate(
        self, data: ArrayData | BatchData, steps: int | None, callbacks: Any, verbosity: int
    ) -> dict[str, Any]:
        steps = limited_steps(steps or data.num_batches)
        callbacks = self._callback_list(
            callbacks, add_progbar=verbosity != 0, verbose=verbosity, epochs=1, steps=steps
        )
        self.reset_metrics()
        self.stop_evaluating = False
        self.make_test_function()
        callbacks.on_test_begin()
        stopping, self.stop_training = self.stop_training, False
        logs = self._run_epoch("test", Batches(data, steps, False, None), callbacks, verbosity)
        self.stop_training = stopping or self.stop_training
        callbacks.on_test_end(logs)
        return logs

    def _run_epoch(
        self,
        kind: Kind,
        batches: Batches,
        callbacks: CallbackList,
        verbosity: int,
        resumed: Resumed | None = None,
    ) -> dict[str, Any]:
        """An epoch of training or evaluation; gives its logs.

        It ends when `stop_training` is set; evaluation also when `stop_evaluating` is.
        """
        if isinstance(batches.data, ArrayData):
            self._check_samples(batches.data.samples)
        # One line tells how many batches there were, which are counted where they are not known.
        counts = verbosity != 0 and callbacks.params.get("steps") is None
        hooks = BatchHooks(callbacks, kind, bar=verbosity == 1 or counts, at_once=self.steps_per_execution)

        def stop() -> bool:
            return self.stop_training or (kind == "test" and self.stop_evaluating)

        if resumed is None or not resumed.batches_done:
            return run_epoch(batches, StepRunner(self, kind), hooks, stop)
        return run_epoch(batches, ResumedRunner(self, kind, resumed), hooks, stop, resumed.logs)

    def _callback_list(self, callbacks: Any, **arguments: Any) -> CallbackList:
        from cnnrs.callbacks import CallbackList

        if isinstance(callbacks, CallbackList):
            return callbacks
        return CallbackList(callbacks, model=self, **arguments)

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
        steps = check_steps(steps, "steps")
        data = make_data(x, None, None, batch_size, steps)
        steps = limited_steps(steps or data.num_batches)
        verbosity = resolve_verbosity(verbose)
        callbacks = self._callback_list(
            callbacks, add_progbar=verbosity == 1, verbose=verbosity, epochs=1, steps=steps
        )
        self.stop_predicting = False
        self.make_predict_function()
        callbacks.on_predict_begin()
        outputs = _Outputs(StepRunner(self, "predict"))
        run_epoch(
            Batches(data, steps, False, None),
            outputs,
            BatchHooks(
                callbacks, "predict", bar=verbosity == 1, at_once=self.steps_per_execution, always=True
            ),
            lambda: self.stop_predicting,
        )
        callbacks.on_predict_end()
        return outputs.joined()

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
        return self._logs_of_batch("train", data, return_dict)

    @named
    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Loss and metrics on one batch, as `train_on_batch` but without training."""
        self._require_compiled("test_on_batch")
        return self._logs_of_batch("test", ArrayData(x, y, sample_weight, None), return_dict)

    def _logs_of_batch(self, kind: Kind, data: ArrayData, return_dict: bool) -> Any:
        self.reset_metrics()
        runner = StepRunner(self, kind)
        logs = runner.logs(runner.group([data.samples]))
        return logs if return_dict else in_order(logs, self._result_names())

    @named
    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch, as numpy arrays."""
        outputs = StepRunner(self, "predict").array(x)
        return _to_numpy(outputs) if type(outputs) is _core.Tensor else tree.map_structure(_to_numpy, outputs)


class _Outputs:
    """Runs batches and keeps the outputs of each, as numpy arrays.

    A device is at work on the last batch while the outputs of the one before are read.
    """

    def __init__(self, runner: StepRunner):
        self._runner = runner
        self._batches: list[Any] = []

    def group(self, batches: list[Samples]) -> Any:
        if self._runner.model._own_function("predict") is not None:
            self._batches.append(tree.map_structure(_to_numpy, self._runner.group(batches)))
            return self._batches[-1]
        for samples in batches:
            outputs = self._runner.one(samples)
            self._read_last()
            self._batches.append(outputs)
        if len(batches) == 1:
            return outputs
        self._read_last()
        return _joined(self._batches[-len(batches) :])

    def many(self, head: Samples) -> None:
        """Nothing: a call that runs many batches gives the outputs of the last one alone."""

    def logs(self, outcome: Any) -> dict[str, Any]:
        return {"outputs": outcome}

    def _read_last(self) -> None:
        if self._batches:
            self._batches[-1] = tree.map_structure(_to_numpy, self._batches[-1])

    def joined(self) -> Any:
        """The outputs of all batches."""
        self._read_last()
        return _joined(self._batches)


def _joined(batches: list[Any]) -> Any:
    """Outputs of batches, one after the other."""
    if len(batches) == 1:
        return batches[0]
    return tree.map_structure(lambda *arrays: np.concatenate(arrays), *batches)


def _to_numpy(value: Any) -> Any:
    return np.asarray(value.numpy()) if hasattr(value, "numpy") else np.asarray(value)
