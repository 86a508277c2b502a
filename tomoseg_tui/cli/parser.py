"""The parser of the command line, built from the tables in `commands`.

Imports only argparse; a command imports what it needs when it runs.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Any

from tomoseg_tui.commands.options import Command, ExclusiveOptions
from tomoseg_tui.commands.shared_options import COMMON_OPTIONS
from tomoseg_tui.commands.table import COMMANDS, OPEN
from tomoseg_tui.errors import UsageError

CommandHandler = Callable[[argparse.Namespace], int | None]
"""Runs a command; returns an exit code."""
_MODULES = {
    "": "open_tui",
    "init": "projects",
    "demo": "demo",
    "features": "projects",
    "import": "tomograms",
    "preprocess": "tomograms",
    "tomograms": "tomograms",
    "show": "show",
    "export": "results",
    "tiles": "tiles",
    "tiles show": "show",
    "annotations": "tiles",
    "annotations export": "exchange",
    "annotations import": "exchange",
    "trainset": "train",
    "train": "train",
    "audit": "audit",
    "audits": "audit",
    "networks": "train",
    "networks triples": "show",
    "run": "run",
    "apply": "results",
    "merge": "results",
    "evaluate": "results",
    "jobs": "jobs",
}
"""Module of `cli` with the function of a command, or of all commands of a family."""
_FUNCTIONS = {"": "open_program", "import": "import_files"}
"""Functions whose name differs from the command's."""


class Parser(argparse.ArgumentParser):
    """Raises `UsageError` where argparse would end the process."""

    def error(self, message: str) -> Any:
        """Raise the error of argparse; the fix names the help of the command."""
        raise UsageError(f"{message[:1].upper()}{message[1:]}.", f"See {self.prog} --help")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse a command line; if it does not begin with a command, its first argument is a folder to open.

    Several values of one option become a tuple.

    Raises
    ------
    UsageError
        If the arguments are invalid.
    """
    parser, commands = build_parser()
    tokens = list(argv)
    if _first_positional(tokens) not in commands and not _has_program_option(tokens):
        parser = _command_parser(OPEN, Parser(prog="tomoseg", description="Open the program in a project."))
    values = vars(parser.parse_args(tokens))
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    return argparse.Namespace(**values, argv=tokens)


def _has_program_option(argv: Sequence[str]) -> bool:
    return any(argument in {"-h", "--help", "--version", "--print-completion"} for argument in argv)


def _first_positional(argv: Sequence[str]) -> str | None:
    """Return the first argument that is not an option of all commands."""
    skip_next = False
    for argument in argv:
        if skip_next:
            skip_next = False
        elif argument in {"-p", "--project"}:
            skip_next = True
        elif not argument.startswith("-"):
            return argument
    return None


@cache
def build_parser() -> tuple[argparse.ArgumentParser, frozenset[str]]:
    """Return the parser, and the names of the top-level commands."""
    parser = Parser(
        prog="tomoseg",
        description="Turn cryo-electron tomograms into labelled volumes. `tomoseg [DIR]` opens the program.",
        epilog="Exit codes: 0 done, 1 internal error, 2 user error, 130 interrupted.",
    )
    parser.add_argument("--version", action=_VersionAction, nargs=0, help="print the version and exit")
    parser.add_argument(
        "--print-completion",
        action=_CompletionAction,
        choices=("bash", "zsh", "tcsh"),
        help="print a completion script",
    )
    _add_common_options(parser)
    subparsers = parser.add_subparsers(metavar="COMMAND", parser_class=Parser, title="commands")
    families: dict[str, Any] = {}
    for command in COMMANDS.values():
        family, _, member = command.name.rpartition(" ")
        parent = families[family] if family else subparsers
        added = parent.add_parser(
            member, help=command.help, description=f"{command.help[:1].upper()}{command.help[1:]}."
        )
        _command_parser(command, added)
        if f"{member} list" in COMMANDS:
            families[member] = added.add_subparsers(metavar="WHAT", parser_class=Parser)
    return parser, frozenset(subparsers.choices)


def _command_parser(command: Command, parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the options and the handler of a command to a parser."""
    parser.set_defaults(handler=_lazy_handler(command.name))
    _add_common_options(parser)
    for entry in command.entries:
        if isinstance(entry, ExclusiveOptions):
            group = parser.add_mutually_exclusive_group(required=entry.is_required)
            for option in entry.options:
                option.add_to(group)
        else:
            entry.add_to(parser)
    return parser


def _add_common_options(parser: argparse.ArgumentParser) -> None:
    for option in COMMON_OPTIONS:
        option.add_to(parser, default=argparse.SUPPRESS)


def _lazy_handler(name: str) -> CommandHandler:
    """Return the handler of a command; it imports the module only when it is called."""
    name = f"{name} list" if f"{name} list" in COMMANDS else name
    module = _MODULES.get(name) or _MODULES[name.split()[0]]

    def handler(arguments: argparse.Namespace) -> int | None:
        function: CommandHandler = getattr(
            import_module(f"tomoseg_tui.cli.{module}"), _FUNCTIONS.get(name, name.replace(" ", "_"))
        )
        return function(arguments)

    return handler


class _VersionAction(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_values: object) -> None:
        from tomoseg_tui import __version__

        print(f"tomoseg {__version__}")
        parser.exit()


class _CompletionAction(argparse.Action):
    def __call__(
        self, parser: argparse.ArgumentParser, _namespace: object, shell: object, _option: object = None
    ) -> None:
        import shtab

        print(shtab.complete(parser, shell=str(shell)))
        parser.exit()
