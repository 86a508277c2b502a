"""What jobs take on this machine, for commands and forms to say before they are started."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tomoseg_tui.jobs.kinds import KINDS, load_function
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import NetworkCard

if TYPE_CHECKING:
    from tomoseg_tui.workflow.estimates.work import Work

NONE_EXPECTED: Mapping[str, NetworkCard] = MappingProxyType({})


def work_of(
    project: Project, kind: str, request: Mapping[str, Any], expected: Mapping[str, NetworkCard] = NONE_EXPECTED
) -> "Work":
    """Return how much a job has to do; may read tiles.

    Parameters
    ----------
    project : Project
    kind : str
        One of `KINDS`.
    request : mapping
        What the job is asked to do.
    expected : mapping
        Cards of networks that are still to be trained, by run.

    Raises
    ------
    TomosegError
        If something that the request names is not there.
    """
    work: Work = load_function(KINDS[kind].work)(project, request, expected)
    return work
