"""What the words of the command line are made of: parsers that raise our faults, verbs, and families of verbs."""

import argparse
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from tomoseg_tui.errors import UsageError

Subparsers = Any
Handler = Callable[[argparse.Namespace], int | None]
"""What a verb does; returns an exit code."""


class Parser(argparse.ArgumentParser):
    """Raises our own fault where argparse would end the process."""

    def error(self, message: str) -> Any:
        """Refuse the words, naming the command's own help."""
        raise UsageError(f"{message[:1].upper()}{message[1:]}.", f"See {self.prog} --help")


def later(module: str, function: str) -> Handler:
    """Return a handler that imports its room only when it is called."""

    def handler(arguments: argparse.Namespace) -> int | None:
        found: Handler = getattr(import_module(f"tomoseg_tui.cli.{module}"), function)
        return found(arguments)

    return handler


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add the options of all commands."""
    parser.add_argument(
        "-p", "--project", type=Path, default=argparse.SUPPRESS, metavar="DIR", help="the project's folder"
    )
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")


def add_verb(verbs: Subparsers, name: str, text: str, handler: Handler) -> Any:
    """Add a verb, and return its parser."""
    parser = verbs.add_parser(name, help=text, description=f"{text[:1].upper()}{text[1:]}.")
    parser.set_defaults(run=handler)
    add_common(parser)
    return parser


def add_family(verbs: Subparsers, name: str, text: str, listing: Handler) -> Subparsers:
    """Add a verb with verbs of its own; alone it means its `list`."""
    parser = add_verb(verbs, name, text, listing)
    inner = parser.add_subparsers(metavar="WHAT", parser_class=Parser)
    add_verb(inner, "list", f"list the {name}", listing)
    return inner
