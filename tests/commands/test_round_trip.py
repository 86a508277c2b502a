"""Round trips between requests and command lines, for all commands and options."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomoseg_tui.cli.exchange import mask_import_request
from tomoseg_tui.cli.parser import parse
from tomoseg_tui.commands.options import (
    DEVICE_NAME,
    PATH,
    POSITION,
    TEXT,
    Command,
    ExclusiveOptions,
    Option,
    request_from,
    to_argv,
)
from tomoseg_tui.commands.results import APPLY, LABEL_PAIR, TTA_COPIES
from tomoseg_tui.commands.table import COMMANDS
from tomoseg_tui.commands.tomograms import IMPORT, PREPROCESS
from tomoseg_tui.commands.training import AUDIT, RUN, TRAIN, TRAINSET_BUILD
from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.tui.annotate.mask_files import MaskImportChoice
from tomoseg_tui.tui.tiles.import_boxes_dialog import BoxImportRequest
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest
from tomoseg_tui.workflow.audit.audit_request import AuditRequest
from tomoseg_tui.workflow.batch_run import BatchRunRequest
from tomoseg_tui.workflow.eman2.box_sets import Meaning, format_set_map, parse_set_map
from tomoseg_tui.workflow.eman2.import_plan import Eman2ImportRequest
from tomoseg_tui.workflow.tomograms.import_tomograms import ImportRequest
from tomoseg_tui.workflow.tomograms.preprocessing import PreprocessRequest
from tomoseg_tui.workflow.training.train_request import TrainRequest
from tomoseg_tui.workflow.training.trainset import TrainsetRequest

TEXTS = st.text(min_size=1, max_size=8)
NAMES = TEXTS.filter(lambda text: not text.startswith("-"))
PATHS = TEXTS.filter(lambda text: "\0" not in text).map(Path)
NUMBERS = st.one_of(st.floats(0, 0.5), st.floats(0, 1), st.floats(allow_nan=False, allow_infinity=False))
BY_KIND = {
    id(TEXT): TEXTS,
    id(PATH): PATHS,
    id(DEVICE_NAME): st.from_regex(r"\A(auto|cpu|gpu(:[0-9]{1,3})?)\Z"),
    id(POSITION): st.tuples(*[st.integers(-999, 9999)] * 3),
    id(LABEL_PAIR): st.tuples(st.integers(0, 2**31), st.integers(0, 2**31)),
    id(TTA_COPIES): st.sampled_from([1, 4, 8]),
}


def accepts(option: Option, value: object) -> bool:
    try:
        return bool(option.kind.parse(option.kind.format(value)) == value)
    except ValueError:
        return False


def value_of(option: Option) -> st.SearchStrategy[Any]:
    """Return any valid value of an option."""
    if option.is_flag:
        return st.just(option.stores)
    if option.is_switch:
        return st.booleans()
    if option.choices:
        choice = st.sampled_from(option.choices)
        return st.lists(choice, min_size=1, max_size=3).map(tuple) if option.is_multiple else choice
    numbers = st.integers(0, 2**31) if "whole" in option.kind.expected else NUMBERS
    values = BY_KIND.get(id(option.kind), numbers.filter(lambda value: accepts(option, value)))
    if option.kind is TEXT and (option.is_positional or option.nargs == "+"):
        values = NAMES  # names and ids never begin with a dash
    if option.is_multiple:
        return st.lists(values, min_size=1, max_size=3).map(tuple)
    return values | st.just("") if option.nargs == "?" and not option.is_positional else values


@st.composite
def values_of(draw: st.DrawFn, command: Command) -> dict[str, Any]:
    """Return a valid combination of option values of a command; other options keep their defaults."""
    values: dict[str, Any] = {}
    for entry in command.entries:
        option = draw(st.sampled_from(entry.options)) if isinstance(entry, ExclusiveOptions) else entry
        is_needed = entry.is_required or (option.is_positional and option.nargs != "?")
        if is_needed or draw(st.booleans()):
            values[option.key] = draw(value_of(option))
    return values


def with_defaults(command: Command, values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of all options."""
    return {option.key: () if option.is_multiple else option.default for option in command.options} | values


@pytest.mark.parametrize("command", [pytest.param(command, id=name) for name, command in COMMANDS.items()])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_command_line_parses_back_to_its_values(command: Command, data: st.DataObject) -> None:
    expected = with_defaults(command, data.draw(values_of(command)))
    arguments = vars(parse(to_argv(command, **expected)))
    assert {key: arguments[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("command", "request_type"),
    [
        (IMPORT, ImportRequest),
        (PREPROCESS, PreprocessRequest),
        (TRAINSET_BUILD, TrainsetRequest),
        (TRAIN, TrainRequest),
        (AUDIT, AuditRequest),
        (RUN, BatchRunRequest),
        (APPLY, ApplyRequest),
    ],
)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_command_line_of_a_request_makes_the_same_request(
    command: Command, request_type: type[Any], data: st.DataObject
) -> None:
    values = with_defaults(command, data.draw(values_of(command)))
    fields = {name: value for name, value in values.items() if name in request_type.__annotations__}
    request = request_type(**fields)
    others = {name: value for name, value in values.items() if name not in fields}
    assert request_from(parse(to_argv(command, request, **others)), request_type) == request


MEANINGS = st.dictionaries(
    TEXTS, st.builds(Meaning, st.sampled_from(["tube", "wall"]), st.booleans()) | st.just(Meaning("*", negative=True))
)


@settings(max_examples=25, deadline=None)
@given(
    request=st.builds(
        Eman2ImportRequest,
        folder=PATHS,
        link=st.booleans(),
        voxel_size_angstrom=st.none() | st.floats(0.1, 100),
        polarity=st.sampled_from(["dark", "bright"]),
        meanings=MEANINGS,
        version=st.none() | TEXTS,
    )
)
def test_the_command_line_of_an_eman2_import_makes_the_same_request(request: Eman2ImportRequest) -> None:
    arguments = parse(to_argv(IMPORT, request, map=format_set_map(request.meanings)))
    assert request_from(arguments, Eman2ImportRequest, meanings=parse_set_map(arguments.map)) == request


@settings(max_examples=25, deadline=None)
@given(request=st.builds(BoxImportRequest, path=PATHS, tomogram=NAMES, meanings=MEANINGS))
def test_the_command_line_of_a_box_import_makes_the_same_request(request: BoxImportRequest) -> None:
    arguments = parse(request.argv(Path("/project")))
    assert (arguments.file, arguments.tomogram) == (request.path, request.tomogram)
    assert parse_set_map(arguments.map) == request.meanings


LOCATIONS = st.builds(TileLocation, st.sampled_from(["a", "b__bin2"]), *[st.integers(0, 999)] * 3)


@settings(max_examples=25, deadline=None)
@given(
    choice=st.builds(
        MaskImportChoice,
        path=PATHS,
        tomogram=NAMES,
        labels=st.lists(st.sampled_from(["1=tube", "-127=wall", "#ff0000=tube"]), unique=True).map(tuple),
        replace=st.booleans(),
    )
    | st.builds(MaskImportChoice, path=PATHS, tomogram=st.none(), places=st.lists(LOCATIONS).map(tuple), feature=TEXTS)
)
def test_the_command_line_of_a_mask_import_makes_the_same_request(choice: MaskImportChoice) -> None:
    assert mask_import_request(parse(choice.argv())) == choice.request()


def test_a_path_that_begins_with_a_dash_is_not_read_as_an_option() -> None:
    argv = to_argv(IMPORT, ImportRequest(name="-n"), files=["-a.mrc"])
    assert argv == ["import", "./-a.mrc", "--name=-n"]


@pytest.mark.parametrize(
    ("command", "request_", "line"),
    [
        (
            TRAIN,
            TrainRequest(
                name="run", features=("a", "b"), network="eman2", made_from="old", epochs=3, learning_rate=1e-3,
                batch=4, device="gpu:1", seed=0, validation=0.0, version="preproc",
            ),
            (
                "train --feature a --feature b --name run --network eman2 --from old --epochs 3 --learning-rate 0.001 "
                "--batch 4 --device gpu:1 --seed 0 --validation 0 --version preproc"
            ),
        ),
        (AUDIT, AuditRequest(name="", trainset="set"), "audit --trainset set"),
        (RUN, BatchRunRequest(("a",)), "run --feature a --all"),
        (
            RUN,
            BatchRunRequest(("a", "b"), ("t",), "n", True, "eman2", 3, "gpu:1", 7, "l"),
            (
                "run --feature a --feature b --tomogram t --name n --together --network eman2 --epochs 3 "
                "--device gpu:1 --seed 7 --labels l"
            ),
        ),
        (
            TRAINSET_BUILD,
            TrainsetRequest(("a", "b"), 0.1, "preproc"),
            "trainset build --feature a --feature b --validation 0.1 --version preproc",
        ),
        (PREPROCESS, PreprocessRequest(("a",), factor=2, filtered=False), "preprocess a --bin 2 --no-filter"),
    ],
)  # fmt: skip
def test_options_are_written_by_name_and_defaults_are_left_out(command: Command, request_: object, line: str) -> None:
    assert to_argv(command, request_) == line.split()


def test_the_run_location_is_written_too() -> None:
    request = ApplyRequest(run="r", tomograms=("a",), half=False)
    assert to_argv(APPLY, request, slurm="")[3:] == ["--no-half", "--slurm"]
    assert to_argv(APPLY, request, here=True, now=True)[3:] == ["--no-half", "--here", "--now"]
