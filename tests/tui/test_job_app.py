"""A job that the program starts runs where the form says."""

import json
import threading
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


async def test_changes_are_made_and_recorded_in_the_order_in_which_they_were_asked_for(
    project: Project, make_app: MakeApp
) -> None:
    """A training that is started during an import of masks would miss some; a long import of volumes stops nobody."""
    done: list[str] = []
    go_on = {name: threading.Event() for name in ("volumes", "masks", "train", "read")}
    app = make_app(project)

    def task(name: str) -> None:
        go_on[name].wait(10)
        done.append(name)

    async with app.run_test() as pilot:
        app.run_in_thread("", ["volumes"], lambda: task("volumes"), is_long=True)
        app.run_in_thread("", ["masks"], lambda: task("masks"))
        app.run_in_thread("", ["train"], lambda: task("train"))
        app.run_in_thread("", None, lambda: task("read"))
        go_on["read"].set()
        await until(pilot, lambda: done == ["read"])
        go_on["train"].set()
        await pilot.pause(0.1)
        assert done == ["read"]
        go_on["masks"].set()
        await until(pilot, lambda: done == ["read", "masks", "train"])
        go_on["volumes"].set()
        await until(pilot, lambda: len(project.layout.history.read_text().splitlines()) == 3)
    lines = project.layout.history.read_text().splitlines()
    assert [json.loads(line)["command"] for line in lines] == ["tomoseg masks", "tomoseg train", "tomoseg volumes"]
