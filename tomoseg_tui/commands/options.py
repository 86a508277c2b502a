"""Options of commands: how they are written, parsed and described. Imports only argparse and our errors.

A table of options (`Command`) has three uses: `cli.parser` builds the argparse parser from it, `to_argv` writes the
command line of a request, and forms read their fields with `parse_field`.
"""

import argparse
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, TypeVar

from tomoseg_tui.errors import UsageError

Request = TypeVar("Request")


@dataclass(frozen=True)
class ValueKind:
    """A type of option values."""

    expected: str
    """Description of valid values, as in "is not a whole number from 1"."""
    parse: Callable[[str], Any]
    """Returns the value of a text; raises `ValueError` if the text is invalid."""
    format: Callable[[Any], str] = str
    """Returns the text of a value."""

    def __call__(self, text: str) -> Any:
        """Return the value of a text, for argparse."""
        try:
            return self.parse(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not {self.expected}") from None


def whole_number(minimum: float = -math.inf, maximum: float = math.inf) -> ValueKind:
    """Return the kind of whole numbers in a range, including both ends."""
    return ValueKind(f"a whole number{_range_text(minimum, maximum)}", _in_range(int, minimum, maximum))


def number(minimum: float = -math.inf, maximum: float = math.inf, *, above: float = -math.inf) -> ValueKind:
    """Return the kind of finite numbers in a range, including both ends, and greater than `above`."""
    above_text = f" above {above:g}" if above > -math.inf else ""
    parse = _in_range(float, max(minimum, math.nextafter(above, math.inf)), maximum)
    return ValueKind(f"a number{above_text}{_range_text(minimum, maximum)}", parse, format_number)


def _in_range(convert: Callable[[str], float], minimum: float, maximum: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = convert(text)
        if not (minimum <= value <= maximum and math.isfinite(value)):
            raise ValueError(text)
        return value

    return parse


def _range_text(minimum: float, maximum: float) -> str:
    if minimum == -math.inf:
        return ""
    return f" from {minimum:.10g}" + ("" if maximum == math.inf else f" to {maximum:.10g}")


def format_number(value: float) -> str:
    """Return the shortest text that parses back to the same number."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def _matching(pattern: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(text)
        return text

    return parse


def _parse_position(text: str) -> tuple[int, ...]:
    position = tuple(int(part) for part in text.split(","))
    if len(position) != 3:
        raise ValueError(text)
    return position


def _parse_precision(text: str) -> bool:
    return bool(("full", "half").index(text))


TEXT = ValueKind("text", str)
PATH = ValueKind("a path", Path)
COUNT = whole_number(1)
DEVICE_NAME = ValueKind("auto, cpu, gpu, or gpu:N with N from 0", _matching("auto|cpu|gpu(:[0-9]+)?"))
POSITION = ValueKind(
    "X,Y,Z in voxels, as 140,252,16", _parse_position, lambda position: ",".join(str(part) for part in position)
)
PRECISION = ValueKind("full or half", _parse_precision)


@dataclass(frozen=True)
class Option:
    """An option of a command, or a positional argument."""

    names: str
    """Separated by spaces: ``-o --output``; no dashes for a positional argument."""
    help: str
    _: KW_ONLY
    field: str = ""
    """Field of the request; the last name if empty."""
    kind: ValueKind = TEXT
    default: Any = None
    default_text: str = ""
    """Default for the help, if `default` does not say it."""
    metavar: str | None = None
    choices: tuple[str, ...] = ()
    nargs: str | None = None
    """As in argparse: ``?`` for an optional value, ``*`` and ``+`` for several."""
    is_repeated: bool = False
    """Whether it can be given more than once; its value is a tuple then."""
    is_switch: bool = False
    """Whether it has a negated form that begins with ``--no-``."""
    is_required: bool = False
    stores: Any = None
    """Value of a flag that is given."""
    is_flag: bool = False
    label: str = ""
    """Label in a form."""
    placeholder: str = ""
    """Text in an empty field of a form."""

    @property
    def key(self) -> str:
        """Field of the request."""
        return self.field or self.names.split()[-1].lstrip("-").replace("-", "_")

    @property
    def is_positional(self) -> bool:
        """Whether it is a positional argument."""
        return not self.names.startswith("-")

    @property
    def is_multiple(self) -> bool:
        """Whether its value is a tuple."""
        return self.is_repeated or self.nargs in {"*", "+"}

    @property
    def description(self) -> str:
        """Its help and default."""
        default_text = self.default_text
        if not (default_text or self.is_flag or self.is_multiple or self.default is None):
            default_text = self.kind.format(self.default)
        return f"{self.help} (default {default_text})" if default_text else self.help

    def add_to(self, parser: Any, *, default: Any = None) -> None:
        """Add it to an argparse parser or group."""
        settings: dict[str, Any] = {"help": self.description, "default": self.default if default is None else default}
        if not self.is_positional:
            settings["dest"] = self.key
            settings |= {"required": True} if self.is_required else {}
        if self.is_flag:
            settings |= {"action": "store_const", "const": self.stores}
        elif self.is_switch:
            settings["action"] = argparse.BooleanOptionalAction
        else:
            settings |= {"type": self.kind, "metavar": self.metavar, "nargs": self.nargs}
            settings |= {"choices": self.choices, "type": None} if self.choices else {}
            settings |= {"action": "append"} if self.is_repeated else {}
            settings |= {"const": ""} if self.nargs == "?" and not self.is_positional else {}
        if self.is_multiple:
            settings["default"] = []
        parser.add_argument(*([self.key] if self.is_positional else self.names.split()), **settings)

    def to_argv(self, value: Any) -> list[str]:
        """Return the arguments that set it to a value."""
        name = self.names.split()[-1]
        if self.is_flag:
            return [name] if value == self.stores else []
        if self.is_switch:
            return [name if value else f"--no-{name.removeprefix('--')}"]
        texts = [self.kind.format(part) for part in (value if self.is_multiple else (value,))]
        if self.is_positional:
            return [f"./{text}" if self.kind is PATH and text.startswith("-") else text for text in texts]
        if self.nargs == "+":
            return [name, *texts]
        if self.nargs == "?" and not texts[0]:
            return [name]
        # argparse would read a value that begins with a dash as an option.
        return [part for text in texts for part in ([f"{name}={text}"] if text.startswith("-") else [name, text])]


def flag(names: str, help_text: str, *, stores: Any = True, default: Any = False, field: str = "") -> Option:
    """Return an option without a value."""
    return Option(names, help_text, field=field, stores=stores, default=default, is_flag=True)


@dataclass(frozen=True)
class ExclusiveOptions:
    """Options that exclude each other."""

    options: tuple[Option, ...]
    is_required: bool = False


@dataclass(frozen=True)
class Command:
    """A command and its options, in the order of its help."""

    name: str
    """Such as ``train`` or ``tiles add``."""
    help: str
    entries: tuple[Option | ExclusiveOptions, ...] = ()

    @property
    def options(self) -> Iterator[Option]:
        """All options, including those that exclude each other."""
        for entry in self.entries:
            yield from entry.options if isinstance(entry, ExclusiveOptions) else (entry,)

    def option(self, key: str) -> Option:
        """Return the option of a request's field."""
        return next(option for option in self.options if option.key == key)


def command_family(name: str, help_text: str, *members: Command, plural: str = "") -> tuple[Command, ...]:
    """Return a command with subcommands, the first of which is `list`; without a subcommand it lists."""
    return Command(name, help_text), Command(f"{name} list", f"list the {plural or name}"), *members


def request_from(arguments: argparse.Namespace, request_type: type[Request], **changes: Any) -> Request:
    """Return the request that the parsed options of a command describe.

    Parameters
    ----------
    arguments : Namespace
        Result of the parser; its attributes have the names of the request's fields.
    request_type : type
        A `Struct` or dataclass.
    **changes
        Fields whose value differs from the parsed one.
    """
    fields = [name for name in request_type.__annotations__ if hasattr(arguments, name)]
    return request_type(**{**{name: getattr(arguments, name) for name in fields}, **changes})


def to_argv(command: Command, request: object = None, **values: Any) -> list[str]:
    """Return the arguments of the command that makes the same request.

    Parameters
    ----------
    command : Command
        The command.
    request : object
        Its fields have the names of the options; defaults are left out.
    **values
        Fields that the request lacks, or that replace its fields.
    """
    positional: list[str] = []
    named: list[str] = []
    for option in command.options:
        value = values.get(option.key, getattr(request, option.key, None))
        if option.is_multiple:
            value = tuple(value or ()) or None
        if value is not None and (option.is_positional or value != option.default):
            (positional if option.is_positional else named).extend(option.to_argv(value))
    return [*command.name.split(), *positional, *named]


def parse_field(option: Option, text: str) -> Any:
    """Return the value of the text in a form's field; the option's default if the field is empty.

    Raises
    ------
    UsageError
        If the text is invalid.
    """
    texts = text.replace(",", " ").split() if option.is_multiple else [text.strip()] * bool(text.strip())
    try:
        values = tuple(option.kind.parse(part) for part in texts)
        if option.is_required and not values:
            raise ValueError(text)
    except ValueError:
        default = "" if option.is_required else ", or leave it empty for the default"
        raise UsageError(f"{option.label} is {text.strip()!r}.", f"Enter {option.kind.expected}{default}.") from None
    if option.is_multiple:
        return values
    return values[0] if values else option.default
