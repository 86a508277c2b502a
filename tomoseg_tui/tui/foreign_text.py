"""Keep what others wrote from steering the screen: brackets in names, control characters, bytes that are not UTF-8.

Paths, faults, headers and log lines reach widgets as text. Textual takes [...] in most of them for markup and ends the
program where that is malformed; it sends control characters to the terminal; it ends when a byte that is not UTF-8 is
typed. None of this can be configured, so that three names inside Textual are replaced; tests pin them.
"""

import re
from codecs import getincrementaldecoder
from functools import partial
from typing import Any

from rich.console import Console
from rich.segment import Segment
from textual.content import Content
from textual.drivers import linux_driver
from textual.strip import Strip

from tomoseg_tui.files.text import HARMFUL

_BOLD = re.compile(r"\[b\](.*?)\[/b\]", re.DOTALL)
_render_strip = Strip.render


def show_foreign_text_literally() -> None:
    """Replace how Textual reads markup, writes lines and decodes keys; again does no harm."""
    Content.from_markup = classmethod(_content_from_markup)  # type: ignore[method-assign,assignment]
    Strip.render = _render_harmless  # type: ignore[method-assign,assignment]
    linux_driver.getincrementaldecoder = lambda name: partial(  # type: ignore[attr-defined]
        getincrementaldecoder(name), errors="replace"
    )


def _content_from_markup(content_class: type[Content], /, markup: str | Content, **_variables: object) -> Content:
    """Return text in which only [b]...[/b], as this program writes it, is markup."""
    if isinstance(markup, Content):
        return markup
    parts: list[Any] = [(part, "bold") if index % 2 else part for index, part in enumerate(_BOLD.split(markup))]
    return content_class.assemble(*parts)


def _render_harmless(strip: Strip, console: Console) -> str:
    """Render a line without what the terminal would obey; columns stay, since such characters have no width."""
    if strip._render_cache is None and any(HARMFUL.search(text) for text, _, _ in strip._segments):  # noqa: SLF001
        strip._segments = [Segment(_harmless(text), style, control) for text, style, control in strip._segments]  # noqa: SLF001
    return _render_strip(strip, console)


def _harmless(text: str) -> str:
    """Leave out control characters; a byte that is no UTF-8 is one column wide, and becomes a question mark."""
    return HARMFUL.sub(lambda match: "?" if match[0] >= "\ud800" and match[0] <= "\udfff" else "", text)
