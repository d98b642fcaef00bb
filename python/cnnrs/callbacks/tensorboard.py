"""`TensorBoard`: logs, weights and the graph of layers in the files that TensorBoard shows."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from cnnrs.base.arguments import integer
from cnnrs.base.user_warnings import warn_user
from cnnrs.callbacks.callback import Callback
from cnnrs.callbacks.learning_rates import log_rates

__all__ = ["TensorBoard"]


class TensorBoard(Callback):
    """Writes logs for TensorBoard, as Keras names them: `epoch_loss` below `train` and `validation`.

    It needs the extra `cnnrs[tensorboard]`.

    Args:
        log_dir: The folder.
        histogram_freq: Epochs between histograms of the weights; 0 for none.
        write_graph: Whether the layers of a functional or Sequential model are written.
        write_images: Whether weights are written as images beside their histograms.
        write_steps_per_second: Whether the steps a second of epochs, and of batches as `update_freq` says,
            are.
        update_freq: "epoch", "batch", or the number of batches after which the logs of a batch are written.
        profile_batch: 0; `cnnrs.utils.profile` measures what takes how long.
        embeddings_freq: 0; there is no projector.
        embeddings_metadata: None.

    Raises:
        ImportError: The extra is not installed.
        ValueError: An argument is none of these.

    Example:

    >>> from cnnrs import callbacks
    >>> board = callbacks.TensorBoard("logs", histogram_freq=1)  # doctest: +SKIP
    >>> model.fit(x, y, callbacks=[board])  # doctest: +SKIP
    """

    def __init__(
        self,
        log_dir: Any = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: Any = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ):
        super().__init__()
        if profile_batch:
            raise ValueError(
                f"TensorBoard: profile_batch: expected 0, received {profile_batch!r}; cnnrs.utils.profile "
                "measures the steps of a model"
            )
        if embeddings_freq or embeddings_metadata:
            raise ValueError(
                "TensorBoard: embeddings_freq: expected 0; the projector's files are not written"
            )
        self._library()
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = integer(histogram_freq, self, "histogram_freq", least=0)
        self.write_graph, self.write_images = write_graph, write_images
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = 1 if update_freq == "batch" else update_freq
        if self.update_freq != "epoch":
            integer(self.update_freq, self, "update_freq", least=1)
        self._train_dir = os.path.join(self.log_dir, "train")
        self._val_dir = os.path.join(self.log_dir, "validation")
        self._writers: dict[str, Any] = {}
        self._batch, self._began, self._steps = 0, 0.0, 0
        self._looks_at_batches = self.update_freq != "epoch"

    @staticmethod
    def _library() -> Any:
        try:
            import tensorboardX  # type: ignore[import-untyped,unused-ignore]
        except ImportError as error:
            raise ImportError(
                "TensorBoard: tensorboardX is not there; install it with: pip install 'cnnrs[tensorboard]'"
            ) from error
        return tensorboardX

    def _writer(self, folder: str) -> Any:
        if folder not in self._writers:
            self._writers[folder] = self._library().SummaryWriter(folder)
        return self._writers[folder]

    @property
    def _train_writer(self) -> Any:
        return self._writer(self._train_dir)

    @property
    def _val_writer(self) -> Any:
        return self._writer(self._val_dir)

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        self._writers = {}
        if self.write_graph and type(model).__name__ in ("Functional", "Sequential", "Model"):
            self._write_layers()

    def _write_layers(self) -> None:
        """The config of the model, from which TensorBoard draws the layers."""
        try:
            text = self.model.to_json()
        except Exception as error:  # whatever the user's layers raise
            warn_user(f"TensorBoard: the layers are not written: {error}")
            return
        proto = self._library().proto
        Summary, SummaryMetadata = proto.summary_pb2.Summary, proto.summary_pb2.SummaryMetadata
        TensorProto = proto.tensor_pb2.TensorProto
        plugin = SummaryMetadata.PluginData(plugin_name="graph_keras_model", content=b"1")
        tensor = TensorProto(dtype=7, string_val=[text.encode()])
        value = Summary.Value(tag="keras", metadata=SummaryMetadata(plugin_data=plugin), tensor=tensor)
        self._train_writer.file_writer.add_summary(Summary(value=[value]), 0)

    def on_train_begin(self, logs: Any = None) -> None:
        self._batch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self.write_steps_per_second:
            self._began, self._steps = time.perf_counter(), int(self.model.optimizer.iterations)
        self._batch_began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._batch += 1
        now = time.perf_counter()
        if self.update_freq != "epoch" and self._batch % self.update_freq == 0:
            values = {f"batch_{name}": value for name, value in (logs or {}).items()}
            if self.write_steps_per_second:
                values["batch_steps_per_second"] = 1.0 / max(now - self._batch_began, 1e-9)
            self._write(self._train_writer, values, self._batch)
        self._batch_began = now

    def on_test_end(self, logs: Any = None) -> None:
        optimizer = self.model.optimizer
        if optimizer is not None and logs:
            names = {f"evaluation_{name}_vs_iterations": value for name, value in logs.items()}
            self._write(self._val_writer, names, int(optimizer.iterations))
            self._val_writer.flush()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = logs or {}
        train = {name: value for name, value in logs.items() if not name.startswith("val_")}
        validation = {name[4:]: value for name, value in logs.items() if name.startswith("val_")}
        self._collect_learning_rate(train)
        if self.write_steps_per_second:
            steps = int(self.model.optimizer.iterations) - self._steps
            train["steps_per_second"] = steps / max(time.perf_counter() - self._began, 1e-9)
        self._write(self._train_writer, {f"epoch_{n}": v for n, v in train.items()}, epoch)
        if validation:
            self._write(self._val_writer, {f"epoch_{n}": v for n, v in validation.items()}, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, logs: Any = None) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _collect_learning_rate(self, logs: dict[str, Any]) -> dict[str, Any]:
        optimizer = self.model.optimizer
        if optimizer is not None:
            log_rates(optimizer, logs)
        return logs

    @staticmethod
    def _write(writer: Any, values: dict[str, Any], step: int) -> None:
        for name, value in values.items():
            writer.add_scalar(name, float(np.asarray(value)), step)

    def _write_weights(self, epoch: int) -> None:
        for layer in self.model.layers:
            for weight in layer.weights:
                values = np.asarray(weight.value.astype("float32"))
                self._train_writer.add_histogram(f"{weight.path}/histogram", values, epoch)
                image = _as_images(values) if self.write_images else None
                if image is not None:
                    name = f"{weight.path}/image"
                    self._train_writer.add_images(name, image, epoch, dataformats="NHWC")


def _as_images(values: np.ndarray) -> np.ndarray | None:
    """Weights as images (n, height, width, 1) of 0..1; None for more axes."""
    values = np.squeeze(values)
    if values.ndim > 3:
        return None
    if values.ndim < 2:
        values = values.reshape(1, -1)
    elif values.ndim == 2 and values.shape[0] > values.shape[1]:
        values = values.T
    elif values.ndim == 3:
        values = values.transpose(2, 0, 1)
    low, high = float(values.min()), float(values.max())
    values = (values - low) / ((high - low) or 1.0)
    return values.reshape((-1, *values.shape[-2:], 1))
