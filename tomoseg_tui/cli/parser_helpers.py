"""What the words of the command line are made of: parsers that raise our faults, verbs, and families of verbs."""

import argparse
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from tomoseg_tui.errors import UsageError

Subparsers = Any
CommandHandler = Callable[[argparse.Namespace], int | None]
"""What a verb does; returns an exit code."""


class Parser(argparse.ArgumentParser):
    """Raises our own fault where argparse would end the process."""

    def error(self, message: str) -> Any:
        """Refuse the words, naming the command's own help."""
        raise UsageError(f"{message[:1].upper()}{message[1:]}.", f"See {self.prog} --help")


def lazy_handler(module: str, function: str) -> CommandHandler:
    """Return a handler that imports its room only when it is called."""

    def handler(arguments: argparse.Namespace) -> int | None:
        function_to_call: CommandHandler = getattr(import_module(f"tomoseg_tui.cli.{module}"), function)
        return function_to_call(arguments)

    return handler


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of all commands."""
    parser.add_argument(
        "-p", "--project", type=Path, default=argparse.SUPPRESS, metavar="DIR", help="the project's folder"
    )
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")


def add_command(subparsers: Subparsers, name: str, help_text: str, handler: CommandHandler) -> Any:
    """Add a verb, and return its parser."""
    parser = subparsers.add_parser(name, help=help_text, description=f"{help_text[:1].upper()}{help_text[1:]}.")
    parser.set_defaults(run=handler)
    add_common_options(parser)
    return parser


def add_command_group(subparsers: Subparsers, name: str, help_text: str, list_handler: CommandHandler) -> Subparsers:
    """Add a verb with verbs of its own; alone it means its `list`."""
    parser = add_command(subparsers, name, help_text, list_handler)
    subcommands = parser.add_subparsers(metavar="WHAT", parser_class=Parser)
    add_command(subcommands, "list", f"list the {name}", list_handler)
    return subcommands
