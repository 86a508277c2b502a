"""Read JSON and TOML. Whatever a parser raises for a damaged file becomes one exception, `MalformedError`.

Deep nesting raises RecursionError, long numbers ValueError, and so on, each at the parser's discretion.
"""

import tokenize
import tomllib
import zlib
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import msgspec

T = TypeVar("T")
ARRAY_DAMAGE = (
    OSError, ValueError, TypeError, KeyError, EOFError, SyntaxError, MemoryError, OverflowError, RecursionError,
    NotImplementedError, tokenize.TokenError, BadZipFile, zlib.error,
)  # fmt: skip
"""What numpy raises for a damaged .npy or .npz file."""


class MalformedError(ValueError):
    """A text is not the JSON or TOML that it should be; the message says why."""


def decode_json(text: bytes | str, kind: type[T]) -> T:
    """Return the value of a JSON text, checked against a type; raise MalformedError if it is another."""
    try:
        return msgspec.json.decode(text, type=kind)
    except RecursionError as fault:
        raise MalformedError("it is nested too deeply") from fault
    except (msgspec.MsgspecError, ValueError, OverflowError) as fault:
        raise MalformedError(str(fault)) from fault


def read_json(path: Path | str, kind: type[T]) -> T:
    """Return the content of a JSON file; raise OSError or MalformedError."""
    with open(path, "rb", buffering=0) as stream:  # noqa: PTH123  # a project has ten thousands; a Path takes longer
        return decode_json(stream.read(), kind)


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file; raise OSError or MalformedError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except RecursionError as fault:
        raise MalformedError("it is nested too deeply") from fault
    except (ValueError, OverflowError) as fault:  # not UTF-8, not TOML, or a number of thousands of digits
        raise MalformedError(str(fault)) from fault
