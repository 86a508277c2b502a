"""`run`: train, then apply, then merge, for several tomograms."""

import argparse

from tomoseg_tui.cli.common import (
    echo,
    open_project,
    print_json,
    slurm_settings_from,
    wants_json,
    write_history,
)
from tomoseg_tui.cli.start_job import report_estimate
from tomoseg_tui.cli.wait_for_jobs import wait_for_jobs
from tomoseg_tui.commands.options import request_from
from tomoseg_tui.jobs.dependencies import find_dependencies, launch_chain
from tomoseg_tui.workflow.batch_run import BatchRunRequest, plan_batch_run


def run(arguments: argparse.Namespace) -> int:
    """Start the jobs of a whole run; print their ids, or wait for all of them."""
    project = open_project(arguments)
    request = request_from(arguments, BatchRunRequest)
    after = [job.id for job in find_dependencies(project.layout, arguments.after)]
    plan = plan_batch_run(project, request)
    for remark in dict.fromkeys(plan.remarks):
        echo(f"Note: {remark}")
    if report_estimate(arguments, project, plan.jobs, plan.cards):
        return 0
    echo(f"Training {', '.join(plan.cards)}; then applying and merging on {', '.join(plan.tomograms)}.")
    slurm = slurm_settings_from(arguments, project)
    jobs = launch_chain(project.layout, plan.jobs, after=after, at_once=arguments.now, slurm=slurm)
    write_history(arguments, project)
    ids = [job.id for job in jobs]
    code = wait_for_jobs(jobs) if arguments.wait else 0
    if wants_json(arguments):
        print_json({"jobs": ids})
    elif not arguments.wait:
        print(" ".join(ids))
        echo("The jobs continue without this terminal. See them: tomoseg jobs")
    return code
