"""Make text of others harmless to show: names, headers, logs, cells of tables, output of other programs."""

import re

_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, escape among them; tab and newline are handled by the caller
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks of direction: they reorder what stands beside them
    "\u2028\u2029\ufeff\ufff9-\ufffb"  # line separators, byte-order mark, interlinear marks
    "\ud800-\udfff"  # bytes of file names that are no UTF-8
    "\U000e0000-\U000e007f]"  # invisible tags
)


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
    harmless = _HARMFUL.sub(_spelled, text)
    for character, spelling in (("\t", "\\t"), ("\n", "\\n")):
        if character not in preserve:
            harmless = harmless.replace(character, spelling)
    return harmless


def _spelled(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # the byte that Python could not decode (surrogateescape)
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
