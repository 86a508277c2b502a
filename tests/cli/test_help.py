"""The help of every command is a contract; the file in tests/golden is what users were told."""

import sys

import pytest
from helpers.cli_runner import check_golden

from tomoseg_tui.cli.parser import build_parser


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="argparse words its help differently in each Python")
def test_the_help_of_every_command_is_as_golden_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    parser, verbs = build_parser()
    subparsers = next(action for action in parser._actions if action.dest == "==SUPPRESS==" and action.choices)
    choices = subparsers.choices
    assert isinstance(choices, dict)
    texts = [parser.format_help(), *(choices[verb].format_help() for verb in sorted(verbs))]
    check_golden("help.txt", "\n".join(texts))
