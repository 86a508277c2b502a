"""Where a job can compute, and the options that say it."""

from tomoseg_tui.commands.options import to_argv
from tomoseg_tui.commands.results import APPLY
from tomoseg_tui.project.project_settings import ProjectSettings, SlurmSettings
from tomoseg_tui.tui.dialogs.form_fields import RunLocation, run_locations

GPU = SlurmSettings(partition="gpu")


def offered(settings: ProjectSettings, *, has_slurm: bool = False) -> dict[str, list[str]]:
    return {way.title: to_argv(APPLY, **way.options)[1:] for way in run_locations(settings, has_slurm=has_slurm)}


def test_without_slurm_a_job_computes_here_in_line_or_at_once() -> None:
    assert offered(ProjectSettings()) == {"here, queued": [], "here, immediately": ["--now"]}


def test_slurm_is_offered_where_it_is_or_where_the_project_speaks_of_it() -> None:
    assert offered(ProjectSettings(), has_slurm=True)["Slurm"] == ["--slurm"]
    assert offered(ProjectSettings(slurm=GPU))["Slurm"] == ["--slurm"]


def test_where_slurm_is_usual_it_comes_first_and_what_is_here_must_be_said() -> None:
    settings = ProjectSettings(slurm=GPU, always_slurm=True)
    assert offered(settings) == {
        "Slurm": [],
        "here, queued": ["--here"],
        "here, immediately": ["--here", "--now"],
    }
    assert next(iter(offered(settings))) == "Slurm"


def test_only_what_goes_to_slurm_takes_its_settings() -> None:
    assert RunLocation("Slurm", in_slurm=True).slurm_settings(ProjectSettings(slurm=GPU)) == GPU
    assert RunLocation("here").slurm_settings(ProjectSettings(slurm=GPU, always_slurm=True)) is None
