"""What must be there before anything can be learnt, asked by every key that leads to a training."""

from tomoseg_tui.tui.state.snapshot import Facts
from tomoseg_tui.tui.tab_base import Tab


def facts_to_learn(tab: Tab) -> Facts | None:
    """Return what is known of the project if it has a feature to learn; else say what is missing, and return None."""
    facts = tab.tomoseg.facts
    if facts is None or facts.features:
        return facts
    tab.notify("There is no feature to learn yet; press 2 and place tiles.", severity="warning")
    return None
