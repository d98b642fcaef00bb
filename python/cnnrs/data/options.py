"""`Options`: what tf.data lets users say of how a pipeline runs, and what of it means something here."""

from __future__ import annotations

from typing import Any

from cnnrs.base.suggest import did_you_mean

__all__ = ["AutoShardPolicy", "Options"]


class AutoShardPolicy:
    """How data sets are divided among workers: there is one worker, which gets all elements in each case.

    >>> from cnnrs.data import AutoShardPolicy, Options
    >>> options = Options()
    >>> options.experimental_distribute.auto_shard_policy = AutoShardPolicy.OFF
    >>> options.experimental_distribute
    <Options.experimental_distribute: auto_shard_policy=-1, num_devices=None>
    """

    OFF, AUTO, FILE, DATA, HINT = -1, 0, 1, 2, 3


class _Group:
    """Options with the values that mean something here.

    Args:
        name: What errors call the group.
        allowed: Values of each option, the first one is the default.
    """

    def __init__(self, name: str, allowed: dict[str, tuple[Any, ...]]):
        vars(self).update(_name=name, _allowed=allowed, **{k: values[0] for k, values in allowed.items()})

    def __setattr__(self, name: str, value: Any) -> None:
        allowed = vars(self)["_allowed"]
        owner = vars(self)["_name"]
        if name not in allowed:
            raise AttributeError(f"{owner} has no option {name!r}{did_you_mean(name, allowed)}")
        if value not in allowed[name]:
            expected = ", ".join(map(repr, allowed[name]))
            raise ValueError(f"{owner}.{name}: expected one of {expected}, received {value!r}")
        vars(self)[name] = value

    def __repr__(self) -> str:
        options = ", ".join(f"{k}={v!r}" for k, v in vars(self).items() if k[0] != "_")
        return f"<{vars(self)['_name']}: {options}>"


_SWITCH = (None, True, False)


class Options(_Group):
    """Options of a data set, for `Dataset.with_options`.

    Elements keep their order whatever `deterministic` is, plans are optimized whatever is asked for, and one
    device gets all elements. So the options allow what is true anyway, and other values raise an error.

    Example:
        >>> from cnnrs.data import AutoShardPolicy, Dataset, Options
        >>> options = Options()
        >>> options.experimental_distribute.auto_shard_policy = AutoShardPolicy.DATA
        >>> options.deterministic = True
        >>> len(Dataset.range(3).with_options(options))
        3
    """

    def __init__(self) -> None:
        super().__init__(
            "Options",
            {
                "deterministic": _SWITCH,
                "experimental_deterministic": _SWITCH,
                "experimental_slack": _SWITCH,
                "experimental_warm_start": _SWITCH,
            },
        )
        switches = (
            "apply_default_optimizations",
            "map_parallelization",
            "map_fusion",
            "map_and_batch_fusion",
        )
        more = (
            "filter_fusion",
            "filter_parallelization",
            "noop_elimination",
            "parallel_batch",
            "inject_prefetch",
        )
        vars(self).update(
            autotune=_Group("Options.autotune", {"enabled": _SWITCH}),
            experimental_distribute=_Group(
                "Options.experimental_distribute",
                {"auto_shard_policy": (0, -1, 1, 2, 3), "num_devices": (None, 1)},
            ),
            experimental_optimization=_Group(
                "Options.experimental_optimization", dict.fromkeys((*switches, *more), _SWITCH)
            ),
        )
