"""A job that the program starts runs where the form says."""

from types import SimpleNamespace
from typing import Any

import pytest
from helpers.pilot import MakeApp, until

from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.project_settings import SlurmSettings
from tomoseg_tui.tui import job_app
from tomoseg_tui.tui.dialogs.form_fields import RunLocation
from tomoseg_tui.workflow.merge.merge_request import MergeRequest


@pytest.mark.parametrize(
    ("way", "wanted"),
    [
        (None, (False, SlurmSettings(partition="gpu"))),
        (RunLocation("here, immediately", starts_at_once=True), (True, None)),
        (RunLocation("here, queued"), (False, None)),
        (RunLocation("Slurm", in_slurm=True), (False, SlurmSettings(partition="gpu"))),
    ],
)
async def test_a_job_is_launched_where_the_form_says(
    project: Project,
    make_app: MakeApp,
    monkeypatch: pytest.MonkeyPatch,
    way: RunLocation | None,
    wanted: tuple[bool, Any],
) -> None:
    launched: list[tuple[bool, Any]] = []

    def launch(*_: Any, at_once: bool, slurm: Any) -> SimpleNamespace:
        launched.append((at_once, slurm))
        return SimpleNamespace(id="1", record=lambda: SimpleNamespace(name="alpha/merged"))

    settings = project.layout.settings
    settings.write_text(settings.read_text() + '\n[slurm]\npartition = "gpu"\nalways = true\n')
    monkeypatch.setattr(job_app, "launch", launch)
    app = make_app(project)
    async with app.run_test() as pilot:
        app.start_job(["merge"], lambda: ("merge", MergeRequest("alpha", ())), location=way)
        await until(pilot, lambda: launched == [wanted])
