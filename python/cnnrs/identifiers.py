"""Names that stand for objects: one look-up with suggestions for misspelt ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cnnrs import naming


def lookup(identifier: str, table: Mapping[str, Any], kind: str) -> Any:
    """The entry of `table` for a name; registered objects count too.

    Raises:
        ValueError: Nothing of that name is known; suggests the closest.
    """
    if identifier in table:
        return table[identifier]
    from cnnrs import saving

    registered = saving.get_registered_object(identifier)
    if registered is not None:
        return registered
    raise ValueError(f"{kind}: nothing is called {identifier!r}{naming.did_you_mean(identifier, table)}")
