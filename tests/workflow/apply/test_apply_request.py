"""Checks that a network and a tomogram fit, and the fixes if they do not."""

from pathlib import Path

import msgspec
import pytest
from helpers.cli_runner import bring, make_card, noise, put_card, write_map

from tomoseg_tui.errors import ProjectError, TomosegError, TrainingError, UsageError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import FilterStep
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest, check_apply

CHAIN = (FilterStep(0.25, 5.0, 3.0),)
REQUEST = ApplyRequest(run="run", tomograms=("cell",))


def ask(project: Project, **changes: object) -> list[str]:
    return check_apply(project, msgspec.structs.replace(REQUEST, **changes))


def test_a_network_that_fits_is_applied_without_remarks(cell: Project) -> None:
    put_card(cell, make_card(voxel_size_angstrom=10.4))
    assert ask(cell) == []


@pytest.mark.parametrize(
    ("voxel_size", "chain", "fix"),
    [
        (20.0, (), "tomoseg preprocess cell --bin 2 --no-filter"),
        (39.0, (), "tomoseg preprocess cell --bin 4 --no-filter"),
        (20.0, CHAIN, "tomoseg preprocess cell --bin 2 --lowpass 0.25 --highpass 5 --clamp 3"),
        (15.0, (), "binning cannot match them"),
        (5.0, (), "binning cannot match them"),
    ],
)
def test_another_voxel_size_is_refused_with_the_command_that_fixes_it(
    cell: Project, voxel_size: float, chain: tuple[FilterStep, ...], fix: str
) -> None:
    put_card(cell, make_card(voxel_size_angstrom=voxel_size, preprocessing=chain))
    with pytest.raises(TrainingError) as caught:
        ask(cell, anyway=True)
    assert f"cell has 10 Å/voxel, the network run was trained at {voxel_size:g}" in caught.value.fault
    assert fix in caught.value.fix


def test_another_filter_history_is_refused_unless_anyway_is_given(cell: Project) -> None:
    put_card(cell, make_card(preprocessing=CHAIN))
    with pytest.raises(TrainingError) as caught:
        ask(cell)
    assert "tomoseg preprocess cell --lowpass 0.25 --highpass 5 --clamp 3" in caught.value.fix
    assert "is applied anyway" in ask(cell, anyway=True)[0]
    bring(cell, "cell__preproc", noise((8, 128, 128)), chain=CHAIN)
    with pytest.raises(TrainingError, match="no filter") as caught:
        ask(cell)
    assert "Apply it to cell__preproc" in caught.value.fix
    assert ask(cell, tomograms=("cell__preproc",)) == []


def test_the_other_polarity_is_inverted_with_a_remark(cell: Project) -> None:
    put_card(cell, make_card(polarity="bright"))
    assert "cell is inverted: its protein is dark, that of run bright" in ask(cell)[0]


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"run": "lost"}, ProjectError, "no network 'lost'"),
        ({"tomograms": ("lost",)}, ProjectError, "no tomogram 'lost'"),
        ({"features": ("actin",)}, TrainingError, "has no feature actin; it has tube, wall"),
        ({"z": "5:99"}, ProjectError, "the slices are 0 to 7"),
        ({"output": "/tmp/map.mrc"}, UsageError, "there are 2 maps"),
        ({"output": "/tmp/map.hdf", "features": ("tube",)}, UsageError, "not the name of an MRC file"),
    ],
)
def test_an_invalid_apply_request_is_refused(
    cell: Project, changes: dict[str, object], kind: type[TomosegError], message: str
) -> None:
    put_card(cell, make_card(features=("tube", "wall")))
    with pytest.raises(kind) as caught:
        ask(cell, **changes)
    assert message in caught.value.fault


def test_an_output_path_is_relative_to_the_project_and_not_replaced(cell: Project) -> None:
    put_card(cell, make_card())
    (cell.layout.root / "out.mrc").touch()
    with pytest.raises(ProjectError, match=r"out.mrc exists"):
        ask(cell, output="out.mrc")
    assert ask(cell, output="out.mrc", force=True) == []
    assert cell.layout.stored_path(Path(cell.layout.root / "out.mrc")) == "out.mrc"


def test_dots_in_names_never_give_two_maps_one_file(cell: Project) -> None:
    write_map(cell, "a.b.c", noise((8, 128, 128)) & 127)  # the map of feature b.c of run a
    put_card(cell, make_card("a.b", features=("c",)))
    with pytest.raises(ProjectError, match=r"cell/a.b.c is the map of b.c by a already"):
        ask(cell, run="a.b")


def test_a_run_without_an_epoch_is_refused(cell: Project) -> None:
    cell.layout.network_folder("young").mkdir()
    with pytest.raises(ProjectError, match="young has no finished epoch yet"):
        ask(cell, run="young")
