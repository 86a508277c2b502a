"""`preprocess`: filter or bin tomograms into new versions, as a job."""

import argparse

import msgspec

from tomoseg_tui.cli.common import echo, open_project
from tomoseg_tui.cli.start_job import start_job
from tomoseg_tui.commands.options import request_from
from tomoseg_tui.jobs.dependencies import pending_outputs
from tomoseg_tui.workflow.tomograms.preprocessing import PreprocessRequest, check_preprocess


def preprocess(arguments: argparse.Namespace) -> int:
    """Filter or bin tomograms, as a job."""
    project = open_project(arguments)
    request = request_from(arguments, PreprocessRequest)
    check_preprocess(project, request, pending=pending_outputs(project.layout, arguments.after).tomograms)
    if not arguments.estimate:
        echo(f"New versions: {', '.join(request.target(name) for name in request.tomograms)}.")
    return start_job(arguments, project, "preprocess", msgspec.to_builtins(request))
