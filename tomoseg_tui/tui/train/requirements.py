"""What must be there before anything can be learnt, asked by every key that leads to a training."""

from tomoseg_tui.tui.state.snapshot import ProjectSnapshot
from tomoseg_tui.tui.tab_base import Tab


def snapshot_with_features(tab: Tab) -> ProjectSnapshot | None:
    """Return what is known of the project if it has a feature to learn; else say what is missing, and return None."""
    snapshot = tab.tomoseg.snapshot
    if snapshot is None or snapshot.features:
        return snapshot
    tab.notify("There is no feature to learn yet; press 2 and place tiles.", severity="warning")
    return None
