"""Files to import: problems, and the commands that import them."""

import gzip
import json
from pathlib import Path

import pytest
from helpers.cli_runner import noise, write_mrc

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.importing.import_files import (
    ImportFile,
    first_problem,
    group_into_batches,
    import_all,
    import_argv,
    import_problem,
    read_import_file,
)
from tomoseg_tui.workflow.tomograms.import_tomograms import ImportRequest

USUAL = ImportRequest()


def candidate(folder: Path, name: str = "one.mrc", *, voxel_size: float = 10.0) -> ImportFile:
    return read_import_file(write_mrc(folder / name, noise(), voxel_size=voxel_size), USUAL)


def test_a_good_file_is_ready(tmp_path: Path) -> None:
    assert import_problem(candidate(tmp_path), ()) == ("", "")


@pytest.mark.parametrize("voxel_size", [0.0, 1.0])
def test_an_unknown_voxel_size_is_requested(tmp_path: Path, voxel_size: float) -> None:
    unknown = candidate(tmp_path, voxel_size=voxel_size)
    assert import_problem(unknown, ())[0] == "voxel size?"
    assert import_problem(unknown.with_options(voxel_size_angstrom=1.0), ()) == ("", "")


def test_a_taken_name_is_reported_and_can_be_changed(tmp_path: Path) -> None:
    one = candidate(tmp_path)
    assert import_problem(one, {"one"})[0] == "name taken"
    assert import_problem(one.with_options(name="two"), {"one"}) == ("", "")


def test_a_file_that_is_not_a_volume_is_reported_with_its_error(tmp_path: Path) -> None:
    (tmp_path / "x.mrc").write_text("words")
    label, text = import_problem(read_import_file(tmp_path / "x.mrc", USUAL), ())
    assert label == "unreadable"
    assert "text file" in text


def test_options_that_change_a_file_cannot_be_combined_with_a_link(tmp_path: Path) -> None:
    linked = candidate(tmp_path).with_options(link=True)
    assert import_problem(linked, ()) == ("", "")
    assert import_problem(linked.with_options(factor=2), ())[0] == "link?"
    (tmp_path / "one.mrc.gz").write_bytes(gzip.compress((tmp_path / "one.mrc").read_bytes()))
    packed = read_import_file(tmp_path / "one.mrc.gz", ImportRequest(link=True))
    assert import_problem(packed, ())[0] == "compressed"


def test_two_files_of_one_name_are_reported(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    files = [candidate(tmp_path), candidate(tmp_path / "b")]
    assert first_problem(files, ()) == 1
    assert first_problem([files[0], files[1].with_options(name="other")], ()) is None


def test_the_command_has_every_option(tmp_path: Path) -> None:
    request = ImportRequest(
        name="n", voxel_size_angstrom=13.48, polarity="bright", factor=2, invert=True, byte_sign="unsigned"
    )
    argv = import_argv([tmp_path / "a.mrc"], request, tmp_path)
    assert " ".join(argv) == (
        "import a.mrc --name n --voxel-size 13.48 --polarity bright --bin 2 --invert --bytes unsigned"
    )
    assert import_argv([tmp_path / "a.mrc"], ImportRequest(link=True), tmp_path / "p")[2:] == ["--link"]


def test_the_command_is_accepted_by_the_command_line(tmp_path: Path) -> None:
    from tomoseg_tui.cli.parser import parse

    request = ImportRequest(name="n", voxel_size_angstrom=1.5, factor=3, byte_sign="signed")
    parsed = parse(import_argv([tmp_path / "a.mrc"], request, tmp_path))
    assert (parsed.name, parsed.voxel_size_angstrom, parsed.factor, parsed.byte_sign) == ("n", 1.5, 3, "signed")


def test_files_with_the_same_options_share_a_command(tmp_path: Path) -> None:
    a, b, c = (candidate(tmp_path, f"{name}.mrc") for name in "abc")
    wanted = group_into_batches([a, b, c.with_options(factor=2)])
    assert [[path.name for path in files] for files, _ in wanted] == [["a.mrc", "b.mrc"], ["c.mrc"]]


def test_renamed_files_have_their_own_commands(tmp_path: Path) -> None:
    a, b = (candidate(tmp_path, f"{name}.mrc") for name in "ab")
    assert len(group_into_batches([a.with_options(name="x"), b.with_options(name="y")])) == 2


def test_batches_are_imported_and_all_but_the_last_recorded(project: Project, tmp_path: Path) -> None:
    a, b = (candidate(tmp_path, f"{name}.mrc") for name in "ab")
    done: list[float] = []
    result = import_all(project, group_into_batches([a, b.with_options(factor=2)]), done.append)
    assert result.names == ("a", "b")
    assert catalog.load_tomogram(project.layout, "b").binned == 2
    assert [json.loads(line)["command"] for line in project.layout.history.read_text().splitlines()] == [
        f"tomoseg import {tmp_path / 'a.mrc'}"
    ]
    assert done == sorted(done)
    assert done[-1] == 1.0


def test_tomograms_imported_before_an_error_are_named(project: Project, tmp_path: Path) -> None:
    a, b = (candidate(tmp_path, f"{name}.mrc") for name in "ab")
    (tmp_path / "b.mrc").unlink()
    with pytest.raises(TomosegError, match="Imported before it: a"):
        import_all(project, group_into_batches([a, b.with_options(factor=2)]), lambda _done: None)
    assert catalog.tomogram_names(project.layout) == ["a"]
