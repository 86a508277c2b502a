"""Jobs that are killed at seeded moments: what comes of them in the end, and what they leave behind.

`make kills` does the same fifty times with each kind of job.
"""

import random
from pathlib import Path

import pytest
from helpers.reference_results import SMALL
from kill_jobs import Killer

KILLS = 4


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["train", "apply", "merge", "preprocess"])
def test_a_job_that_is_killed_again_and_again_ends_as_if_nobody_had_disturbed_it(
    kind: str, small_template: Path, tmp_path: Path
) -> None:
    """At changes on the disk, which the same seed hits again; the bench draws times too."""
    tally = Killer(kind, small_template, tmp_path).disturb(KILLS, random.Random(f"{kind} 3"), clock=0.0)
    assert tally.kills == KILLS


def test_the_network_that_is_disturbed_is_small() -> None:
    assert SMALL.parameters(features=1) < 300
