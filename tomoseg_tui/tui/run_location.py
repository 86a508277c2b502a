"""Where a job is to compute, and whether it waits in line: the choices, and the options that say them. Pure."""

from dataclasses import dataclass

from tomoseg_tui.project.project_settings import Settings
from tomoseg_tui.project.slurm_settings import SlurmSettings


@dataclass(frozen=True)
class Way:
    """One choice."""

    title: str
    at_once: bool = False
    """Whether it begins whatever its device is at."""
    in_slurm: bool = False
    words: tuple[str, ...] = ()
    """Options of the command; none for what the project does anyway."""

    def slurm(self, settings: Settings) -> SlurmSettings | None:
        """Return what to ask Slurm for; None if the job is to compute here."""
        return settings.slurm if self.in_slurm else None


def ways(settings: Settings, *, has_slurm: bool) -> tuple[Way, ...]:
    """Return the choices there are, the project's usual one first.

    Parameters
    ----------
    settings : Settings
        The project's.
    has_slurm : bool
        Whether this machine can hand a job to Slurm; else it is offered only where the project speaks of it.
    """
    usual = settings.always_slurm
    here = ("--here",) if usual else ()
    local = (Way("here, in line", words=here), Way("here, at once", at_once=True, words=(*here, "--now")))
    slurm = Way("Slurm", in_slurm=True, words=() if usual else ("--slurm",))
    if usual:
        return slurm, *local
    return (*local, slurm) if has_slurm or settings.slurm != SlurmSettings() else local
