"""`tf.strings`: texts are `cnnrs.data.StringTensor`s, bytes with a shape; a single text has no axes.

>>> import cnnrs.compat.tf as tf
>>> names = tf.strings.split("images/cat.1.jpg", "/")
>>> tf.strings.regex_replace(names[-1], r"\\.jpg$", "").item(), tf.strings.length(names).numpy().tolist()
(b'cat.1', [6, 9])
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from cnnrs.compat.tf.arguments import boolean, integer, tensor
from cnnrs.compat.tf.dtypes import as_dtype, float32
from cnnrs.compat.tf.namespaces import operation, unknown
from cnnrs.data.strings import StringTensor

__all__ = [
    "as_string",
    "bytes_split",
    "format",
    "join",
    "length",
    "lower",
    "ngrams",
    "reduce_join",
    "regex_full_match",
    "regex_replace",
    "split",
    "strip",
    "substr",
    "to_hash_bucket_fast",
    "to_number",
    "unicode_split",
    "upper",
]


def is_text(x: Any) -> bool:
    """Whether `x` is a text, or a tensor, array or nested list of texts."""
    if isinstance(x, (str, bytes, StringTensor)):
        return True
    if isinstance(x, np.ndarray):
        first = next(iter(x.flat), None)
        return x.dtype.kind in "SUT" or (x.dtype == object and isinstance(first, (str, bytes)))
    if isinstance(x, (list, tuple)):
        return bool(x) and all(is_text(item) for item in x)
    return False


def as_array(x: Any) -> np.ndarray:
    """Texts as an array of objects, which are bytes in UTF-8.

    Raises:
        TypeError: They are no texts.
    """
    if not is_text(x) and not (isinstance(x, np.ndarray) and x.dtype == object and not x.size):
        raise TypeError(f"tf.strings: expected texts, received {x!r}")
    if isinstance(x, StringTensor):
        return x.array
    if isinstance(x, (list, tuple)):
        return StringTensor(x).array
    given = np.asarray(x, dtype=object)
    flat = [t.encode("utf-8") if isinstance(t, str) else bytes(t) for t in given.reshape(-1)]
    result = np.empty(given.size, dtype=object)
    result[:] = flat
    return result.reshape(given.shape)


def _each(compute: Callable[[bytes], Any], x: Any, dtype: Any = object) -> Any:
    """A function of each text."""
    given = as_array(x)
    result = np.empty(given.size, dtype=dtype)
    for i, text in enumerate(given.reshape(-1)):
        result[i] = compute(text)
    result = result.reshape(given.shape)
    return StringTensor(result) if result.dtype == object else result


def _encoding(encoding: str, function: str) -> bool:
    """Whether texts are looked at as characters, else as bytes."""
    if encoding not in ("", "utf-8", "UTF-8", "BYTE", "UTF8_CHAR"):
        raise ValueError(f"tf.strings.{function}: expected utf-8 or bytes, received {encoding!r}")
    return encoding in ("utf-8", "UTF-8", "UTF8_CHAR")


@operation
def lower(input: Any, encoding: str = "") -> Any:
    """Texts in small letters: those of ASCII, or of all scripts with the encoding "utf-8"."""
    wide = _encoding(encoding, "lower")
    return _each(lambda t: t.decode().lower().encode() if wide else t.lower(), input)


@operation
def upper(input: Any, encoding: str = "") -> Any:
    """Texts in capitals: those of ASCII, or of all scripts with the encoding "utf-8"."""
    wide = _encoding(encoding, "upper")
    return _each(lambda t: t.decode().upper().encode() if wide else t.upper(), input)


@operation
def strip(input: Any) -> Any:
    """Texts without spaces at both ends."""
    return _each(bytes.strip, input)


@operation
def length(input: Any, unit: str = "BYTE") -> Any:
    """The length of texts in bytes, or in characters with the unit "UTF8_CHAR"."""
    wide = _encoding(unit, "length")
    return tensor(_each(lambda t: len(t.decode()) if wide else len(t), input, "int32"))


@operation
def substr(input: Any, pos: Any, len: Any, unit: str = "BYTE") -> Any:
    """Parts of texts from a position on, which counts from the end if it is negative."""
    wide = _encoding(unit, "substr")
    start, many = integer(pos, "substr", "pos"), integer(len, "substr", "len")

    def part(text: bytes) -> bytes:
        whole: Any = text.decode() if wide else text
        size = whole.__len__()
        if not -size <= start <= size:
            raise ValueError(f"tf.strings.substr: pos: {start} is outside of {text!r}")
        begin = start % size if start < 0 else start
        found = whole[begin : begin + many]
        return found.encode() if wide else found

    return _each(part, input)


def _pattern(pattern: Any, function: str) -> re.Pattern[bytes]:
    text = as_array(pattern).item()
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(f"tf.strings.{function}: pattern: expected a regular expression, {error}") from None


@operation
def regex_replace(input: Any, pattern: Any, rewrite: Any, replace_global: bool = True) -> Any:
    """Texts in which what matches a pattern is replaced; `\\1` in the replacement stands for a group."""
    found, new = _pattern(pattern, "regex_replace"), as_array(rewrite).item()
    many = 0 if boolean(replace_global, "regex_replace", "replace_global") else 1
    # `\\0` is the whole match.
    new = re.sub(rb"\\0", rb"\\g<0>", new)
    return _each(lambda t: found.sub(new, t, count=many), input)


@operation
def regex_full_match(input: Any, pattern: Any) -> Any:
    """Whether whole texts match a pattern."""
    found = _pattern(pattern, "regex_full_match")
    return tensor(_each(lambda t: found.fullmatch(t) is not None, input, "bool"))


@operation
def split(input: Any, sep: Any = None, maxsplit: int = -1) -> Any:
    """The parts of a text between separators, or between spaces.

    Raises:
        ValueError: Texts of a batch have different numbers of parts: there are no ragged tensors.
    """
    between = None if sep is None or as_array(sep).item() == b"" else as_array(sep).item()
    return _parts(lambda t: t.split(between, maxsplit), input, "split")


def _parts(compute: Callable[[bytes], list[bytes]], x: Any, function: str) -> StringTensor:
    given = as_array(x)
    rows = [compute(text) for text in given.reshape(-1)]
    if len({row.__len__() for row in rows}) > 1:
        raise ValueError(
            f"tf.strings.{function}: expected as many parts of each text, received {[len(r) for r in rows]}; "
            "there are no ragged tensors: split one text at a time"
        )
    result = np.empty((len(rows), len(rows[0]) if rows else 0), dtype=object)
    for i, row in enumerate(rows):
        result[i, :] = row
    return StringTensor(result.reshape(*given.shape, -1) if rows else result)


@operation
def unicode_split(input: Any, input_encoding: str, errors: str = "replace") -> Any:
    """The characters of a text.

    Raises:
        ValueError: Texts of a batch have different lengths: there are no ragged tensors.
    """
    if input_encoding.upper() != "UTF-8":
        raise ValueError(
            f"tf.strings.unicode_split: input_encoding: expected UTF-8, received {input_encoding!r}"
        )
    handler = {"replace": "replace", "strict": "strict", "ignore": "ignore"}.get(errors)
    if handler is None:
        raise ValueError(
            f"tf.strings.unicode_split: errors: expected replace, strict or ignore, received {errors!r}"
        )
    return _parts(lambda t: [c.encode() for c in t.decode("utf-8", handler)], input, "unicode_split")


@operation
def bytes_split(input: Any) -> Any:
    """The bytes of a text."""
    return _parts(lambda t: [t[i : i + 1] for i in range(len(t))], input, "bytes_split")


@operation
def join(inputs: Any, separator: str = "") -> Any:
    """Texts one behind the other: one of each of the inputs, which broadcast."""
    between = as_array(separator).item()
    arrays = np.broadcast_arrays(*(as_array(x) for x in inputs))
    result = np.empty(arrays[0].size, dtype=object)
    for i, texts in enumerate(zip(*(a.reshape(-1) for a in arrays), strict=True)):
        result[i] = between.join(texts)
    return StringTensor(result.reshape(arrays[0].shape))


@operation
def reduce_join(inputs: Any, axis: Any = None, keepdims: bool = False, separator: str = "") -> Any:
    """The texts along axes one behind the other; all of them without `axis`."""
    given, between = as_array(inputs), as_array(separator).item()
    axes = tuple(range(given.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    axes = tuple(a % given.ndim for a in axes) if given.ndim else ()
    kept = [i for i in range(given.ndim) if i not in axes]
    rows = given.transpose(*kept, *axes).reshape([given.shape[i] for i in kept] + [-1])
    result = np.empty(rows.shape[:-1], dtype=object)
    for place in np.ndindex(*result.shape):
        result[place] = between.join(rows[place])
    kept_axes = [1 if i in axes else n for i, n in enumerate(given.shape)]
    return StringTensor(result.reshape(kept_axes) if keepdims else result)


@operation
def ngrams(data: Any, ngram_width: Any, separator: str = " ") -> Any:
    """Neighbouring texts joined, for each run of so many."""
    given, between = as_array(data), as_array(separator).item()
    many = integer(ngram_width, "ngrams", "ngram_width")
    runs = [between.join(given[i : i + many]) for i in range(len(given) - many + 1)]
    return StringTensor(runs)


@operation
def to_number(input: Any, out_type: Any = float32) -> Any:
    """The numbers that texts spell.

    Raises:
        ValueError: One spells none.
    """
    dtype = as_dtype(out_type)
    read: Any = int if dtype.is_integer else float
    return tensor(_each(read, input, dtype.as_numpy_dtype))


@operation
def as_string(
    input: Any,
    precision: int = -1,
    scientific: bool = False,
    shortest: bool = False,
    width: int = -1,
    fill: str = "",
) -> Any:
    """The texts of numbers: of floats six digits behind the point, or `precision`, or the shortest form."""
    if scientific and shortest:
        raise ValueError("tf.strings.as_string: expected scientific or shortest, received both")
    if fill not in ("", " ", "0", "-"):
        raise ValueError(f"tf.strings.as_string: fill: expected '', ' ', '0' or '-', received {fill!r}")
    values = np.asarray(input)
    digits = f".{precision}" if precision >= 0 else ""
    form = f"{digits}{'e' if scientific else 'g' if shortest else 'f'}"

    def text(value: Any) -> bytes:
        if isinstance(value, (bool, np.bool_)):
            plain = "true" if value else "false"
        elif isinstance(value, (int, np.integer)):
            plain = str(int(value))
        else:
            plain = f"{float(value):{form}}"
        wide = (
            plain.zfill(width) if fill == "0" else plain.ljust(width) if fill == "-" else plain.rjust(width)
        )
        return wide.encode()

    result = np.empty(values.size, dtype=object)
    result[:] = [text(v) for v in values.reshape(-1)]
    return StringTensor(result.reshape(values.shape))


def format(
    template: str, inputs: Any, placeholder: str = "{}", summarize: int = 3, name: str | None = None
) -> Any:
    """A text with tensors at its placeholders."""
    from cnnrs.compat.tf.printing import shown

    given = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    parts = template.split(placeholder)
    if len(parts) != len(given) + 1:
        raise ValueError(
            f"{name or 'tf.strings.format'}: expected {len(parts) - 1} inputs, one for each placeholder, "
            f"received {len(given)}"
        )
    text = "".join(p + shown(x, summarize) for p, x in zip(parts, given, strict=False)) + parts[-1]
    return StringTensor(text)


@operation
def to_hash_bucket_fast(input: Any, num_buckets: Any) -> Any:
    """A number of 0 to `num_buckets - 1` for each text: of SHA-256, hence another one than TensorFlow's."""
    import hashlib

    many = integer(num_buckets, "to_hash_bucket_fast", "num_buckets")
    return tensor(
        _each(lambda t: int.from_bytes(hashlib.sha256(t).digest()[:8], "little") % many, input, "int64")
    )


__getattr__ = unknown(
    "tf.strings",
    {
        "to_hash_bucket to_hash_bucket_strong": "use tf.strings.to_hash_bucket_fast",
        "unicode_decode unicode_encode unicode_script unicode_transcode unicode_split_with_offsets "
        "unicode_decode_with_offsets unsorted_segment_join": "use Python's str and bytes",
    },
    __all__,
)
