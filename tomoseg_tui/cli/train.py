"""`trainset`, `train` and `networks`, except `networks triples`."""

import argparse

import msgspec

from tomoseg_tui.cli.common import (
    damage_of,
    echo,
    open_project,
    print_json,
    print_table,
    progress_bar,
    require_trainset_or_features,
    wants_json,
    write_history,
)
from tomoseg_tui.cli.start_job import start_job
from tomoseg_tui.commands.options import request_from
from tomoseg_tui.io.trainset_file import TrainsetSummary, read_summary
from tomoseg_tui.jobs.dependencies import pending_outputs
from tomoseg_tui.project import catalog
from tomoseg_tui.project.records import FilterStep, NetworkCard, describe_network, format_filter_chain, read_each
from tomoseg_tui.workflow.training import trainset
from tomoseg_tui.workflow.training.train_request import (
    TrainRequest,
    check_training,
    network_listing,
    parent_remarks,
)
from tomoseg_tui.workflow.training.trainset import TrainsetRequest


def trainset_build(arguments: argparse.Namespace) -> None:
    """Build a training set."""
    project = open_project(arguments)
    request = request_from(arguments, TrainsetRequest)
    with progress_bar("training set") as on_progress:
        summary = trainset.build_trainset(project, arguments.name, request, on_progress)
    write_history(arguments, project)
    _report_trainset(summary)
    if wants_json(arguments):
        print_json(msgspec.to_builtins(summary))


def _report_trainset(summary: TrainsetSummary) -> None:
    for feature in summary.features:
        echo(f"{feature}: {summary.positive[feature]} positive tiles, {summary.negative[feature]} negative.")
    echo(
        f"{summary.tiles} tiles of {summary.tile_size} pixels at {summary.voxel_size_angstrom:g} Å/voxel, "
        f"{format_filter_chain(tuple(FilterStep(**step) for step in summary.preprocessing))}, "
        f"{summary.held_out} held out."
    )
    for note in (summary.held_out_reason, *summary.notes):
        echo(f"Note: {note}")


def trainset_list(arguments: argparse.Namespace) -> None:
    """List the training sets."""
    project = open_project(arguments)
    summaries = trainset.trainset_summaries(project, damage_of(arguments))
    if wants_json(arguments):
        print_json([msgspec.to_builtins(summary) for summary in summaries])
        return
    rows = [
        {
            "name": s.name,
            "features": ", ".join(f"{f} {s.positive[f]}+ {s.negative[f]}-" for f in s.features),
            "tiles": s.tiles,
            "held_out": s.held_out,
            "voxel": f"{s.voxel_size_angstrom:g}",
            "created": s.created,
        }
        for s in summaries
    ]
    columns = {
        "name": "training set", "features": "features", "tiles": "tiles", "held_out": "held out",
        "voxel": "Å/voxel", "created": "built",
    }  # fmt: skip
    print_table(rows, columns, empty="No training set yet. Build one: tomoseg trainset build NAME --feature F")


def trainset_show(arguments: argparse.Namespace) -> None:
    """Show what a training set contains."""
    project = open_project(arguments)
    summary = read_summary(trainset.require_training_set(project, arguments.name))
    if wants_json(arguments):
        print_json(msgspec.to_builtins(summary))
        return
    _report_trainset(summary)


def train(arguments: argparse.Namespace) -> int:
    """Train a network, as a job."""
    project = open_project(arguments)
    require_trainset_or_features(arguments)
    name = arguments.name or catalog.free_name(project.layout.networks, arguments.features, arguments.trainset)
    request = request_from(arguments, TrainRequest, name=name)
    pending = pending_outputs(project.layout, arguments.after)
    summary = check_training(project, request, pending=pending)
    if request.made_from not in pending.runs:
        for remark in parent_remarks(project, request, summary):
            echo(f"Note: {remark}")
    return start_job(arguments, project, "train", msgspec.to_builtins(request))


def networks_list(arguments: argparse.Namespace) -> None:
    """List the networks."""
    project = open_project(arguments)
    names, damage = catalog.network_names(project.layout), damage_of(arguments)
    cards = [card for _, card in read_each(names, lambda run: catalog.load_network_card(project.layout, run), damage)]
    if wants_json(arguments):
        print_json([network_listing(card) for card in cards])
        return
    rows = [
        {
            "name": card.name,
            "network": card.network,
            "features": ", ".join(_format_score(feature, card) for feature in card.features),
            "epochs": f"{card.epochs_done}/{card.epochs}",
            "voxel": f"{card.voxel_size_angstrom:g}",
            "created": card.created,
        }
        for card in cards
    ]
    columns = {
        "name": "run", "network": "network", "features": "held-out Dice at threshold",
        "epochs": "epochs", "voxel": "Å/voxel", "created": "trained",
    }  # fmt: skip
    print_table(rows, columns, empty="No network yet. Train one: tomoseg train --feature F --wait")


def _format_score(feature: str, card: NetworkCard) -> str:
    score = card.features[feature]
    return f"{feature} {'?' if score.dice is None else f'{score.dice:.2f}'} at {score.threshold:.2f}"


def networks_show(arguments: argparse.Namespace) -> None:
    """Print the card of a network."""
    project = open_project(arguments)
    card = catalog.load_network_card(project.layout, arguments.name)
    if wants_json(arguments):
        print_json(network_listing(card))
        return
    rows = {**describe_network(card), "trained": card.created}
    width = max(len(title) for title in rows)
    for title, text in [*rows.items(), *(("", note) for note in card.notes)]:
        print(f"{title:{width}} {text}")
