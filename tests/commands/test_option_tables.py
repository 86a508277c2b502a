"""The tables of commands: help, validation and defaults of the options."""

import msgspec
import pytest

from tomoseg_tui.cli.parser import parse
from tomoseg_tui.commands.options import Command, ExclusiveOptions, Option, parse_field, request_from
from tomoseg_tui.commands.shared_options import COMMON_OPTIONS
from tomoseg_tui.commands.table import COMMANDS, OPEN
from tomoseg_tui.errors import UsageError
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest
from tomoseg_tui.workflow.audit.audit_request import AuditRequest
from tomoseg_tui.workflow.batch_run import BatchRunRequest
from tomoseg_tui.workflow.tomograms.import_tomograms import ImportRequest
from tomoseg_tui.workflow.tomograms.preprocessing import PreprocessRequest
from tomoseg_tui.workflow.training.train_request import TrainRequest

COMMANDS_WITH_COMMON_OPTIONS = (Command("tomoseg", "", COMMON_OPTIONS), OPEN, *COMMANDS.values())
OPTIONS = [
    pytest.param(option, is_required, id=f"{command.name} {option.names}")
    for command in COMMANDS_WITH_COMMON_OPTIONS
    for entry in command.entries
    for option in (entry.options if isinstance(entry, ExclusiveOptions) else (entry,))
    for is_required in (entry.is_required or (option.is_positional and option.nargs in {None, "+"}),)
]


@pytest.mark.parametrize(("option", "is_required"), OPTIONS)
def test_the_help_of_every_option_describes_it_and_its_default(option: Option, *, is_required: bool) -> None:
    assert option.help
    assert ("(default " in option.description) == (not option.is_flag and not is_required)


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        ("train", TrainRequest(name="")),
        ("audit", AuditRequest(name="")),
        ("run --feature f --all", BatchRunRequest(("f",))),
        ("apply r a b", ApplyRequest(run="r", tomograms=("a", "b"))),
        ("preprocess a", PreprocessRequest(("a",))),
        ("import a.mrc", ImportRequest()),
    ],
)
def test_a_command_without_options_makes_the_default_request(line: str, request_: object) -> None:
    assert request_from(parse(line.split()), type(request_)) == request_


@pytest.mark.parametrize(
    ("line", "reported"),
    [
        ("train --epochs 0", "--epochs: '0' is not a whole number from 1"),
        ("run --feature f --all --epochs 1.5", "--epochs: '1.5' is not a whole number from 1"),
        ("audit --epochs 0", "--epochs: '0' is not a whole number from 1"),
        ("audit --seed=-1", "--seed: '-1' is not a whole number from 0 to 2147483647"),
        ("train --seed 2147483648", "--seed: '2147483648' is not"),
        ("train --seed=-1", "--seed: '-1' is not"),
        ("train --batch=-1", "--batch: '-1' is not a whole number from 1"),
        ("train --learning-rate 0", "--learning-rate: '0' is not a number above 0"),
        ("train --learning-rate nan", "--learning-rate: 'nan' is not"),
        ("train --learning-rate inf", "--learning-rate: 'inf' is not"),
        ("train --validation 0.6", "--validation: '0.6' is not a number from 0 to 0.5"),
        ("train --trainset s --validation nan", "--validation: 'nan' is not"),
        ("trainset build a --feature f --validation 0.6", "--validation: '0.6' is not"),
        ("trainset build a --feature f --validation nan", "--validation: 'nan' is not"),
        ("train --device gpu:", "--device: 'gpu:' is not auto, cpu, gpu, or gpu:N"),
        ("preprocess a --lowpass 1.5", "--lowpass: '1.5' is not a number from 0 to 1"),
        ("preprocess a --lowpass nan", "--lowpass: 'nan' is not"),
        ("preprocess a --highpass=-1", "--highpass: '-1' is not a number from 0"),
        ("preprocess a --highpass nan", "--highpass: 'nan' is not"),
        ("preprocess a --clamp nan", "--clamp: 'nan' is not"),
        ("preprocess a --clamp inf", "--clamp: 'inf' is not"),
        ("apply r a --threads 0", "--threads: '0' is not"),
        ("apply r a --tta 2", "--tta: '2' is not 1, 4 or 8"),
    ],
)
def test_the_error_for_an_invalid_value_names_the_option(line: str, reported: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(line.split())
    assert reported in caught.value.fault


def test_a_form_field_is_parsed_like_its_option() -> None:
    train, run = COMMANDS["train"], COMMANDS["run"]
    assert parse_field(train.option("epochs"), " 3 ") == 3
    assert parse_field(train.option("epochs"), " ") is None
    assert parse_field(run.option("labels"), "") == "merged"
    assert parse_field(run.option("tomograms"), "a, b") == ("a", "b")
    assert parse_field(run.option("tomograms"), "") == ()
    with pytest.raises(
        UsageError, match=r"Epochs is 'many'. Enter a whole number from 1, or leave it empty for the default"
    ):
        parse_field(train.option("epochs"), "many")


def test_a_request_can_be_stored_in_a_job() -> None:
    arguments = parse(["apply", "r", "a", "--feature", "f", "--tta", "4", "--half"])
    assert msgspec.to_builtins(request_from(arguments, ApplyRequest))["features"] == ("f",)
