"""Rows of `test_layers.CASES` for layers of sequences, wrappers and normalisations."""

from __future__ import annotations

from typing import Any

from cnnrs import layers

SEQUENCE = (4, 6, 3)
IMAGE = (4, 8, 6, 4)

CASES: list[tuple[type, dict[str, Any], Any, tuple[int, ...], list[tuple[int, ...]], dict[str, Any]]] = [
    (layers.Masking, {"mask_value": 0.5}, SEQUENCE, SEQUENCE, [], {}),
    (
        layers.EinsumDense,
        {"equation": "abc,cde->abde", "output_shape": (None, 5, 2), "bias_axes": "de"},
        SEQUENCE,
        (4, 6, 5, 2),
        [(3, 5, 2), (5, 2)],
        {},
    ),
    (
        layers.EinsumDense,
        {"equation": "...x,xy->...y", "output_shape": 7, "activation": "tanh"},
        IMAGE,
        (4, 8, 6, 7),
        [(4, 7)],
        {},
    ),
    (layers.SimpleRNN, {"units": 4}, SEQUENCE, (4, 4), [(3, 4), (4, 4), (4,)], {}),
    (layers.LSTM, {"units": 2}, SEQUENCE, (4, 2), [(3, 8), (2, 8), (8,)], {}),
    (
        layers.LSTM,
        {
            "units": 2,
            "return_sequences": True,
            "go_backwards": True,
            "dropout": 0.2,
            "recurrent_dropout": 0.3,
        },
        SEQUENCE,
        (4, 6, 2),
        [(3, 8), (2, 8), (8,)],
        {"random": True},
    ),
    (layers.GRU, {"units": 2, "return_sequences": True}, SEQUENCE, (4, 6, 2), [(3, 6), (2, 6), (2, 6)], {}),
    (
        layers.GRU,
        {"units": 2, "reset_after": False},
        SEQUENCE,
        (4, 2),
        [(3, 6), (2, 6), (6,)],
        {},
    ),
    (
        layers.RNN,
        {"cell": layers.StackedRNNCells([layers.LSTMCell(2), layers.SimpleRNNCell(3)])},
        SEQUENCE,
        (4, 3),
        [(3, 8), (2, 8), (8,), (2, 3), (3, 3), (3,)],
        {},
    ),
    (
        layers.Bidirectional,
        {"layer": layers.GRU(2, use_bias=False), "merge_mode": "ave"},
        SEQUENCE,
        (4, 2),
        [(3, 6), (2, 6)] * 2,
        {},
    ),
    (
        layers.ConvLSTM1D,
        {"filters": 2, "kernel_size": 3, "padding": "same", "return_sequences": True},
        (2, 3, 5, 3),
        (2, 3, 5, 2),
        [(3, 3, 8), (3, 2, 8), (8,)],
        {},
    ),
    (
        layers.ConvLSTM2D,
        {"filters": 2, "kernel_size": 2, "data_format": "channels_first"},
        (2, 3, 2, 5, 4),
        (2, 2, 4, 3),
        [(2, 2, 2, 8), (2, 2, 2, 8), (8,)],
        {},
    ),
    (
        layers.ConvLSTM3D,
        {"filters": 1, "kernel_size": 2},
        (2, 2, 3, 3, 3, 2),
        (2, 2, 2, 2, 1),
        [(2, 2, 2, 2, 4), (2, 2, 2, 1, 4), (4,)],
        {},
    ),
    (layers.Attention, {"use_scale": True}, [(4, 5, 3), (4, 6, 3)], (4, 5, 3), [()], {}),
    (layers.Attention, {"score_mode": "concat"}, [(4, 5, 3), (4, 6, 2), (4, 6, 3)], (4, 5, 2), [()], {}),
    (layers.Attention, {"dropout": 0.3, "seed": 1}, [(4, 5, 3), (4, 6, 3)], (4, 5, 3), [], {"random": True}),
    (layers.AdditiveAttention, {}, [(4, 5, 3), (4, 6, 3)], (4, 5, 3), [(3,)], {}),
    (layers.RMSNormalization, {}, IMAGE, IMAGE, [(4,)], {}),
    (layers.RMSNormalization, {"axis": [1, 3]}, IMAGE, IMAGE, [(8, 4)], {}),
    (layers.LayerNormalization, {"axis": [-1, 1]}, IMAGE, IMAGE, [(8, 4), (8, 4)], {}),
    (layers.GroupNormalization, {"groups": -1, "axis": 1}, IMAGE, IMAGE, [(8,), (8,)], {}),
    (layers.BatchNormalization, {"renorm": True}, IMAGE, IMAGE, [(4,)] * 7, {"frozen": 5}),
    (
        layers.TimeDistributed,
        {"layer": layers.Dense(2)},
        SEQUENCE,
        (4, 6, 2),
        [(3, 2), (2,)],
        {},
    ),
    (
        layers.TimeDistributed,
        {"layer": layers.BatchNormalization()},
        SEQUENCE,
        SEQUENCE,
        [(3,)] * 4,
        {"frozen": 2},
    ),
    (
        layers.SpectralNormalization,
        # Of norm 1, so that the first steps do not change it.
        {"layer": layers.Dense(5, kernel_initializer="orthogonal")},
        (4, 3),
        (4, 5),
        [(3, 5), (1, 5), (5,)],
        {"frozen": 1},
    ),
]

# Layers that take no floats, or are a base, with tests of their own.
ELSEWHERE = {layers.Embedding, layers.ReversibleEmbedding, layers.Wrapper}
# Those that take two sequences as two arguments.
ELSEWHERE |= {layers.GroupQueryAttention, layers.MultiHeadAttention}
# Parts of recurrent layers.
ELSEWHERE |= {layers.GRUCell, layers.LSTMCell, layers.SimpleRNNCell, layers.StackedRNNCells}
