"""The command line: commands and folders, common options, light imports, exit codes."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.cli_runner import Run, Tomoseg, digest_of, make_card, put_card, write_map

from tomoseg_tui import __version__
from tomoseg_tui.cli import main as front
from tomoseg_tui.cli.parser import build_parser, parse
from tomoseg_tui.errors import UsageError
from tomoseg_tui.project.catalog import Project

Door = Callable[..., Run]

WAKING = """
import json, sys
from tomoseg_tui.cli.main import run
for words in json.loads(sys.argv[2]):
    try:
        run(words)
    except SystemExit:
        pass
loaded = [name for name in sys.argv[1].split(",") if name in sys.modules]
print("LOADED", *loaded, file=sys.stderr)
"""


def modules_loaded_by(watched: str, *commands: tuple[str, ...], folder: Path) -> str:
    arguments = [sys.executable, "-c", WAKING, watched, json.dumps(commands)]
    return subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=True).stderr.splitlines()[-1]


def test_help_imports_no_heavy_package(tmp_path: Path) -> None:
    watched = "numpy,scipy,rich,textual,tensorflow,keras,h5py,msgspec,PIL,tifffile,psutil"
    commands = (("--help",), ("import", "--help"), ("tiles", "add", "-h"), ("--version",))
    assert modules_loaded_by(watched, *commands, folder=tmp_path) == "LOADED"


def test_an_import_of_a_file_imports_no_code_for_eman2_jobs_or_estimates(project: Project, cell: Path) -> None:
    watched = (
        "tomoseg_tui.workflow.eman2,tomoseg_tui.workflow.estimates,tomoseg_tui.jobs,tomoseg_tui.workflow.merge,h5py"
    )
    assert modules_loaded_by(watched, ("import", str(cell)), folder=project.layout.root) == "LOADED"
    assert list(project.layout.tomograms.iterdir())


def test_commands_that_filter_nothing_start_without_scipy(with_cell: Project) -> None:
    commands = (
        ("tomograms",), ("tiles", "list"), ("annotations", "list"), ("jobs",), ("apply", "run", "cell", "--estimate"),
        ("merge", "cell", "--estimate"), ("train", "--feature", "lost", "--estimate"),
    )  # fmt: skip
    assert modules_loaded_by("scipy", *commands, folder=with_cell.layout.root) == "LOADED"


def test_no_command_imports_tensorflow(with_cell: Project) -> None:
    put_card(with_cell, make_card())
    commands = (
        ("tomograms",), ("jobs",), ("networks",), ("show", "cell", "--json"), ("tiles", "list"), ("trainset", "list"),
        ("apply", "run", "lost"), ("merge", "cell", "--map", "run=card"), ("train", "--feature", "lost"),
        ("preprocess", "lost"), ("evaluate", "cell", "cell", "--label", "1"), ("export", "cell", "-o", "out.tif"),
    )  # fmt: skip
    assert modules_loaded_by("tensorflow,keras,textual", *commands, folder=with_cell.layout.root) == "LOADED"


def test_the_program_and_its_module_are_the_same(tmp_path: Path) -> None:
    tomoseg = Tomoseg(tmp_path)
    assert tomoseg("--version").out == f"tomoseg {__version__}\n"
    script = Path(sys.executable).with_name("tomoseg")
    if script.exists():
        done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout == f"tomoseg {__version__}\n"


def test_help_lists_every_command() -> None:
    assert build_parser()[1] == {
        "init", "import", "preprocess", "tomograms", "features", "show", "tiles", "annotations", "trainset", "train",
        "audit", "audits", "networks", "run", "apply", "merge", "evaluate", "export", "jobs", "demo",
    }  # fmt: skip


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_completion_script_is_printed(door: Door, capsys: pytest.CaptureFixture[str], shell: str) -> None:
    with pytest.raises(SystemExit) as ended:
        front.run(["--print-completion", shell])
    assert ended.value.code in {0, None}
    assert "annotations" in capsys.readouterr().out


@pytest.mark.parametrize("family", ["jobs", "tomograms", "networks", "features", "tiles", "annotations", "trainset"])
def test_a_family_without_a_subcommand_lists(door: Door, family: str) -> None:
    bare, listed = door(family, "--json"), door(family, "list", "--json")
    assert bare.out == listed.out == "[]\n"
    plain = door(family)
    assert not plain.out
    assert plain.err  # names what is missing, and the next step


def test_common_options_are_accepted_before_and_after_the_command(
    door: Door, with_cell: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = with_cell.layout.root
    expected = door("tomograms", "list", "--json").out
    monkeypatch.chdir(tmp_path)
    for arguments in (
        ("-p", root, "--json", "tomograms", "list"),
        ("tomograms", "list", "--json", f"--project={root}"),
        ("--json", "tomograms", "-p", root, "list"),
        ("--project", root, "tomograms", "--json"),
    ):
        assert door(*arguments).out == expected
    monkeypatch.chdir(root / "tiles")
    assert door("tomograms", "--json").out == expected


def test_outside_of_a_project_the_error_says_how_to_get_one(
    door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "is not in a tomoseg project" in door("tomograms", code=2).err
    assert "--project DIR" in door("-p", tmp_path, "tomograms", code=2).err
    assert "tomoseg init" in Tomoseg(tmp_path)(code=2).err


def test_an_argument_that_is_not_a_command_is_a_folder_to_open(project: Project, tmp_path: Path) -> None:
    outside = Tomoseg(tmp_path)
    assert "neither a command nor a folder" in outside("lost", code=2).err
    (tmp_path / "train").mkdir()
    shutil.copytree(project.layout.root, tmp_path / "train", dirs_exist_ok=True)
    assert "is not in a tomoseg project" in outside("train", "--feature", "x", code=2).err
    assert parse(["./train"]).dir == Path("train")
    assert parse(["--renderer", "ascii", "--no-mouse"]).renderer == "ascii"
    assert parse([]).dir is None
    assert parse(["-p", "x", "tiles"]).project == Path("x")
    (tmp_path / "plain").mkdir()
    assert "plain" in outside("plain", code=2).err


@pytest.mark.parametrize(
    "arguments",
    [
        ("tiles", "--colour"),
        ("tiles", "paint"),
        ("import",),
        ("tomograms", "rename", "a"),
        ("jobs", "stop"),
        ("jobs", "stop", "1", "2"),
        ("merge", "cell", "--map"),
        ("preprocess", "cell", "--bin", "0"),
        ("preprocess", "cell", "--bin", "two"),
        ("import", "x", "--polarity", "light"),
        ("import", "x", "--copy", "--link"),
        ("annotations", "set", "cell:1,2,3:64", "--feature", "f"),
        ("annotations", "set", "cell:1,2,3:64", "--feature", "f", "--none", "--done"),
        ("show", "cell", "--renderer", "postscript"),
        ("trainset", "build", "a"),
        ("export", "cell"),
    ],
)
def test_invalid_arguments_are_refused_and_the_fix_names_the_help(
    refused: Callable[..., str], arguments: tuple[str, ...]
) -> None:
    lines = refused(*arguments).splitlines()
    assert lines[0].startswith("tomoseg: ")
    assert lines[1].startswith("  See tomoseg ")
    assert "_" not in lines[0]  # no name of our functions


def test_an_internal_error_exits_with_1_and_its_traceback_is_in_a_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_words: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(front, "parse", broken)
    assert front.run(["tiles"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert "ZeroDivisionError: by zero" in err
    log = Path(err.split()[-1])
    assert "Traceback" in log.read_text()
    log.unlink()


def test_ctrl_c_exits_with_130(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_words: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(front, "parse", interrupted)
    assert front.run(["tiles"]) == 130


def test_a_closed_pipe_is_not_an_error(with_cell: Project) -> None:
    command = f"{sys.executable} -m tomoseg_tui show cell --renderer halfblock --width 200 | head -c 10"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=with_cell.layout.root, capture_output=True, check=False
    )
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr


def test_tables_are_printed_to_an_ascii_pipe(with_cell: Project) -> None:
    done = Tomoseg(with_cell.layout.root)("tomograms", env={"PYTHONIOENCODING": "ascii"})
    assert "?/voxel" in done.out


def test_every_command_that_changes_the_project_is_in_the_history(door: Door, project: Project, cell: Path) -> None:
    door("import", cell)
    door("features", "add", "tube")
    door("tiles", "add", "cell", "--at", "64,64,4", "--feature", "tube")
    door("annotations", "set", "cell:64,64,4:64", "--feature", "tube", "--done")
    door("features", "rename", "tube", "rod")
    door("tomograms", "rename", "cell", "lamella")
    door("tiles", "remove", "lamella:64,64,4:64")
    door("tomograms", "remove", "lamella")
    door("tomograms"), door("jobs"), door("tiles")
    door("features", "add", "rod", code=2)
    lines = [json.loads(line) for line in project.layout.history.read_text().splitlines()]
    verbs = [" ".join(line["command"].split()[1:3]) for line in lines]
    assert verbs == [
        f"import {cell}", "features add", "tiles add", "annotations set", "features rename", "tomograms rename",
        "tiles remove", "tomograms remove",
    ]  # fmt: skip
    assert {line["in"] for line in lines} == {"."}
    assert lines[2]["command"] == "tomoseg tiles add cell --at 64,64,4 --feature tube"


def test_the_history_begins_with_init_and_has_no_absolute_paths(
    door: Door, tmp_path: Path, cell: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "new"
    monkeypatch.chdir(tmp_path)
    assert "Next: tomoseg" in door("init", root).err
    door("-p", root, "import", cell, "--name", "a")
    door("import", cell, "--name", "b", f"--project={root}")
    shutil.copy(cell, root / "inside.mrc")
    monkeypatch.chdir(root)
    door("import", root / "inside.mrc")
    text = (root / "history.jsonl").read_text()
    assert [json.loads(line)["command"].split(" --name")[0] for line in text.splitlines()] == [
        "tomoseg init new",
        f"tomoseg -p new import {cell}",
        f"tomoseg import {cell}",
        "tomoseg import inside.mrc",
    ]
    assert str(root) not in text


def test_a_project_of_a_newer_format_is_read_only_and_the_user_is_informed(
    door: Door, refused: Callable[..., str], with_cell: Project, cell: Path, tmp_path: Path
) -> None:
    door("tiles", "add", "cell", "--at", "64,64,4", "--feature", "tube")
    write_map(with_cell, "run.tube", np.zeros((8, 128, 128), np.int8))
    put_card(with_cell, make_card())
    settings = with_cell.layout.settings
    settings.write_text(settings.read_text().replace("format = 1", "format = 2"))
    tile = "cell:64,64,4:64"
    table = tmp_path / "tiles.csv"
    table.write_text("tomogram,x,y,z,feature,kind\ncell,60,60,4,tube,positive\n")
    for arguments in (
        ("import", cell, "--name", "b"),
        ("preprocess", "cell"),
        ("tomograms", "rename", "cell", "b"),
        ("tomograms", "remove", "cell"),
        ("features", "add", "x"),
        ("features", "rename", "tube", "x"),
        ("tiles", "add", "cell", "--at", "60,60,4", "--feature", "tube"),
        ("tiles", "import", table),
        ("tiles", "remove", tile),
        ("annotations", "import", cell, "--tomogram", "cell", "--map", "1=tube"),
        ("annotations", "import", cell, "--tiles", tile, "--feature", "tube"),
        ("annotations", "set", tile, "--feature", "tube", "--none"),
        ("annotations", "set", tile, "--feature", "tube", "--done"),
        ("trainset", "build", "s", "--feature", "tube"),
        ("train", "--feature", "tube"),
        ("apply", "run", "cell"),
        ("merge", "cell", "--map", "run=0.5"),
        ("jobs", "stop", "1"),
        ("jobs", "kill", "1"),
        ("jobs", "resume", "1"),
    ):
        assert "it can only be read" in refused(*arguments), arguments
    before = digest_of(with_cell.layout.root)
    for look in ("tomograms", "tiles", "annotations", "networks", "features", "jobs"):
        assert "opened read-only" in door(look).err, look
    assert "opened read-only" in door("show", "cell").err
    out = tmp_path / "out.mrc"
    assert "opened read-only" in door("export", "cell", "-o", out).err
    assert digest_of(with_cell.layout.root) == before


def test_a_damaged_project_is_reported_as_damaged(door: Door, with_cell: Project, tmp_path: Path) -> None:
    with_cell.layout.settings.write_text("format = ")
    for arguments in (("tomograms",), ("show", "cell"), ("export", "cell", "-o", tmp_path / "x.mrc")):
        assert "project.toml cannot be read" in door(*arguments, code=2).err


def test_a_moved_project_works(door: Door, with_cell: Project, tmp_path: Path) -> None:
    door("tiles", "add", "cell", "--at", "64,64,4", "--feature", "tube")
    moved = Tomoseg(Path(shutil.move(with_cell.layout.root, tmp_path / "elsewhere")))
    (row,) = moved("tomograms", "--json").json
    assert row["path"] == str(tmp_path / "elsewhere" / "tomograms" / "cell" / "cell.mrc")
    assert moved("show", "cell", "--json").json["name"] == "cell"
    assert moved("tiles", "list", "--json").json[0]["id"] == "cell:64,64,4:64"


def test_the_error_of_a_parser_names_the_help_of_its_command() -> None:
    with pytest.raises(UsageError) as caught:
        parse(["tiles", "add", "cell"])
    assert caught.value.fix == "See tomoseg tiles add --help"
