"""Where a job can run, and the options for it."""

from tomoseg_tui.commands.options import to_argv
from tomoseg_tui.commands.results import APPLY
from tomoseg_tui.project.project_settings import ProjectSettings, SlurmSettings
from tomoseg_tui.tui.dialogs.form_fields import RunLocation, run_locations

GPU = SlurmSettings(partition="gpu")


def offered(settings: ProjectSettings, *, has_slurm: bool = False) -> dict[str, list[str]]:
    return {way.title: to_argv(APPLY, **way.options)[1:] for way in run_locations(settings, has_slurm=has_slurm)}


def test_without_slurm_a_job_runs_here_queued_or_immediately() -> None:
    assert offered(ProjectSettings()) == {"here, queued": [], "here, immediately": ["--now"]}


def test_slurm_is_offered_if_available_or_configured() -> None:
    assert offered(ProjectSettings(), has_slurm=True)["Slurm"] == ["--slurm"]
    assert offered(ProjectSettings(slurm=GPU))["Slurm"] == ["--slurm"]


def test_if_slurm_is_the_default_it_comes_first_and_here_needs_an_option() -> None:
    settings = ProjectSettings(slurm=GPU, always_slurm=True)
    assert offered(settings) == {
        "Slurm": [],
        "here, queued": ["--here"],
        "here, immediately": ["--here", "--now"],
    }
    assert next(iter(offered(settings))) == "Slurm"


def test_only_slurm_jobs_use_the_slurm_settings() -> None:
    assert RunLocation("Slurm", in_slurm=True).slurm_settings(ProjectSettings(slurm=GPU)) == GPU
    assert RunLocation("here").slurm_settings(ProjectSettings(slurm=GPU, always_slurm=True)) is None
