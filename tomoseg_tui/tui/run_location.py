"""Where a job is to compute, and whether it waits in line: the choices, and the options that say them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tomoseg_tui.project.project_settings import ProjectSettings
from tomoseg_tui.project.slurm_settings import SlurmSettings


@dataclass(frozen=True)
class RunLocation:
    """One choice."""

    title: str
    starts_at_once: bool = False
    """Whether it begins whatever its device is at."""
    in_slurm: bool = False
    options: Mapping[str, object] = field(default_factory=dict)
    """Options of the command; none for what the project does anyway."""

    def slurm_settings(self, settings: ProjectSettings) -> SlurmSettings | None:
        """Return what to ask Slurm for; None if the job is to compute here."""
        return settings.slurm if self.in_slurm else None


def run_locations(settings: ProjectSettings, *, has_slurm: bool) -> tuple[RunLocation, ...]:
    """Return the choices there are, the project's usual one first.

    Parameters
    ----------
    settings : ProjectSettings
        The project's.
    has_slurm : bool
        Whether this machine can hand a job to Slurm; else it is offered only where the project speaks of it.
    """
    is_slurm_default = settings.always_slurm
    here = {"here": True} if is_slurm_default else {}
    local_locations = (
        RunLocation("here, in line", options=here),
        RunLocation("here, at once", starts_at_once=True, options={**here, "now": True}),
    )
    slurm_location = RunLocation("Slurm", in_slurm=True, options={} if is_slurm_default else {"slurm": ""})
    if is_slurm_default:
        return slurm_location, *local_locations
    return (*local_locations, slurm_location) if has_slurm or settings.slurm != SlurmSettings() else local_locations
