"""`Config`: a program's own settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from cnnrs.base.suggest import did_you_mean

__all__ = ["Config"]


class Config:
    """Settings by name, as attributes and as items, which can be frozen.

    Args:
        **kwargs: The settings.

    Raises:
        ValueError: A frozen config is changed.
        AttributeError: There is no such setting; a KeyError where it is asked for as an item.

    >>> from cnnrs import utils
    >>> config = utils.Config(rate=0.1)
    >>> config.epochs = 3
    >>> config["rate"], config.to_json()
    (0.1, '{"rate": 0.1, "epochs": 3}')
    >>> config.freeze()
    >>> config.rate = 0.2
    Traceback (most recent call last):
    ValueError: Config: 'rate' cannot be changed: the config is frozen
    """

    _settings: dict[str, Any]
    _frozen: bool

    def __init__(self, **kwargs: Any):
        object.__setattr__(self, "_settings", dict(kwargs))
        object.__setattr__(self, "_frozen", False)

    @property
    def frozen(self) -> bool:
        """Whether settings are fixed."""
        return self._frozen

    def freeze(self) -> None:
        """Fixes the settings."""
        object.__setattr__(self, "_frozen", True)

    def unfreeze(self) -> None:
        """Settings may change again."""
        object.__setattr__(self, "_frozen", False)

    def _check(self, name: Any) -> None:
        if self._frozen:
            raise ValueError(f"Config: {name!r} cannot be changed: the config is frozen")

    def as_dict(self) -> dict[str, Any]:
        """A dict of the settings."""
        return dict(self._settings)

    def to_json(self) -> str:
        """The settings as JSON."""
        return json.dumps(self._settings)

    def keys(self) -> Any:
        """The names."""
        return self._settings.keys()

    def values(self) -> Any:
        """The values."""
        return self._settings.values()

    def items(self) -> Any:
        """Names with values."""
        return self._settings.items()

    def pop(self, *args: Any) -> Any:
        """Takes a setting out, as a dict's `pop`."""
        self._check(args[0] if args else "")
        return self._settings.pop(*args)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Sets several, as a dict's `update`."""
        self._check(", ".join(dict(*args, **kwargs)))
        self._settings.update(*args, **kwargs)

    def get(self, keyname: str, value: Any = None) -> Any:
        """A setting, or `value`."""
        return self._settings.get(keyname, value)

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __getattr__(self, name: str) -> Any:
        # Copies and pickles ask for attributes before there are any.
        if name.startswith("__") or name in ("_settings", "_frozen"):
            raise AttributeError(name)
        if name not in self._settings:
            raise AttributeError(f"Config has no {name!r}{did_you_mean(name, self._settings)}")
        return self._settings[name]

    def __delattr__(self, name: str) -> None:
        self.__delitem__(name)

    def __setitem__(self, key: str, value: Any) -> None:
        self._check(key)
        self._settings[key] = value

    def __getitem__(self, key: str) -> Any:
        return self._settings[key]

    def __delitem__(self, key: str) -> None:
        self._check(key)
        del self._settings[key]

    def __contains__(self, key: object) -> bool:
        return key in self._settings

    def __iter__(self) -> Iterator[str]:
        return iter(self._settings)

    def __len__(self) -> int:
        return len(self._settings)

    def __getstate__(self) -> Any:
        return self._settings, self._frozen

    def __setstate__(self, state: Any) -> None:
        object.__setattr__(self, "_settings", state[0])
        object.__setattr__(self, "_frozen", state[1])

    def __repr__(self) -> str:
        return f"<Config {self._settings}>"
