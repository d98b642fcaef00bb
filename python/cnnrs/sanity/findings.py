"""`Finding` and `Findings`: what looks like a mistake, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Finding", "Findings"]


@dataclass(frozen=True)
class Finding:
    """What looks like a mistake.

    Attributes:
        code: A short name: "unscaled", "duplicates" and so on.
        message: What was found.
        advice: What to do.
        is_error: Whether training cannot give anything sensible with it.
    """

    code: str
    message: str
    advice: str
    is_error: bool = False

    def __str__(self) -> str:
        kind = "error" if self.is_error else "warning"
        return f"{kind}: {self.code}: {self.message}\n  do: {self.advice}"

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {"code": self.code, "message": self.message, "advice": self.advice, "error": self.is_error}


@dataclass
class Findings:
    """All findings, each kind once. Printing it shows them; it is true if there are some.

    Attributes:
        found: The findings.
        facts: What was seen, by name: number of samples, of classes, and so on.
    """

    found: list[Finding] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def add(self, code: str, message: str, advice: str, is_error: bool = False) -> None:
        """Adds a finding, unless there is one of its kind."""
        if code not in self.codes:
            self.found.append(Finding(code, message, advice, is_error))

    @property
    def codes(self) -> list[str]:
        """The codes of all findings."""
        return [finding.code for finding in self.found]

    @property
    def errors(self) -> list[Finding]:
        """Those with which training cannot give anything sensible."""
        return [finding for finding in self.found if finding.is_error]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    def __bool__(self) -> bool:
        return bool(self.found)

    def __str__(self) -> str:
        return "\n".join(map(str, self.found)) or "nothing found"
