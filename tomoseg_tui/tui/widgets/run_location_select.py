"""The field of a form that says where a job computes, and whether it waits in line."""

from textual.widgets import Select

from tomoseg_tui.tui.run_location import RunLocation, run_locations
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot


class RunLocationSelect(Select[int]):
    """Begins with what the project does anyway.

    Parameters
    ----------
    facts : Facts
        The project.
    """

    def __init__(self, snapshot: ProjectSnapshot) -> None:
        self.locations = run_locations(snapshot.project.settings, has_slurm=snapshot.has_slurm)
        options = [(location.title, index) for index, location in enumerate(self.locations)]
        super().__init__(options, value=0, allow_blank=False, compact=True, id="where")

    @property
    def location(self) -> RunLocation:
        """What is chosen."""
        return self.locations[self.value] if isinstance(self.value, int) else self.locations[0]
