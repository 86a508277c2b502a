"""The field of a form that says where a job computes, and whether it waits in line."""

from textual.widgets import Select

from tomoseg_tui.tui.run_location import Way, ways
from tomoseg_tui.tui.state.snapshot import Facts


class Where(Select[int]):
    """Begins with what the project does anyway.

    Parameters
    ----------
    facts : Facts
        The project.
    """

    def __init__(self, facts: Facts) -> None:
        self.ways = ways(facts.project.settings, has_slurm=facts.has_slurm)
        options = [(way.title, place) for place, way in enumerate(self.ways)]
        super().__init__(options, value=0, allow_blank=False, compact=True, id="where")

    @property
    def way(self) -> Way:
        """What is chosen."""
        return self.ways[self.value] if isinstance(self.value, int) else self.ways[0]
