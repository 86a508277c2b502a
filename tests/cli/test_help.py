"""The help of all commands, compared with tests/golden/help.txt."""

import argparse
import sys
from collections.abc import Iterator

import pytest
from helpers.cli_runner import check_golden

from tomoseg_tui.cli.parser import build_parser


def help_texts(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield parser.format_help()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name in sorted(action.choices):
                yield from help_texts(action.choices[name])


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the help of argparse differs between Python versions")
def test_the_help_of_every_command_matches_the_golden_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    parser, _ = build_parser()
    check_golden("help.txt", "\n".join(help_texts(parser)))
