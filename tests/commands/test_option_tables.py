"""The tables of commands: every option is explained, reads what it may be, and starts where its request does."""

import msgspec
import pytest

from tomoseg_tui.cli.parser import parse
from tomoseg_tui.commands.options import Option, parse_field, request_from
from tomoseg_tui.commands.table import COMMANDS, OPEN
from tomoseg_tui.errors import UsageError
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest
from tomoseg_tui.workflow.audit.audit_request import AuditRequest
from tomoseg_tui.workflow.batch_run import BatchRunRequest
from tomoseg_tui.workflow.tomograms.import_tomograms import ImportRequest
from tomoseg_tui.workflow.tomograms.preprocessing import PreprocessRequest
from tomoseg_tui.workflow.training.train_request import TrainRequest

OPTIONS = [
    pytest.param(option, id=f"{command.name} {option.names}")
    for command in (OPEN, *COMMANDS.values())
    for option in command.options
]


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_has_a_sentence_and_says_what_is_done_without_it(option: Option) -> None:
    assert option.help
    may_be_left_out = not (option.is_flag or option.is_required or option.is_multiple)
    if may_be_left_out and not (option.is_positional and option.nargs is None):
        assert "default" in option.description


@pytest.mark.parametrize(
    ("words", "request_"),
    [
        ("train", TrainRequest(name="")),
        ("audit", AuditRequest(name="")),
        ("run --feature f --all", BatchRunRequest(("f",))),
        ("apply r a b", ApplyRequest(run="r", tomograms=("a", "b"))),
        ("preprocess a", PreprocessRequest(("a",))),
        ("import a.mrc", ImportRequest()),
    ],
)
def test_a_command_without_options_asks_for_what_its_request_begins_with(words: str, request_: object) -> None:
    assert request_from(parse(words.split()), type(request_)) == request_


@pytest.mark.parametrize(
    ("words", "said"),
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
def test_what_no_option_can_be_is_refused_by_name(words: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(words.split())
    assert said in caught.value.fault


def test_a_field_is_read_as_its_option_is() -> None:
    train, run = COMMANDS["train"], COMMANDS["run"]
    assert parse_field(train.option("epochs"), " 3 ") == 3
    assert parse_field(train.option("epochs"), " ") is None
    assert parse_field(run.option("labels"), "") == "merged"
    assert parse_field(run.option("tomograms"), "a, b") == ("a", "b")
    assert parse_field(run.option("tomograms"), "") == ()
    with pytest.raises(UsageError, match=r"Epochs is 'many'. Write a whole number from 1"):
        parse_field(train.option("epochs"), "many")


def test_every_request_can_be_written_into_a_job() -> None:
    arguments = parse(["apply", "r", "a", "--feature", "f", "--tta", "4", "--half"])
    assert msgspec.to_builtins(request_from(arguments, ApplyRequest))["features"] == ("f",)
