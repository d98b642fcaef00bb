"""`tf.data.experimental`: what became methods of data sets, by the names that it had before.

>>> import cnnrs.compat.tf as tf
>>> int(tf.data.experimental.cardinality(tf.data.Dataset.range(3)))
3
>>> data = tf.data.Dataset.range(5).apply(tf.data.experimental.take_while(lambda x: x < 2))
>>> [int(x) for x in data]
[0, 1]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnrs.compat.tf.namespaces import unknown
from cnnrs.data import (
    AUTOTUNE,
    INFINITE_CARDINALITY,
    UNKNOWN_CARDINALITY,
    AutoShardPolicy,
    Dataset,
)
from cnnrs.data.csv_rows import CsvDataset, make_csv_dataset
from cnnrs.data.ordering import count_of

__all__ = [
    "AUTOTUNE",
    "AutoShardPolicy",
    "Counter",
    "CsvDataset",
    "INFINITE_CARDINALITY",
    "RandomDataset",
    "UNKNOWN_CARDINALITY",
    "assert_cardinality",
    "bucket_by_sequence_length",
    "cardinality",
    "choose_from_datasets",
    "copy_to_device",
    "enumerate_dataset",
    "get_single_element",
    "group_by_window",
    "ignore_errors",
    "load",
    "make_csv_dataset",
    "map_and_batch",
    "parallel_interleave",
    "prefetch_to_device",
    "rejection_resample",
    "sample_from_datasets",
    "save",
    "scan",
    "shuffle_and_repeat",
    "take_while",
    "unbatch",
    "unique",
]

Transformation = Callable[[Any], Any]

choose_from_datasets = Dataset.choose_from_datasets
sample_from_datasets = Dataset.sample_from_datasets
RandomDataset = Dataset.random
load = Dataset.load


def Counter(start: Any = 0, step: Any = 1, dtype: Any = "int64") -> Any:
    """Numbers from a start on, without end: `Dataset.counter`."""
    return Dataset.counter(start, step, dtype)


def cardinality(dataset: Any) -> Any:
    """The number of elements of a data set: `dataset.cardinality()`."""
    return dataset.cardinality()


def get_single_element(dataset: Any) -> Any:
    """The only element of a data set."""
    return dataset.get_single_element()


def save(dataset: Any, path: Any) -> None:
    """Writes the elements of a data set to a folder."""
    dataset.save(path)


def assert_cardinality(expected_cardinality: Any) -> Transformation:
    """For `apply`: the same elements, of which there are as many as is said.

    Raises:
        ValueError: While elements come: there are fewer or more.
    """
    expected = count_of(expected_cardinality, "assert_cardinality", "expected_cardinality", -1)

    def transformation(dataset: Any) -> Any:
        def counted(peek: bool) -> Any:
            count = 0
            for element in dataset._open(peek):
                count += 1
                if expected >= 0 and count > expected:
                    break
                yield element
            if not peek and expected >= 0 and count != expected:
                more = "more" if count > expected else f"{count}"
                raise ValueError(f"assert_cardinality: expected {expected} elements, found {more}")
            if not peek and expected == INFINITE_CARDINALITY:
                raise ValueError(f"assert_cardinality: expected elements without end, found {count}")

        return Dataset(counted, expected, dataset._known_spec, sources=(dataset,))

    return transformation


def bucket_by_sequence_length(*args: Any, **kwargs: Any) -> Transformation:
    """For `apply`: `Dataset.bucket_by_sequence_length` with these arguments."""
    return lambda dataset: dataset.bucket_by_sequence_length(*args, **kwargs)


def group_by_window(*args: Any, **kwargs: Any) -> Transformation:
    """For `apply`: `Dataset.group_by_window` with these arguments."""
    return lambda dataset: dataset.group_by_window(*args, **kwargs)


def ignore_errors(log_warning: bool = False) -> Transformation:
    """For `apply`: `Dataset.ignore_errors`."""
    return lambda dataset: dataset.ignore_errors(log_warning)


def map_and_batch(
    map_func: Any, batch_size: Any, num_parallel_calls: Any = None, drop_remainder: bool = False
) -> Transformation:
    """For `apply`: `Dataset.map`, then `Dataset.batch`."""
    return lambda dataset: dataset.map(map_func, num_parallel_calls).batch(batch_size, drop_remainder)


def parallel_interleave(map_func: Any, cycle_length: Any, block_length: Any = 1) -> Transformation:
    """For `apply`: `Dataset.interleave` with as many threads as data sets take turns."""
    return lambda dataset: dataset.interleave(map_func, cycle_length, block_length, cycle_length)


def rejection_resample(class_func: Any, target_dist: Any, initial_dist: Any = None, seed: Any = None) -> Any:
    """For `apply`: `Dataset.rejection_resample`."""
    return lambda dataset: dataset.rejection_resample(class_func, target_dist, initial_dist, seed)


def scan(initial_state: Any, scan_func: Any) -> Transformation:
    """For `apply`: `Dataset.scan`."""
    return lambda dataset: dataset.scan(initial_state, scan_func)


def shuffle_and_repeat(buffer_size: Any, count: Any = None, seed: Any = None) -> Transformation:
    """For `apply`: `Dataset.shuffle`, then `Dataset.repeat`."""
    return lambda dataset: dataset.shuffle(buffer_size, seed).repeat(count)


def take_while(predicate: Any) -> Transformation:
    """For `apply`: `Dataset.take_while`."""
    return lambda dataset: dataset.take_while(predicate)


def unbatch() -> Transformation:
    """For `apply`: `Dataset.unbatch`."""
    return lambda dataset: dataset.unbatch()


def unique() -> Transformation:
    """For `apply`: `Dataset.unique`."""
    return lambda dataset: dataset.unique()


def enumerate_dataset(start: Any = 0) -> Transformation:
    """For `apply`: `Dataset.enumerate`."""
    return lambda dataset: dataset.enumerate(start)


def prefetch_to_device(device: str, buffer_size: Any = None) -> Transformation:
    """For `apply`: `Dataset.prefetch`; a step brings its batch to its device itself.

    Raises:
        ValueError: There is no such device.
    """
    _known(device, "prefetch_to_device")
    return lambda dataset: dataset.prefetch(AUTOTUNE if buffer_size is None else buffer_size)


def copy_to_device(target_device: str, source_device: str = "/cpu:0") -> Transformation:
    """For `apply`: the same elements; a step brings its batch to its device itself.

    Raises:
        ValueError: There is no such device.
    """
    _known(target_device, "copy_to_device")
    _known(source_device, "copy_to_device")
    return lambda dataset: dataset.prefetch(0)


def _known(device: str, where: str) -> None:
    from cnnrs.base.devices import devices

    name = str(device).lower().rpartition("device:")[2].strip("/")
    known = [found.name for found in devices()]
    if name not in {*known, *(n.split(":")[0] for n in known)}:
        raise ValueError(f"{where}: device: expected one of {', '.join(known)}, received {device!r}")


__getattr__ = unknown(
    "tf.data.experimental",
    {
        "SqlDataset": "read tables with pandas and make a data set with from_tensor_slices",
        "dense_to_ragged_batch dense_to_sparse_batch": "use Dataset.padded_batch",
        "make_batched_features_dataset parse_example_dataset": "use TFRecordDataset with tf.io.parse_example",
        "TFRecordWriter": "tf.io.TFRecordWriter writes records",
        "OptimizationOptions DistributeOptions ThreadingOptions AutotuneOptions AutotuneAlgorithm "
        "ExternalStatePolicy": "Options has their fields that mean something here",
        "make_saveable_from_iterator": "save the model, and skip the elements that were seen",
        "snapshot": "Dataset.cache(filename) keeps elements on disk",
        "service": "there is one machine",
        "table_from_dataset index_table_from_dataset": "use tf.lookup or layers.StringLookup",
    },
    __all__,
)
