"""Sequences for scripts of older versions of Keras."""

from cnnrs.utils.sequences import pad_sequences

__all__ = ["pad_sequences"]
