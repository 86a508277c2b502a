"""Random commands, many of them killed, on projects that a model in memory knows; `make kills SECONDS=N` goes on."""

import pytest
import random_commands
from random_commands import walk_randomly


@pytest.mark.slow
def test_random_commands_and_kills_lose_nothing() -> None:
    tally = walk_randomly(1, seconds=15)
    assert tally.findings == []
    assert tally.kills > 0


def test_a_loss_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    listing = random_commands.Model.listing
    monkeypatch.setattr(random_commands.Model, "listing", lambda model: {**listing(model), "networks": ["lost"]})
    assert "networks" in walk_randomly(1, seconds=60, walks=1).findings[0]
