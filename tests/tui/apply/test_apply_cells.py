"""The state of a network for a tomogram, as short and full text."""

import msgspec
import pytest
from helpers.map_project import band, begin_maps, give_job, give_map, give_network

from tomoseg_tui.jobs.job import JobState
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import FilterStep, TomogramRecord, read_record, write_record
from tomoseg_tui.tui.apply.apply_cells import Cell, CellState, cell_for
from tomoseg_tui.tui.apply.disk_state import apply_jobs, map_view, read_apply_state
from tomoseg_tui.tui.state.snapshot import read_snapshot
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest

BOTH = ApplyRequest(run="both", tomograms=("alpha", "beta"))
ROWS = band(slice(0, 8))


@pytest.fixture
def networked(small_project: Project) -> Project:
    """The small project with a network for both features."""
    give_network(small_project)
    return small_project


def change(project: Project, name: str, **changes: object) -> None:
    path = project.layout.tomogram_record(name)
    write_record(path, msgspec.structs.replace(read_record(path, TomogramRecord), **changes))


def cell(project: Project, tomogram: str = "alpha", run: str = "both") -> Cell:
    facts = read_snapshot(project)
    found = read_apply_state(facts, {})
    card, record = facts.network(run), facts.tomogram(tomogram)
    assert card is not None
    assert record is not None
    return cell_for(facts, apply_jobs(facts, found.requests), found.compatibility[run, tomogram], card, record)


def test_a_matching_tomogram_is_empty_and_can_be_marked(networked: Project) -> None:
    assert (cell(networked).state, cell(networked).can_mark) == (CellState.EMPTY, True)


def test_another_voxel_size_is_refused_with_both_values(networked: Project) -> None:
    change(networked, "alpha", voxel_size_angstrom=5.0)
    refused = cell(networked)
    assert (refused.state, refused.can_mark) == (CellState.REFUSED, False)
    assert refused.text == "no: 5, not 10 Å"
    assert "tomoseg preprocess alpha --bin 2" in refused.reason


def test_other_filters_are_refused_but_can_be_overridden(networked: Project) -> None:
    change(networked, "alpha", chain=(FilterStep(0.25, 5.0, 3.0),))
    refused = cell(networked)
    assert (refused.state, refused.text, refused.can_mark) == (CellState.REFUSED, "no: other filters", True)


def test_the_other_polarity_is_inverted_and_not_refused(networked: Project) -> None:
    change(networked, "alpha", polarity="bright")
    assert cell(networked).state is CellState.EMPTY
    assert "is inverted" in cell(networked).reason


def test_maps_are_done_stale_or_partial(networked: Project) -> None:
    give_map(networked, "alpha", "both.microtubule", ROWS)
    assert (cell(networked).state, cell(networked).text) == (CellState.PART, "1 of 2 maps")
    give_map(networked, "alpha", "both.membrane", ROWS)
    assert cell(networked).state is CellState.DONE
    give_map(networked, "alpha", "both.membrane", ROWS, slices=[(0, 8)])
    give_map(networked, "alpha", "both.microtubule", ROWS, slices=[(0, 8)])
    assert (cell(networked).state, cell(networked).text) == (CellState.PART, "z 0-7")
    give_network(networked, weights_digest="later")
    assert (cell(networked).state, cell(networked).can_mark) == (CellState.STALE, True)


def test_a_job_processes_its_tomograms_in_order(networked: Project) -> None:
    give_job(networked, BOTH, JobState.RUNNING, progress=0.25)
    first, second = cell(networked), cell(networked, "beta")
    assert (first.state, first.text, first.can_mark) == (CellState.RUNNING, "██░░░  50% 01:35", False)
    assert second.state is CellState.QUEUED
    give_map(networked, "alpha", "both.microtubule", ROWS, created="2099-01-01T00:00:00Z")
    give_map(networked, "alpha", "both.membrane", ROWS, created="2099-01-01T00:00:00Z")
    assert cell(networked).state is CellState.DONE


def test_a_job_for_one_feature_is_done_when_its_map_exists(networked: Project) -> None:
    request = ApplyRequest(run="both", tomograms=("alpha",), features=("membrane",))
    give_job(networked, request, JobState.RUNNING, progress=0.9)
    give_map(networked, "alpha", "both.microtubule", ROWS, created="2099-01-01T00:00:00Z")
    assert cell(networked).state is CellState.RUNNING


@pytest.mark.parametrize("state", [JobState.STOPPED, JobState.FAILED])
def test_an_interrupted_job_is_reported_and_can_be_marked_again(networked: Project, state: JobState) -> None:
    give_job(networked, BOTH, state, progress=0.4)
    broken = cell(networked)
    assert (broken.state, broken.text, broken.can_mark) == (str(state), f"{state} 40%", True)
    assert "r resumes it" in broken.reason


def test_the_finished_slabs_of_an_unfinished_map_are_shown(networked: Project) -> None:
    job = give_job(networked, BOTH, JobState.RUNNING, progress=0.1)
    begin_maps(networked, job, BOTH, "alpha", 2)
    facts = read_snapshot(networked)
    jobs = apply_jobs(facts, read_apply_state(facts, {}).requests)
    view = map_view(facts, jobs, "both", "alpha")
    assert view is not None
    assert [(source.feature, source.filled_ranges) for source in view.sources] == [
        ("microtubule", ((0, 12),)),
        ("membrane", ((0, 12),)),
    ]
    assert view.newest_z == 6
    other = map_view(facts, jobs, "both", "beta")
    assert other is not None
    assert other.sources == ()
    assert map_view(facts, jobs, "both", "gone") is None


def test_without_a_job_finished_maps_are_shown_in_the_order_of_the_card(networked: Project) -> None:
    give_map(networked, "alpha", "both.membrane", ROWS, threshold=0.25)
    give_map(networked, "alpha", "both.microtubule", ROWS)
    facts = read_snapshot(networked)
    view = map_view(facts, [], "both", "alpha")
    assert view is not None
    assert [(source.feature, source.threshold) for source in view.sources] == [("microtubule", 0.5), ("membrane", 0.25)]
    assert view.newest_z is None
