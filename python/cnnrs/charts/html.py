"""HTML as text, with everything that is not markup escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

__all__ = ["Markup", "escape", "table", "tag"]


class Markup(str):
    """Text that is markup already and is not escaped again.

    >>> escape(Markup("<b>"))
    '<b>'
    """

    __slots__ = ()


def escape(text: object) -> str:
    """Text as it stands in HTML, also within quotes; half of a surrogate pair, as paths may have, is "?".

    >>> escape("<a & 'b'>")
    '&lt;a &amp; &#x27;b&#x27;&gt;'
    """
    if isinstance(text, Markup):
        return str(text)
    clean = "".join(c if c in "\t\n" or c >= " " else "\N{REPLACEMENT CHARACTER}" for c in str(text))
    return html.escape(clean.encode("utf-8", "replace").decode("utf-8"))


def tag(name: str, /, *content: object, **attributes: object) -> Markup:
    """An element. Attributes that are None are left out; "_" in their names is "-", at the end nothing.

    >>> tag("a", "1 < 2", href="#x", class_="k", aria_label=None)
    '<a href="#x" class="k">1 &lt; 2</a>'
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if not content and name in _EMPTY:
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{''.join(map(escape, content))}</{name}>")


_EMPTY = ("br", "hr", "img", "link", "meta")


def table(
    titles: Sequence[object],
    rows: Iterable[Sequence[object]],
    numbers: Iterable[int] = (),
    caption: object = None,
) -> Markup:
    """A table.

    Args:
        titles: Of the columns.
        rows: The cells.
        numbers: Columns that stand at the right.
        caption: What stands above it.

    >>> made = table(["layer", "size"], [["conv", 12]], numbers=[1])
    >>> made[made.index("<tbody>") : made.index("</tbody>")]
    '<tbody><tr><td style="text-align:left">conv</td><td style="text-align:right">12</td></tr>'
    """
    right = frozenset(numbers)

    def style(i: int) -> str:
        return "text-align:right" if i in right else "text-align:left"

    head = tag("tr", *(tag("th", t, style=style(i)) for i, t in enumerate(titles)))
    body = [tag("tr", *(tag("td", cell, style=style(i)) for i, cell in enumerate(row))) for row in rows]
    above = [tag("caption", caption)] if caption is not None else []
    return tag("table", *above, tag("thead", head), tag("tbody", *body))
