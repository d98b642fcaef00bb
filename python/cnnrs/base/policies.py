"""Dtype policies: in which type a layer keeps its variables, and in which it computes."""

from __future__ import annotations

import re
from collections.abc import Iterator, MutableMapping
from typing import Any

from cnnrs.base.dtypes import FLOAT, STORED, dtype_name, standardize_dtype

__all__ = [
    "DTypePolicy",
    "DTypePolicyMap",
    "FloatDTypePolicy",
    "changes",
    "dtype_policy",
    "note_change",
    "of",
    "set_dtype_policy",
]

# Computed in 16 bits, kept in 32.
_MIXED = {f"mixed_{dtype}": dtype for dtype in STORED}
_QUANTIZED = re.compile(r"(int\d+|float8|gptq|awq|ternary)(/|_from_|$)")


_CHANGES = 0


def note_change() -> None:
    """Notes that a layer has another policy than it was made with."""
    global _CHANGES
    _CHANGES += 1


def changes() -> int:
    """How often policies of layers have changed: recordings made before another change do not hold."""
    return _CHANGES


class DTypePolicy:
    """In which type a layer keeps its variables, and in which it computes.

    Args:
        name: "mixed_float16" or "mixed_bfloat16" (variables of float32, computation in 16 bits), or the name
            of an element type for both. None takes the process's policy, `config.dtype_policy()`.

    Raises:
        TypeError: `name` is no string.
        ValueError: There is no such policy; tensors hold no such elements; or it is a quantized one.

    >>> from cnnrs import dtype_policies
    >>> policy = dtype_policies.DTypePolicy("mixed_float16")
    >>> policy.compute_dtype, policy.variable_dtype
    ('float16', 'float32')
    """

    def __init__(self, name: str | None = None):
        if name is None:
            name = dtype_policy().name
        if not isinstance(name, str):
            raise TypeError(f"{type(self).__name__}: name: expected a string, received {name!r}")
        self._name = name
        self._compute_dtype, self._variable_dtype = _parse(name)

    @property
    def name(self) -> str:
        """The name of the policy."""
        return self._name

    @property
    def compute_dtype(self) -> str:
        """The type in which a layer computes: that of its inputs, weights and outputs."""
        return self._compute_dtype

    @property
    def variable_dtype(self) -> str:
        """The type of the variables that a layer makes."""
        return self._variable_dtype

    @property
    def quantization_mode(self) -> None:
        """None: no policy is quantized."""
        return None

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {"name": self._name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DTypePolicy:
        """The policy of a config."""
        return cls(**config)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self.name}">'

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DTypePolicy) or isinstance(other, DTypePolicyMap):
            return NotImplemented
        return self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)


class FloatDTypePolicy(DTypePolicy):
    """`DTypePolicy`, under the name that it had."""


class DTypePolicyMap(DTypePolicy, MutableMapping[str, Any]):
    """Policies of several layers, by their paths.

    Args:
        default_policy: The policy of layers that no key names; None takes the process's.
        policy_map: Policies by path. A key is the path, or a regular expression that matches all of it.

    Raises:
        TypeError: `policy_map` is no dict.
        ValueError: A policy is none; or `default_policy` is a map.

    >>> from cnnrs import dtype_policies, layers
    >>> policies = dtype_policies.DTypePolicyMap("mixed_bfloat16", {"head.*": "float32"})
    >>> layers.Dense(2, dtype=policies, name="head_1").compute_dtype
    'float32'
    >>> layers.Dense(2, dtype=policies, name="body").compute_dtype
    'bfloat16'
    """

    def __init__(self, default_policy: Any = None, policy_map: dict[str, Any] | None = None):
        if isinstance(default_policy, DTypePolicyMap):
            raise ValueError("DTypePolicyMap: default_policy: expected one policy, received a map")
        if policy_map is not None and not isinstance(policy_map, dict):
            raise TypeError(f"DTypePolicyMap: policy_map: expected a dict, received {policy_map!r}")
        self._default = of(default_policy)
        self._policies = {key: of(value) for key, value in (policy_map or {}).items()}

    @property
    def name(self) -> str:
        """The name of the default policy, behind "map_"."""
        return f"map_{self._default.name}"

    @property
    def default_policy(self) -> DTypePolicy:
        """The policy of layers that no key names."""
        return self._default

    @property
    def compute_dtype(self) -> str:
        """That of the default policy."""
        return self._default.compute_dtype

    @property
    def variable_dtype(self) -> str:
        """That of the default policy."""
        return self._default.variable_dtype

    def __getitem__(self, key: str) -> DTypePolicy:
        """The policy of the layer with the path `key`.

        Raises:
            ValueError: Several keys match it.
        """
        if key in self._policies:
            return self._policies[key]
        matching = [pattern for pattern in self._policies if re.fullmatch(pattern, key)]
        if len(matching) > 1:
            raise ValueError(f"DTypePolicyMap: expected one key for {key!r}, received {matching}")
        return self._policies[matching[0]] if matching else self._default

    def __setitem__(self, key: str, policy: Any) -> None:
        if key in self._policies:
            raise ValueError(f"DTypePolicyMap: {key!r} has {self._policies[key]!r} already; delete it first")
        self._policies[key] = of(policy)
        note_change()

    def __delitem__(self, key: str) -> None:
        del self._policies[key]
        note_change()

    def __contains__(self, key: object) -> bool:
        return key in self._policies

    def __len__(self) -> int:
        return len(self._policies)

    def __iter__(self) -> Iterator[str]:
        return iter(self._policies)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor, by name."""
        policies = {key: policy.name for key, policy in self._policies.items()}
        return {"default_policy": self._default.name, "policy_map": policies}

    def __repr__(self) -> str:
        return f"<DTypePolicyMap default={self._default.name} {self.get_config()['policy_map']}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DTypePolicyMap):
            return NotImplemented
        return self.get_config() == other.get_config()

    def __hash__(self) -> int:
        return hash(self.name)


def _parse(name: str) -> tuple[str, str]:
    """The type of the computation and that of the variables."""
    if name in _MIXED:
        return _MIXED[name], FLOAT
    if _QUANTIZED.match(name) and name not in ("int8", "int16", "int32", "int64"):
        raise ValueError(f"dtype policy {name!r}: no layer computes quantized yet; use 'mixed_bfloat16'")
    try:
        dtype = standardize_dtype(name)
    except TypeError as error:
        known = f"{', '.join(map(repr, _MIXED))} or the name of an element type such as {FLOAT!r}"
        raise ValueError(f"dtype policy: expected {known}, received {name!r}: {error}") from error
    return dtype, dtype


class _Setting:
    """The process's policy."""

    policy: DTypePolicy | None = None


def dtype_policy() -> DTypePolicy:
    """The policy of layers that are made without one.

    >>> from cnnrs import config
    >>> config.dtype_policy()
    <DTypePolicy "float32">
    """
    if _Setting.policy is None:
        _Setting.policy = DTypePolicy(FLOAT)
    return _Setting.policy


def set_dtype_policy(policy: Any) -> None:
    """Sets the policy of layers that are made from here on without a `dtype`.

    Layers that are there keep theirs. Training a model that was made under "mixed_float16" scales the loss.

    Args:
        policy: A policy, or its name: "mixed_float16", "mixed_bfloat16", "float32", "float16", "bfloat16".

    Raises:
        ValueError: It is none.

    >>> from cnnrs import config, layers
    >>> config.set_dtype_policy("mixed_bfloat16")
    >>> layers.Dense(2)([[1.0, 2.0, 3.0]]).dtype
    'bfloat16'
    >>> config.set_dtype_policy("float32")
    """
    if not isinstance(policy, (str, DTypePolicy)):
        raise ValueError(f"set_dtype_policy: policy: expected a DTypePolicy or its name, received {policy!r}")
    _Setting.policy = of(policy)


def of(identifier: Any) -> DTypePolicy:
    """The policy that a policy, its name, an element type or None, which is the process's, stands for.

    Raises:
        ValueError: It stands for none.
    """
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, str):
        return DTypePolicy(identifier)
    try:
        return DTypePolicy(standardize_dtype(identifier))
    except TypeError as error:
        raise ValueError(
            f"dtype policy: expected a policy or its name, received {dtype_name(identifier)!r}: {error}"
        ) from error
