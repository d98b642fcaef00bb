"""Recurrent layers: cells, and what runs them along a sequence."""

from cnnrs.layers.recurrent.bidirectional import Bidirectional
from cnnrs.layers.recurrent.cells import GRUCell, LSTMCell, SimpleRNNCell
from cnnrs.layers.recurrent.convolutional import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
from cnnrs.layers.recurrent.layers import GRU, LSTM, SimpleRNN
from cnnrs.layers.recurrent.rnn import RNN
from cnnrs.layers.recurrent.stacked import StackedRNNCells

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Bidirectional",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
    "GRUCell",
    "LSTMCell",
    "SimpleRNN",
    "SimpleRNNCell",
    "StackedRNNCells",
]
