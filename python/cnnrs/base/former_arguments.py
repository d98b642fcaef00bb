"""Arguments of former versions of Keras, which books and older scripts give: what they are called today."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["hint_of"]

# Today's names by former ones; of several, the one that is meant is an argument of what was called.
_RENAMED = {
    "W_constraint": "kernel_constraint embeddings_constraint",
    "W_regularizer": "kernel_regularizer embeddings_regularizer",
    "alpha": "negative_slope",
    "alpha_initializer": "negative_slope_initializer",
    "atrous_rate": "dilation_rate",
    "b_constraint": "bias_constraint",
    "b_regularizer": "bias_regularizer",
    "beta_init": "beta_initializer",
    "batch_input_shape": "batch_shape",
    "bias": "use_bias",
    "border_mode": "padding",
    "dim_ordering": "data_format",
    "dropout_U": "recurrent_dropout",
    "dropout_W": "dropout",
    "dropout_rate": "rate",
    "epsilon": "min_delta",
    "gamma_init": "gamma_initializer",
    "init": "kernel_initializer embeddings_initializer",
    "inner_activation": "recurrent_activation",
    "inner_init": "recurrent_initializer",
    "input": "inputs",
    "length": "size",
    "lr": "learning_rate",
    "nb_epoch": "epochs",
    "nb_filter": "filters",
    "nb_val_samples": "validation_steps",
    "output": "outputs",
    "output_dim": "units",
    "p": "rate",
    "period": "save_freq",
    "pool_length": "pool_size",
    "samples_per_epoch": "steps_per_epoch",
    "sigma": "stddev",
    "smart_resize": "crop_to_aspect_ratio",
    "stride": "strides",
    "subsample": "strides",
    "subsample_length": "strides",
    "theta": "threshold",
    "val_samples": "steps",
}

# What to do instead of arguments that have no successor.
_LOADING = "there is no such argument since Keras 3; a keras.utils.PyDataset takes it"
_GONE = {
    "batch_input_shape": "give layers.Input(batch_shape=...) in front of the layer",
    "class_mode": "the loss says which kind of classes there are",
    "decay": "give a schedule of keras.optimizers.schedules as learning_rate",
    "experimental_run_tf_function": "leave it out",
    "fused": "leave it out: there is one form",
    "max_queue_size": _LOADING,
    "nb_col": "kernel_size has the height and the width",
    "nb_row": "kernel_size has the height and the width",
    "sample_weight_mode": "leave it out: weights with an axis for time steps are taken as they are",
    "show_accuracy": "give compile metrics=['accuracy']",
    "target_tensors": "give targets to fit",
    "time_major": "put the batch first",
    "use_multiprocessing": _LOADING,
    "virtual_batch_size": "use layers.GroupNormalization, or smaller batches",
    "weights": "call set_weights once the layer is built",
    "workers": _LOADING,
    "write_grads": "gradients are not written; leave it out",
}


def hint_of(name: str, known: Iterable[str]) -> str:
    """What to append to an error about an argument that only former versions of Keras had; else nothing.

    Args:
        name: The argument that was given.
        known: The arguments that there are.

    >>> hint_of("border_mode", ["filters", "kernel_size", "padding"])
    "; it is called 'padding' today"
    >>> hint_of("kernel_size", ["pool_size"])
    ''
    """
    known = set(known)
    for today in _RENAMED.get(name, "").split():
        if today in known:
            return f"; it is called {today!r} today"
    reason = _GONE.get(name)
    return f", which former versions of Keras had: {reason}" if reason else ""
