"""`run`: train, then apply, then merge over a list of tomograms."""

import argparse

from tomoseg_tui.cli.common import open_project, print_json, say, slurm_wish, wait_for_all, wants_json, write_history
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.jobs.dependencies import awaited, launch_all
from tomoseg_tui.workflow.batch_run import RunRequest, plan_run, release_names, reserve_names


def run(arguments: argparse.Namespace) -> int:
    """Start the jobs of a whole run; print their ids, or wait for all of them."""
    project = open_project(arguments)
    request = RunRequest(
        features=tuple(arguments.feature),
        tomograms=tuple(arguments.tomogram),
        name=arguments.name,
        together=arguments.together,
        network=arguments.network,
        epochs=arguments.epochs,
        device=arguments.device,
        seed=arguments.seed,
        labels=arguments.labels,
    )
    after = [job.id for job in awaited(project.layout, arguments.after)]
    plan = plan_run(project, request)
    for remark in dict.fromkeys(plan.remarks):
        say(f"Note: {remark}")
    reserve_names(project, plan)
    say(f"Trains {', '.join(plan.runs)}; applies and merges on {', '.join(plan.tomograms)}.")
    try:
        slurm = slurm_wish(arguments, project)
        jobs = launch_all(project.layout, plan.steps, after=after, at_once=arguments.now, slurm=slurm)
    except (TomosegError, OSError):
        release_names(project, plan.runs)
        raise
    write_history(arguments, project)
    ids = [job.id for job in jobs]
    code = wait_for_all(jobs) if arguments.wait else 0
    if wants_json(arguments):
        print_json({"jobs": ids})
    elif not arguments.wait:
        print(" ".join(ids))
        say("They go on without this terminal. Look: tomoseg jobs")
    return code
