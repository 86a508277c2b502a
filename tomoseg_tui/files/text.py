"""Make text of others harmless to show: names, headers, logs, cells of tables, output of other programs."""

import re
from typing import Any, TextIO, final

from tomoseg_tui.errors import UsageError

HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, escape among them; tab and newline are handled by the caller
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks of direction: they reorder what stands beside them
    "\u2028\u2029\ufeff\ufff9-\ufffb"  # line separators, byte-order mark, interlinear marks
    "\ud800-\udfff"  # bytes of file names that are no UTF-8
    "\U000e0000-\U000e007f]"  # invisible tags
)
"""Characters that a terminal obeys, or that cannot be encoded."""


def printable(text: str, *, preserve: str = "") -> str:
    r"""Return text with what a terminal would obey, or could not encode, spelled out.

    Parameters
    ----------
    text : str
        From anywhere.
    preserve : str
        Of tab and newline, those that stay.

    Examples
    --------
    >>> printable("a\x1b[2Jb\udce9\n")
    'a\\x1b[2Jb\\xe9\\n'
    """
    harmless = HARMFUL.sub(_spelled, text)
    for character, spelling in (("\t", "\\t"), ("\n", "\\n")):
        if character not in preserve:
            harmless = harmless.replace(character, spelling)
    return harmless


def _spelled(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # the byte that Python could not decode (surrogateescape)
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def require_utf8(name: str) -> None:
    """Refuse a name with bytes that are not UTF-8: neither JSON nor the screen can hold it.

    Raises
    ------
    UsageError
        If Python could not decode some of its bytes.
    """
    if any("\ud800" <= character <= "\udfff" for character in name):
        raise UsageError(
            f"The name {printable(name)} has bytes that are not UTF-8.",
            "Rename it, or the folder that has them, then try again.",
        )


@final
class HarmlessStream:
    """A stream of a command's output on which text of others is harmless: names, headers, faults, logs.

    Parameters
    ----------
    stream : TextIO
        Where the output goes.
    """

    def __init__(self, stream: TextIO) -> None:
        self.unfiltered = stream
        """For escape sequences of our own: pictures, bold titles, progress bars."""

    def write(self, text: str) -> int:
        """Write text, with control characters and the like spelled out."""
        return self.unfiltered.write(printable(text, preserve="\t\n"))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unfiltered, name)


def unfiltered(stream: TextIO) -> TextIO:
    """Return the stream for escape sequences of our own, where `stream` makes text harmless."""
    return stream.unfiltered if isinstance(stream, HarmlessStream) else stream
