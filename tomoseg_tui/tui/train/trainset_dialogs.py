"""Training sets of the Train tab: build a named one, and show existing ones."""

from collections.abc import Sequence
from dataclasses import dataclass

from textual.app import ComposeResult

from tomoseg_tui.commands.options import to_argv
from tomoseg_tui.commands.training import TRAINSET_BUILD
from tomoseg_tui.core.names import check_name
from tomoseg_tui.errors import UsageError
from tomoseg_tui.io.trainset_file import TrainsetSummary
from tomoseg_tui.project.records import FilterStep, format_filter_chain
from tomoseg_tui.tui.dialogs.form import Form
from tomoseg_tui.tui.dialogs.form_fields import read_options
from tomoseg_tui.tui.dialogs.pick import Pick
from tomoseg_tui.tui.dialogs.report import ReportDialog
from tomoseg_tui.tui.format import format_time
from tomoseg_tui.tui.job_app import JobApp
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot
from tomoseg_tui.tui.widgets.feature_list import FeatureList, make_feature_list
from tomoseg_tui.workflow.training.trainset import TrainsetRequest, build_trainset, trainset_summaries

HINT = (
    "A set keeps its tiles as they are now, so that trainings can be compared; t lists it under more. "
    "Without a set, a training uses the tiles at its start."
)


@dataclass(frozen=True)
class BuildTrainsetRequest:
    """A training set to build."""

    name: str
    request: TrainsetRequest


class BuildTrainsetDialog(Form[BuildTrainsetRequest]):
    """Features, name, held-out fraction and version."""

    def __init__(self, snapshot: ProjectSnapshot) -> None:
        super().__init__("Build a training set", submit_label="Build", hint=HINT)
        self._snapshot = snapshot

    def rows(self) -> ComposeResult:
        """Make the rows of fields."""
        features = self._snapshot.features
        yield make_feature_list(self._snapshot, chosen=features if len(features) == 1 else ())
        for key in ("name", "validation", "version"):
            yield self.option_row(TRAINSET_BUILD, key)

    def on_mount(self) -> None:
        self.query_one(FeatureList).focus()

    def read(self) -> BuildTrainsetRequest:
        """Return the request."""
        chosen = self.query_one(FeatureList).chosen
        if not chosen:
            raise UsageError("No feature is chosen.", "Choose one with space.")
        options = read_options(self, TRAINSET_BUILD)
        name = check_name(options.pop("name") or "", "training set")
        return BuildTrainsetRequest(name, TrainsetRequest(chosen, **options))


def ask_for_trainset(app: JobApp, snapshot: ProjectSnapshot) -> None:
    """Ask for a training set, build it, and show its contents."""
    project = app.project

    def build(request: BuildTrainsetRequest | None) -> None:
        if request is not None:
            app.run_in_thread(
                "",
                to_argv(TRAINSET_BUILD, request.request, name=request.name),
                lambda: build_trainset(project, request.name, request.request),
                lambda summary: _show_trainset(app, summary),
            )

    app.push_screen(BuildTrainsetDialog(snapshot), build)


def list_trainsets(app: JobApp) -> None:
    """List the training sets; show the picked one in full."""
    project = app.project
    app.run_in_thread("", None, lambda: trainset_summaries(project), lambda summaries: _offer(app, summaries))


def _offer(app: JobApp, summaries: Sequence[TrainsetSummary]) -> None:
    if not summaries:
        app.notify("There is no training set yet; b builds one.", severity="warning")
        return
    by_name = {summary.name: summary for summary in summaries}
    choices = [(name, summary_line(summary)) for name, summary in by_name.items()]
    app.push_screen(
        Pick("Training sets", choices), lambda name: _show_trainset(app, by_name[name]) if name in by_name else None
    )


def _show_trainset(app: JobApp, summary: TrainsetSummary) -> None:
    app.push_screen(ReportDialog(f"The training set {summary.name}", summary_line(summary), detail_lines(summary)))


def summary_line(summary: TrainsetSummary) -> str:
    """Return a line that identifies a set in a list."""
    tiles = ", ".join(f"{f} {summary.positive[f]}+ {summary.negative[f]}-" for f in summary.features)
    return f"{tiles}; {summary.held_out} of {summary.tiles} held out; {format_time(summary.created)}"


def detail_lines(summary: TrainsetSummary) -> list[str]:
    """Return all properties, one per line."""
    chain = format_filter_chain(tuple(FilterStep(**step) for step in summary.preprocessing))
    return [
        *(f"{f}: {summary.positive[f]} positive tiles, {summary.negative[f]} negative" for f in summary.features),
        f"{summary.tiles} tiles of {summary.tile_size} pixels, from {', '.join(summary.tomograms)}",
        f"{summary.voxel_size_angstrom:g} Å/voxel, protein {summary.polarity}, {chain}",
        f"{summary.held_out} held out: {summary.held_out_reason}",
        *summary.notes,
    ]
