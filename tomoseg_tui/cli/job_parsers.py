"""Which words start jobs of networks, look at what came of them, and watch jobs: from `trainset` to `jobs`."""

import argparse
from pathlib import Path

from tomoseg_tui.cli.options import (
    add_estimate_option,
    add_feature_option,
    add_job_options,
    add_location_options,
    add_render_options,
    add_wait_options,
    device_name,
    positive_int,
)
from tomoseg_tui.cli.parser_helpers import Subparsers, add_command, add_command_group, lazy_handler


def add_job_commands(subparsers: Subparsers) -> None:
    """Add the verbs, in the order of the help."""
    for add in (_add_training_commands, _add_run_command, _add_result_commands, _add_jobs_commands):
        add(subparsers)


def _add_training_commands(subparsers: Subparsers) -> None:
    trainsets = add_command_group(
        subparsers, "trainset", "build, list or show training sets", lazy_handler("train", "trainset_list")
    )
    build_trainset = add_command(
        trainsets, "build", "build a training set from the annotated tiles", lazy_handler("train", "trainset_build")
    )
    build_trainset.add_argument("name", metavar="NAME")
    add_feature_option(build_trainset, required=True)
    build_trainset.add_argument("--validation", type=float, default=0.2, help="share of tiles held out (default 0.2)")
    build_trainset.add_argument("--version", metavar="TAG", help="take the densities of TOMOGRAM__TAG")
    show_trainset = add_command(
        trainsets, "show", "tell what a training set holds", lazy_handler("train", "trainset_show")
    )
    show_trainset.add_argument("name", metavar="NAME")
    train = add_command(subparsers, "train", "train a network", lazy_handler("train", "train"))
    train.add_argument("--trainset", metavar="NAME", help="a training set that was built before")
    add_feature_option(train)
    train.add_argument("--name", metavar="RUN", help="name of the run")
    train.add_argument("--network", default="default", metavar="NET", help="default, slabnet, unet25d or eman2")
    train.add_argument("--from", dest="made_from", metavar="RUN", help="go on from the weights of a run")
    train.add_argument("--epochs", type=int, metavar="N")
    train.add_argument("--learning-rate", type=float, metavar="R")
    train.add_argument("--batch", type=int, metavar="N")
    train.add_argument("--device", type=device_name, default="cpu", metavar="D", help="cpu (the default), gpu or gpu:N")
    train.add_argument("--seed", type=int, metavar="N")
    train.add_argument("--validation", type=float, metavar="SHARE", help="share of tiles held out (default 0.2)")
    train.add_argument("--version", metavar="TAG", help="take the densities of TOMOGRAM__TAG")
    add_job_options(train)
    add_estimate_option(train)
    audit = add_command(subparsers, "audit", "find the tiles whose label looks wrong", lazy_handler("audit", "audit"))
    audit.add_argument("--trainset", metavar="NAME", help="a training set that was built before")
    add_feature_option(audit)
    audit.add_argument("--name", metavar="N", help="name of the audit")
    audit.add_argument(
        "--worst", type=positive_int, metavar="N", help="with --wait, tell of the N worst tiles (default 8)"
    )
    audit.add_argument("--network", default="default", metavar="NET", help="default, slabnet, unet25d or eman2")
    audit.add_argument("--epochs", type=int, metavar="N", help="of each of four trainings (a quarter of the usual)")
    audit.add_argument("--device", type=device_name, default="cpu", metavar="D", help="cpu (the default), gpu or gpu:N")
    audit.add_argument("--seed", type=int, metavar="N")
    audit.add_argument("--version", metavar="TAG", help="take the densities of TOMOGRAM__TAG")
    add_render_options(audit)
    add_job_options(audit)
    audits = add_command_group(subparsers, "audits", "list or show audits", lazy_handler("audit", "audits_list"))
    show_audit = add_command(
        audits, "show", "draw the tiles whose label looks wrong", lazy_handler("audit", "audits_show")
    )
    show_audit.add_argument("name", metavar="NAME")
    show_audit.add_argument("--worst", type=positive_int, metavar="N", help="tell of the N worst tiles (default 8)")
    add_render_options(show_audit)
    networks = add_command_group(
        subparsers, "networks", "list or show networks", lazy_handler("train", "networks_list")
    )
    show = add_command(networks, "show", "print the card of a network", lazy_handler("train", "networks_show"))
    show.add_argument("name", metavar="RUN")
    triples = add_command(
        networks, "triples", "draw image, annotation and output of tiles", lazy_handler("show", "triples")
    )
    triples.add_argument("name", metavar="RUN")
    triples.add_argument(
        "--worst", type=positive_int, metavar="N", help="the N tiles where they differ most (default 8)"
    )
    triples.add_argument("--feature", metavar="F", help="only this feature")
    add_render_options(triples)


def _add_run_command(subparsers: Subparsers) -> None:
    run = add_command(subparsers, "run", "train, then apply, then merge, as jobs", lazy_handler("run", "run"))
    add_feature_option(run, required=True)
    tomogram_group = run.add_mutually_exclusive_group(required=True)
    tomogram_group.add_argument(
        "--tomogram", action="append", default=[], metavar="T", help="tomogram; may be repeated"
    )
    tomogram_group.add_argument("--all", action="store_true", help="all tomograms that the networks will fit")
    run.add_argument("--name", default="", metavar="N", help="name of the run; with several features N_FEATURE")
    run.add_argument("--together", action="store_true", help="one network for all features, not one a feature")
    run.add_argument("--network", default="default", metavar="NET", help="default, slabnet, unet25d or eman2")
    run.add_argument("--epochs", type=int, metavar="N")
    run.add_argument("--device", type=device_name, default="cpu", metavar="D", help="cpu (the default), gpu or gpu:N")
    run.add_argument("--seed", type=int, metavar="N")
    run.add_argument("--labels", default="merged", metavar="NAME", help="name of the label volumes (default merged)")
    add_job_options(run)


def _add_result_commands(subparsers: Subparsers) -> None:
    apply = add_command(subparsers, "apply", "apply a network to tomograms", lazy_handler("results", "apply"))
    apply.add_argument("name", metavar="RUN")
    apply.add_argument("tomograms", nargs="+", metavar="TOMOGRAM")
    add_feature_option(apply)
    apply.add_argument("--z", metavar="A:B", help="only these slices, B left out")
    apply.add_argument("--threads", type=int, metavar="N")
    apply.add_argument("--device", type=device_name, default="cpu", metavar="D", help="cpu (the default), gpu or gpu:N")
    apply.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="processes that share the slabs; with gpu each takes one, with --slurm each is a task of an array",
    )
    apply.add_argument(
        "--tta",
        type=int,
        default=1,
        metavar="N",
        help="average 4 or 8 turned copies of each slice",
    )
    apply.add_argument(
        "--half", action=argparse.BooleanOptionalAction, help="half precision where it is as good (on GPUs the default)"
    )
    apply.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the map here too")
    apply.add_argument("--force", action="store_true", help="replace an existing file")
    apply.add_argument("--anyway", action="store_true", help="though the tomogram is filtered in another way")
    add_job_options(apply)
    add_estimate_option(apply)
    merge = add_command(
        subparsers, "merge", "let maps compete and write a label volume", lazy_handler("results", "merge")
    )
    merge.add_argument("tomogram", metavar="TOMOGRAM")
    merge.add_argument(
        "--map", action="append", default=[], metavar="RUN[:F]=T", help="threshold 0 to 1, or card; the k-th is label k"
    )
    merge.add_argument("--name", default="merged", metavar="NAME")
    merge.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the labels here too")
    merge.add_argument("--force", action="store_true", help="replace an existing file")
    add_job_options(merge)
    add_estimate_option(merge)
    evaluate = add_command(
        subparsers, "evaluate", "score a map or label volume against the truth", lazy_handler("results", "evaluate")
    )
    evaluate.add_argument("predicted", metavar="PREDICTED")
    evaluate.add_argument("truth", metavar="TRUTH")
    evaluate.add_argument("--label", type=int, action="append", default=[], metavar="K", help="may be repeated")
    evaluate.add_argument("--threshold", metavar="T", help="for maps: a number, or card")
    evaluate.add_argument("--z", metavar="A:B", help="only these slices, B left out")


def _add_jobs_commands(subparsers: Subparsers) -> None:
    jobs = add_command_group(subparsers, "jobs", "list, watch, stop and resume jobs", lazy_handler("jobs", "jobs_list"))
    for name, help_text in (
        ("show", "tell how a job is"),
        ("log", "print what a job has said"),
        ("stop", "stop a job and keep what is finished"),
        ("resume", "go on with a job"),
        ("kill", "end a job at once"),
    ):
        command = add_command(jobs, name, help_text, lazy_handler("jobs", f"jobs_{name}"))
        command.add_argument("id", metavar="ID")
        if name == "resume":
            add_location_options(command, "compute on this machine, though it was in Slurm; not while Slurm has it")
            add_wait_options(command)
