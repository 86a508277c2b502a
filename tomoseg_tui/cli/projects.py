"""`init` and `features`."""

import argparse

from tomoseg_tui.cli.common import damage_of, echo, open_project, print_json, print_table, wants_json, write_history
from tomoseg_tui.core.tiles import count_states
from tomoseg_tui.errors import ProjectError
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.workflow.tomograms.renaming import rename_feature


def init(arguments: argparse.Namespace) -> None:
    """Create a project in a folder."""
    layout = ProjectLayout(arguments.dir.absolute())
    was_killed = layout.settings.exists() and not layout.history.exists()  # an `init` that did not come to its end
    project = Project.open(layout.root) if was_killed else catalog.make_project(arguments.dir)
    write_history(arguments, project)
    echo(f"Created a project in {arguments.dir}. Next: tomoseg -p {arguments.dir} import FILE")


def features_list(arguments: argparse.Namespace) -> None:
    """List the features with their tiles."""
    project = open_project(arguments)
    tiles = catalog.all_tiles(project.layout, damage_of(arguments))
    rows = []
    for name, counts in count_states(tiles, project.settings.features).items():
        positive = sum(count for state, count in counts.items() if state.is_positive)
        rows.append({"name": name, "positive": positive, "negative": counts.total() - positive})
    if wants_json(arguments):
        print_json(rows)
        return
    columns = {"name": "feature", "positive": "positive tiles", "negative": "negative tiles"}
    print_table(rows, columns, empty="No feature yet. Add one: tomoseg features add NAME")


def features_add(arguments: argparse.Namespace) -> None:
    """Add a feature."""
    project = open_project(arguments)
    project.require_current_format()
    if not catalog.add_feature(project, arguments.name, entry=project.entry):
        raise ProjectError(f"The feature {arguments.name} already exists.", "Use it, or choose another name.")
    write_history(arguments, project)
    echo(f"Created the feature {arguments.name}.")


def features_rename(arguments: argparse.Namespace) -> None:
    """Rename a feature everywhere in the project."""
    project = open_project(arguments)
    rename_feature(project, arguments.old, arguments.new)
    write_history(arguments, project)
    echo(f"Renamed {arguments.old} to {arguments.new}.")
