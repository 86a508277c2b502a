"""Which words start jobs of networks, look at what came of them, and watch jobs: from `trainset` to `jobs`."""

import argparse
from pathlib import Path

from tomoseg_tui.cli.options import (
    add_drawing,
    add_estimating,
    add_features,
    add_queueing,
    add_waiting,
    add_where,
    device,
    whole,
)
from tomoseg_tui.cli.parser_helpers import Subparsers, add_family, add_verb, later


def add_job_verbs(verbs: Subparsers) -> None:
    """Add the verbs, in the order of the help."""
    for add in (_learning_verbs, _run_verb, _result_verbs, _watching_verbs):
        add(verbs)


def _learning_verbs(verbs: Subparsers) -> None:
    sets = add_family(verbs, "trainset", "build, list or show training sets", later("train", "trainset_list"))
    build_set = add_verb(
        sets, "build", "build a training set from the annotated tiles", later("train", "trainset_build")
    )
    build_set.add_argument("name", metavar="NAME")
    add_features(build_set, required=True)
    build_set.add_argument("--validation", type=float, default=0.2, help="share of tiles held out (default 0.2)")
    build_set.add_argument("--version", metavar="TAG", help="take the densities of TOMOGRAM__TAG")
    show_set = add_verb(sets, "show", "tell what a training set holds", later("train", "trainset_show"))
    show_set.add_argument("name", metavar="NAME")
    train = add_verb(verbs, "train", "train a network", later("train", "train"))
    train.add_argument("--trainset", metavar="NAME", help="a training set that was built before")
    add_features(train)
    train.add_argument("--name", metavar="RUN", help="name of the run")
    train.add_argument("--network", default="default", metavar="NET", help="default, slabnet, unet25d or eman2")
    train.add_argument("--from", dest="made_from", metavar="RUN", help="go on from the weights of a run")
    train.add_argument("--epochs", type=int, metavar="N")
    train.add_argument("--learning-rate", type=float, metavar="R")
    train.add_argument("--batch", type=int, metavar="N")
    train.add_argument("--device", type=device, default="cpu", metavar="D", help="cpu (the default), gpu or gpu:N")
    train.add_argument("--seed", type=int, metavar="N")
    train.add_argument("--validation", type=float, metavar="SHARE", help="share of tiles held out (default 0.2)")
    train.add_argument("--version", metavar="TAG", help="take the densities of TOMOGRAM__TAG")
    add_queueing(train)
    add_estimating(train)
    audit = add_verb(verbs, "audit", "find the tiles whose label looks wrong", later("audit", "audit"))
    audit.add_argument("--trainset", metavar="NAME", help="a training set that was built before")
    add_features(audit)
    audit.add_argument("--name", metavar="N", help="name of the audit")
    audit.add_argument("--worst", type=whole, metavar="N", help="with --wait, tell of the N worst tiles (default 8)")
    audit.add_argument("--network", default="default", metavar="NET", help="default, slabnet, unet25d or eman2")
    audit.add_argument("--epochs", type=int, metavar="N", help="of each of four trainings (a quarter of the usual)")
    audit.add_argument("--device", type=device, default="cpu", metavar="D", help="cpu (the default), gpu or gpu:N")
    audit.add_argument("--seed", type=int, metavar="N")
    audit.add_argument("--version", metavar="TAG", help="take the densities of TOMOGRAM__TAG")
    add_drawing(audit)
    add_queueing(audit)
    audits = add_family(verbs, "audits", "list or show audits", later("audit", "audits_list"))
    show_audit = add_verb(audits, "show", "draw the tiles whose label looks wrong", later("audit", "audits_show"))
    show_audit.add_argument("name", metavar="NAME")
    show_audit.add_argument("--worst", type=whole, metavar="N", help="tell of the N worst tiles (default 8)")
    add_drawing(show_audit)
    networks = add_family(verbs, "networks", "list or show networks", later("train", "networks_list"))
    show = add_verb(networks, "show", "print the card of a network", later("train", "networks_show"))
    show.add_argument("name", metavar="RUN")
    triples = add_verb(networks, "triples", "draw image, annotation and output of tiles", later("show", "triples"))
    triples.add_argument("name", metavar="RUN")
    triples.add_argument("--worst", type=whole, metavar="N", help="the N tiles where they differ most (default 8)")
    triples.add_argument("--feature", metavar="F", help="only this feature")
    add_drawing(triples)


def _run_verb(verbs: Subparsers) -> None:
    run = add_verb(verbs, "run", "train, then apply, then merge, as jobs", later("run", "run"))
    add_features(run, required=True)
    where = run.add_mutually_exclusive_group(required=True)
    where.add_argument("--tomogram", action="append", default=[], metavar="T", help="tomogram; may be repeated")
    where.add_argument("--all", action="store_true", help="all tomograms that the networks will fit")
    run.add_argument("--name", default="", metavar="N", help="name of the run; with several features N_FEATURE")
    run.add_argument("--together", action="store_true", help="one network for all features, not one a feature")
    run.add_argument("--network", default="default", metavar="NET", help="default, slabnet, unet25d or eman2")
    run.add_argument("--epochs", type=int, metavar="N")
    run.add_argument("--device", type=device, default="cpu", metavar="D", help="cpu (the default), gpu or gpu:N")
    run.add_argument("--seed", type=int, metavar="N")
    run.add_argument("--labels", default="merged", metavar="NAME", help="name of the label volumes (default merged)")
    add_queueing(run)


def _result_verbs(verbs: Subparsers) -> None:
    apply = add_verb(verbs, "apply", "apply a network to tomograms", later("results", "apply"))
    apply.add_argument("name", metavar="RUN")
    apply.add_argument("tomograms", nargs="+", metavar="TOMOGRAM")
    add_features(apply)
    apply.add_argument("--z", metavar="A:B", help="only these slices, B left out")
    apply.add_argument("--threads", type=int, metavar="N")
    apply.add_argument("--device", type=device, default="cpu", metavar="D", help="cpu (the default), gpu or gpu:N")
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
    add_queueing(apply)
    add_estimating(apply)
    merge = add_verb(verbs, "merge", "let maps compete and write a label volume", later("results", "merge"))
    merge.add_argument("tomogram", metavar="TOMOGRAM")
    merge.add_argument(
        "--map", action="append", default=[], metavar="RUN[:F]=T", help="threshold 0 to 1, or card; the k-th is label k"
    )
    merge.add_argument("--name", default="merged", metavar="NAME")
    merge.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the labels here too")
    merge.add_argument("--force", action="store_true", help="replace an existing file")
    add_queueing(merge)
    add_estimating(merge)
    judge = add_verb(verbs, "evaluate", "score a map or label volume against the truth", later("results", "evaluate"))
    judge.add_argument("predicted", metavar="PREDICTED")
    judge.add_argument("truth", metavar="TRUTH")
    judge.add_argument("--label", type=int, action="append", default=[], metavar="K", help="may be repeated")
    judge.add_argument("--threshold", metavar="T", help="for maps: a number, or card")
    judge.add_argument("--z", metavar="A:B", help="only these slices, B left out")


def _watching_verbs(verbs: Subparsers) -> None:
    jobs = add_family(verbs, "jobs", "list, watch, stop and resume jobs", later("jobs", "jobs_list"))
    for name, text in (
        ("show", "tell how a job is"),
        ("log", "print what a job has said"),
        ("stop", "stop a job and keep what is finished"),
        ("resume", "go on with a job"),
        ("kill", "end a job at once"),
    ):
        verb = add_verb(jobs, name, text, later("jobs", f"jobs_{name}"))
        verb.add_argument("id", metavar="ID")
        if name == "resume":
            add_where(verb, "compute on this machine, though it was in Slurm; not while Slurm has it")
            add_waiting(verb)
