"""What is left of a model when the device is lost that it trains on."""

from __future__ import annotations

from typing import Any

from cnnrs import _core

__all__ = ["keep", "recover", "recovered"]


def _variables(model: Any) -> list[_core.Variable]:
    """The variables of a model, its metrics and its optimizer, each once."""
    return list({id(variable): variable for variable in model._assignable()}.values())


def keep(model: Any) -> None:
    """Brings what a model has on a device to the host's memory, where copies stay for `recover`."""
    for variable in _variables(model):
        variable.keep()


def recover(model: Any) -> list[str]:
    """Gives the variables of a model and its optimizer back what a lost device took.

    A GPU's driver may end a process's use of it at any time: after a suspend, an update, a fault of
    another program. What was in its memory is gone then. The host's memory has the last values that
    somebody looked at; `fit` brings all of them there at the end of each epoch, and calls this itself.

    Args:
        model: A model.

    Returns:
        The names of the variables that were lost. It is empty if nothing was.

    Raises:
        DeviceLostError: The host's memory never had a value of a variable; the message names it.

    >>> import cnnrs
    >>> from cnnrs import layers, utils
    >>> utils.recover(cnnrs.Sequential([layers.Input((2,)), layers.Dense(1)]))
    []
    """
    return [variable.name for variable in _variables(model) if variable.recover()]


def recovered(model: Any, epoch: int, error: _core.DeviceLostError) -> _core.DeviceLostError:
    """What to raise where a device was lost in an epoch of `fit`, once the model has its weights again."""
    names = recover(model)
    if not names:
        return error
    state = f"at the end of epoch {epoch}" if epoch > 0 else "before fit began"
    return _core.DeviceLostError(
        f"{error}. Weights and optimizer state are those {state}: "
        f"fit(..., initial_epoch={epoch}) goes on from there"
    )
