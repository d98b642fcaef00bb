"""Callbacks that keep training safe, and that change which weights are seen."""

from __future__ import annotations

import json
import os
import shutil
from typing import Any

import numpy as np

from cnnrs import _core
from cnnrs.base.arguments import file_path, integer
from cnnrs.base.dtypes import FLOAT, STORED
from cnnrs.callbacks.callback import Callback
from cnnrs.callbacks.learning_rates import single
from cnnrs.serialization.copies import restore_training, training_state

__all__ = ["BackupAndRestore", "SwapEMAWeights"]


class BackupAndRestore(Callback):
    """Keeps the state of training in a folder, from which an interrupted `fit` goes on with the same bits.

    The next `fit` with the same model and folder takes up weights, optimizer, the order of the data and the
    states of generators, metrics and callbacks, and goes on with the batch after the last that was kept. Once
    training has ended the folder is deleted. A `data.Dataset` that is made by the same steps has the same
    orders and draws again, and goes on at that batch; another iterable is gone through anew up to it. What
    data sets of your own keep is not part of the state, and of your callbacks what `training_state` gives.

    Args:
        backup_dir: The folder. It is made; nothing else may be in it.
        save_freq: "epoch", or the number of batches after which the state is kept.
        double_checkpoint: Whether the state before the last one is kept, too, for the case that this is
            damaged.
        delete_checkpoint: Whether the folder is deleted at the end.

    Raises:
        ValueError: An argument is none of these; or, in `fit`, the model is not built, or the state is that
            of another model.

    >>> import os, tempfile
    >>> import numpy as np
    >>> import cnnrs
    >>> model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     backup = cnnrs.callbacks.BackupAndRestore(os.path.join(folder, "backup"))
    ...     history = model.fit(np.ones((4, 2)), np.ones(4), epochs=2, verbose=0, callbacks=[backup])
    ...     os.listdir(folder)
    []
    """

    _keeps_others = True

    def __init__(
        self,
        backup_dir: Any,
        save_freq: Any = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ):
        super().__init__()
        if not backup_dir:
            raise ValueError(f"BackupAndRestore: Empty `backup_dir` argument passed: {backup_dir!r}")
        if save_freq != "epoch" and (isinstance(save_freq, bool) or not isinstance(save_freq, int)):
            raise ValueError(
                f"BackupAndRestore: save_freq: Invalid value {save_freq!r}; expected 'epoch' or an integer"
            )
        if save_freq != "epoch":
            integer(save_freq, self, "save_freq", least=1)
        self.backup_dir = file_path(backup_dir, self)
        self.save_freq, self.double_checkpoint = save_freq, double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._path = os.path.join(self.backup_dir, "latest.safetensors")
        self._previous_path = os.path.join(self.backup_dir, "previous.safetensors")
        self._batches, self._last_batch_seen, self._current_epoch = 0, 0, 0
        self._logs: dict[str, Any] = {}
        self._looks_at_batches = save_freq != "epoch"

    def on_train_begin(self, logs: Any = None) -> None:
        if not self.model.built:
            raise ValueError(
                f"BackupAndRestore: expected a model that is built before fit, received {self.model!r}; "
                "give it an Input, or call it on a batch"
            )
        for path in (self._path, self._previous_path):
            if not os.path.exists(path):
                continue
            try:
                tensors, metadata, _ = _core.load_safetensors(path)
            except (OSError, ValueError):
                if path == self._previous_path or not os.path.exists(self._previous_path):
                    raise
                continue
            if "training" not in metadata:
                raise ValueError(f"BackupAndRestore: {path} holds no state of training; delete it")
            self._restore(tensors, json.loads(metadata["training"]), path)
            return

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._current_epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._last_batch_seen, self._logs = batch, dict(logs or {})
        if self.save_freq == "epoch":
            return
        self._batches += 1
        if self._batches >= self.save_freq:
            self._batches = 0
            self._save(batch + 1)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._current_epoch, self._last_batch_seen = epoch + 1, 0
        if self.save_freq == "epoch":
            self._save(0)

    def on_train_end(self, logs: Any = None) -> None:
        if self.delete_checkpoint and os.path.exists(self.backup_dir):
            shutil.rmtree(self.backup_dir)

    def _save(self, done: int) -> None:
        """Writes all state into one file, which takes the place of the last one when it is whole.

        Args:
            done: Batches of the epoch under way that have been run.
        """
        tensors = {f"model/{i}": _array(v) for i, v in enumerate(self._variables())}
        own: list[list[Any]] = []
        for i, layer in enumerate(self._with_own_state()):
            store: dict[str, Any] = {}
            layer.save_own_variables(store)
            for key, value in store.items():
                array = np.asarray(value)
                own.append([i, key, array.dtype.str, list(array.shape)])
                tensors[f"own/{len(own) - 1}"] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        optimizer, shuffle, state = training_state(self.model)
        tensors |= {f"optimizer/{key}": np.asarray(value) for key, value in (optimizer or {}).items()}
        tensors["shuffle"] = np.asarray(state)
        training = {
            "epoch": self._current_epoch,
            "batch": self._last_batch_seen,
            "own": own,
            "has_optimizer": optimizer is not None,
            "shuffle": shuffle,
            "done": done,
            "logs": self._logs if done else {},
            "save_counter": self._batches,
        }
        if self.model._fit is not None:
            training["fit"] = self.model._fit.state(tensors, bool(done))
        os.makedirs(self.backup_dir, exist_ok=True)
        if self.double_checkpoint and os.path.exists(self._path):
            shutil.copyfile(self._path, f"{self._previous_path}.new")
            os.replace(f"{self._previous_path}.new", self._previous_path)
        _core.save_safetensors(self._path, tensors, {"training": json.dumps(training)})

    def _restore(self, tensors: dict[str, np.ndarray], training: dict[str, Any], path: str) -> None:
        """Takes up training: its epoch, its batch and all state."""
        self._restore_values(tensors, training, path)
        self.model._initial_epoch = training["epoch"]
        if self.model._fit is not None and "fit" in training:
            self._batches = training["save_counter"]
            state, done, logs = training["fit"], training["done"], training["logs"]
            self.model._fit.resume(
                state, tensors, done, logs, lambda: self._restore_values(tensors, training, path)
            )

    def _restore_values(self, tensors: dict[str, np.ndarray], training: dict[str, Any], path: str) -> None:
        """Sets weights, layers' own state, the optimizer and the generator of orders."""
        variables = self._variables()
        values = [tensors.get(f"model/{i}") for i in range(len(variables))]
        if f"model/{len(variables)}" in tensors or any(
            value is None or tuple(value.shape) != tuple(variable.shape)
            for value, variable in zip(values, variables, strict=True)
        ):
            raise ValueError(
                f"BackupAndRestore: {path} is the state of another model; delete it, or give another "
                f"backup_dir"
            )
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        stores: dict[int, dict[str, Any]] = {}
        for place, (i, key, dtype, shape) in enumerate(training["own"]):
            raw = np.ascontiguousarray(tensors[f"own/{place}"])
            stores.setdefault(i, {})[key] = raw.view(np.dtype(dtype)).reshape(shape).copy()
        layers = self._with_own_state()
        for i, store in stores.items():
            layers[i].load_own_variables(store)
        if training["has_optimizer"]:
            prefix = "optimizer/"
            store = {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
            restore_training(self.model, store)
        self.model._shuffle_seed.state.assign(tensors["shuffle"])

    def _variables(self) -> list[Any]:
        found = {variable.id: variable for variable in self.model.variables}
        return list(found.values())

    def _with_own_state(self) -> list[Any]:
        return [layer for layer in self.model._flatten_layers() if layer._keeps_own_state()]


def _array(variable: Any) -> np.ndarray:
    """The value; of 16 bits as float32, which holds it."""
    return np.asarray(variable.value.astype(FLOAT) if variable.dtype in STORED else variable)


def _array_of(value: Any) -> np.ndarray:
    return np.asarray(value.astype("float32").numpy())


class SwapEMAWeights(Callback):
    """Puts the moving averages of the weights into the model while it evaluates or predicts.

    The optimizer, or one of those of a `MultiOptimizer`, must have `use_ema=True`.

    Args:
        swap_on_epoch: Whether the averages are in the model from the end of an epoch to the beginning of the
            next one, too, so that callbacks after this one save them.

    Raises:
        ValueError: At the first swap: no optimizer has averages.

    >>> import numpy as np
    >>> import cnnrs
    >>> model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
    >>> model.compile(cnnrs.optimizers.SGD(use_ema=True), "mse", metrics=["mse"])
    >>> x, y, swap = np.ones((4, 2)), np.ones(4), cnnrs.callbacks.SwapEMAWeights()
    >>> history = model.fit(x, y, verbose=0, validation_data=(x, y), callbacks=[swap])
    >>> sorted(history.history)
    ['loss', 'mse', 'val_loss', 'val_mse']
    """

    def __init__(self, swap_on_epoch: bool = False):
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._ema_weights_in_model = False
        self._averages: list[Any] = []

    def training_state(self) -> dict[str, Any]:
        kept = {f"average/{i}": _array_of(value) for i, (_, value) in enumerate(self._averages)}
        return {"inside": self._ema_weights_in_model, **kept}

    def load_training_state(self, state: dict[str, Any]) -> None:
        self._ema_weights_in_model = state["inside"]
        if len(state) > 1:
            pairs = enumerate(self._pairs())
            self._averages = [(v, _core.tensor(state[f"average/{i}"])) for i, (v, _) in pairs]

    def _pairs(self) -> list[tuple[Any, Any]]:
        """Weights with their averages."""
        averaging = [one for one, _ in single(self.model.optimizer) if one.use_ema and one.built]
        if not averaging:
            raise ValueError(
                "SwapEMAWeights must be used when `use_ema=True` is set on the optimizer, and after its "
                f"first step; received {self.model.optimizer!r}"
            )
        return [
            pair for one in averaging for pair in zip(one._trainable_variables, one._averages, strict=True)
        ]

    def _swap(self, inside: bool) -> None:
        """Swaps so that the averages are in the model or not."""
        if self._ema_weights_in_model == inside:
            return
        for variable, average in self._pairs():
            own, averaged = variable.value, average.value
            variable.assign(averaged.astype(variable.dtype))
            average.assign(own.astype(average.dtype))
        self._ema_weights_in_model = inside

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self.swap_on_epoch:
            self._swap(False)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.swap_on_epoch:
            self._swap(True)
            # At the end `fit` makes the averages the weights. Which epoch is the last nobody knows yet.
            self._averages = [(variable, variable.value) for variable, _ in self._pairs()]

    def on_train_end(self, logs: Any = None) -> None:
        if self._ema_weights_in_model:
            for (variable, average), (_, value) in zip(self._pairs(), self._averages, strict=True):
                variable.assign(value)
                average.assign(value.astype(average.dtype))
            self._ema_weights_in_model = False
        self._averages = []

    def on_test_begin(self, logs: Any = None) -> None:
        self._swap(True)

    def on_test_end(self, logs: Any = None) -> None:
        self._swap(False)

    def on_predict_begin(self, logs: Any = None) -> None:
        self._swap(True)

    def on_predict_end(self, logs: Any = None) -> None:
        self._swap(False)
