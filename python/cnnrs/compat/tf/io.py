"""`tf.io`: files, images as bytes, records and messages.

>>> import tempfile
>>> import cnnrs.compat.tf as tf
>>> with tempfile.TemporaryDirectory() as folder:
...     image = tf.zeros((4, 6, 3), tf.uint8)
...     tf.io.write_file(folder + "/a.png", tf.io.encode_png(image))
...     tf.io.decode_png(tf.io.read_file(folder + "/a.png")).shape
(4, 6, 3)
"""

from __future__ import annotations

import base64
import csv
import os
from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.compat.tf import gfile as gfile
from cnnrs.compat.tf.arguments import boolean, integer
from cnnrs.compat.tf.dtypes import as_dtype
from cnnrs.compat.tf.examples import (
    FixedLenFeature,
    FixedLenSequenceFeature,
    VarLenFeature,
    parse_example,
    parse_single_example,
    parse_single_sequence_example,
    parse_tensor,
    serialize_tensor,
)
from cnnrs.compat.tf.gfile import local
from cnnrs.compat.tf.namespaces import operation, unknown
from cnnrs.compat.tf.pictures import (
    decode_and_crop_jpeg,
    decode_bmp,
    decode_gif,
    decode_image,
    decode_jpeg,
    decode_png,
    encode_jpeg,
    encode_png,
    extract_jpeg_shape,
    is_jpeg,
)
from cnnrs.data.csv_rows import Column
from cnnrs.data.elements import as_leaf, for_user
from cnnrs.data.records import RecordWriter as TFRecordWriter
from cnnrs.data.records import compression_of, new_file
from cnnrs.data.strings import StringTensor, as_bytes

__all__ = [
    "FixedLenFeature",
    "FixedLenSequenceFeature",
    "TFRecordOptions",
    "TFRecordWriter",
    "VarLenFeature",
    "decode_and_crop_jpeg",
    "decode_base64",
    "decode_bmp",
    "decode_csv",
    "decode_gif",
    "decode_image",
    "decode_jpeg",
    "decode_png",
    "decode_raw",
    "encode_base64",
    "encode_jpeg",
    "encode_png",
    "extract_jpeg_shape",
    "gfile",
    "is_jpeg",
    "matching_files",
    "parse_example",
    "parse_single_example",
    "parse_single_sequence_example",
    "parse_tensor",
    "read_file",
    "serialize_tensor",
    "write_file",
]


class TFRecordOptions:
    """How a file of records is compressed.

    Attributes:
        compression_type: "", "GZIP" or "ZLIB".
    """

    def __init__(self, compression_type: Any = None):
        self.compression_type = compression_of(compression_type, "TFRecordOptions")


@operation
def read_file(filename: Any) -> Any:
    """The bytes of a file, as a `StringTensor` without axes.

    Raises:
        FileNotFoundError: There is no such file.
    """
    with open(local(filename, "read_file"), "rb") as file:
        return StringTensor(file.read())


@operation
def write_file(filename: Any, contents: Any) -> None:
    """Writes bytes or text as a file, in folders that are made. A file gets its name when it is whole.

    Raises:
        OSError: There is no room, or the file must not be replaced; what lay there stays.
        TypeError: The contents are no text.
    """
    path, data = local(filename, "write_file"), as_bytes(contents)
    if folder := os.path.dirname(path):
        os.makedirs(folder, exist_ok=True)
    file, temporary = new_file(path)
    try:
        with file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


@operation
def matching_files(pattern: Any) -> Any:
    """The paths that match a pattern, or one of several, as a `StringTensor`."""
    leaf = as_leaf(pattern, "tf.io.matching_files: pattern")
    return StringTensor(gfile.glob(leaf.reshape(-1).tolist()))


@operation
def decode_raw(input_bytes: Any, out_type: Any, little_endian: bool = True, fixed_length: Any = None) -> Any:
    """The numbers that bytes are.

    Args:
        input_bytes: Texts of one length.
        out_type: The type of the numbers.
        little_endian: Whether the first byte of a number is its least.
        fixed_length: The number of bytes to which texts are cut, or padded with zeros; None for theirs.

    Returns:
        Tensor with a last axis for the numbers of a text.

    Raises:
        ValueError: Texts have different lengths, or such as are no multiple of a number's.
    """
    texts = as_leaf(input_bytes, "tf.io.decode_raw: input_bytes")
    if not isinstance(texts, StringTensor):
        raise TypeError(f"tf.io.decode_raw: input_bytes: expected text, received {input_bytes!r}")
    order = "<" if boolean(little_endian, "io.decode_raw", "little_endian") else ">"
    kind = np.dtype(as_dtype(out_type).as_numpy_dtype).newbyteorder(order)
    flat = texts.array.ravel().tolist()
    if fixed_length is not None:
        size = integer(fixed_length, "io.decode_raw", "fixed_length")
        flat = [text[:size].ljust(size, b"\0") for text in flat]
    lengths = {len(text) for text in flat}
    if len(lengths) > 1 or any(n % kind.itemsize for n in lengths):
        raise ValueError(
            f"tf.io.decode_raw: input_bytes: expected texts of one length, a multiple of {kind.itemsize}, "
            f"received lengths {sorted(lengths)}"
        )
    array = np.frombuffer(b"".join(flat), kind).astype(kind.newbyteorder("="))
    return ops.convert_to_tensor(array.reshape(*texts.shape, -1))


@operation
def decode_csv(
    records: Any,
    record_defaults: Any,
    field_delim: str = ",",
    use_quote_delim: bool = True,
    na_value: str = "",
    select_cols: Any = None,
) -> list[Any]:
    """The columns of lines of CSV.

    Args:
        records: Lines, a text or several.
        record_defaults: Of each column what an empty field means, which also says its type: a list of one
            value; or an empty tensor or a type, if fields must not be empty.
        field_delim: What separates fields.
        use_quote_delim: Whether fields may stand in double quotes.
        na_value: A text that stands for an empty field, besides none at all.
        select_cols: The indices of the columns that are wanted, in order; None for all.

    Returns:
        A list of tensors, one for each column, of the shape of `records`.

    Raises:
        ValueError: A line has another number of fields, or a field is empty or no number.
    """
    lines = StringTensor(records)
    quotes = boolean(use_quote_delim, "io.decode_csv", "use_quote_delim")
    texts = [line.decode() for line in lines.array.ravel().tolist()]
    form: Any = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
    rows = list(csv.reader(texts, delimiter=field_delim, quoting=form, strict=True))
    defaults = [Column(default, "tf.io.decode_csv: record_defaults") for default in record_defaults]
    places = list(range(len(defaults))) if select_cols is None else [int(i) for i in select_cols]
    if len(places) != len(defaults):
        raise ValueError(
            f"tf.io.decode_csv: select_cols: expected {len(defaults)} columns, received {places}"
        )
    columns = []
    for place, column in zip(places, defaults, strict=True):
        fields = []
        for number, row in enumerate(rows):
            if (select_cols is None and len(row) != len(defaults)) or place >= len(row):
                raise ValueError(
                    f"tf.io.decode_csv: line {number}: expected {len(defaults)} fields, received {len(row)}"
                )
            where = f"tf.io.decode_csv: line {number}, field {place}"
            fields.append(column.value(row[place], na_value, where))
        columns.append(for_user(column.leaf(fields).reshape(lines.shape)))
    return columns


@operation
def encode_base64(input: Any, pad: bool = False) -> Any:
    """Texts in base64 as addresses have it; `pad` ends them with `=`."""
    whole = boolean(pad, "io.encode_base64", "pad")
    return StringTensor(input).map(
        lambda t: base64.urlsafe_b64encode(t) if whole else base64.urlsafe_b64encode(t).rstrip(b"=")
    )


@operation
def decode_base64(input: Any) -> Any:
    """The texts of what `encode_base64` made."""
    return StringTensor(input).map(lambda t: base64.urlsafe_b64decode(t + b"=" * (-len(t) % 4)))


__getattr__ = unknown(
    "tf.io",
    {
        "RaggedFeature SparseFeature": "use VarLenFeature, or FixedLenSequenceFeature(allow_missing=True)",
        "parse_sequence_example": "use parse_single_sequence_example for each",
        "decode_proto encode_proto decode_json_example": "use protobuf's messages and cnnrs.compat.tf.train",
        "serialize_sparse serialize_many_sparse deserialize_many_sparse": "serialize its parts as tensors",
        "decode_compressed decode_and_resize": "use Python's gzip and zlib",
        "write_graph": "there are no graphs of TensorFlow; save models with model.save",
        "match_filenames_once": "use matching_files",
    },
    __all__,
)
