import threading
from pathlib import Path

import pytest

from tomoseg_tui.errors import ProjectError, TrainingError
from tomoseg_tui.ml.checkpoints import file_digest
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import FeatureScore, NetworkCard, TileCounts, write_record
from tomoseg_tui.runners import network_snapshot
from tomoseg_tui.runners.network_snapshot import existing_snapshot, snapshot_network


@pytest.fixture
def partial(tmp_path: Path) -> Path:
    folder = tmp_path / "partial"
    folder.mkdir()
    return folder


@pytest.fixture
def weights(project: Project) -> Path:
    """Return the weights of the run `net`, which match their card."""
    path = project.layout.network_weights("net")
    path.parent.mkdir()
    path.write_bytes(b"first weights")
    write_card(project)
    return path


def write_card(project: Project) -> None:
    """Write the card that matches the weights."""
    card = NetworkCard(
        name="net", network="unet25d", voxel_size_angstrom=10.0, polarity="dark", preprocessing=(),
        features={"tube": FeatureScore()}, tiles=2, tile_counts=TileCounts({}, {}, 2, 0), learning_rate=1e-3,
        epochs=1, batch=2, seed=0, tile_size=64, weights_digest=file_digest(project.layout.network_weights("net")),
    )  # fmt: skip
    write_record(project.layout.network_card("net"), card)


def test_a_snapshot_is_unchanged_when_the_training_continues(project: Project, weights: Path, partial: Path) -> None:
    copy = snapshot_network(project.layout, "net", partial)
    weights.write_bytes(b"second weights")
    write_card(project)
    assert existing_snapshot(partial) == copy
    assert copy.weights.read_bytes() == b"first weights"
    assert copy.card.weights_digest == file_digest(copy.weights) == copy.folder.name


def test_results_of_other_weights_are_removed_and_the_others_stay(
    project: Project, weights: Path, partial: Path
) -> None:
    first = snapshot_network(project.layout, "net", partial)
    (first.folder / "cell_a").mkdir()
    assert (snapshot_network(project.layout, "net", partial).folder / "cell_a").is_dir()
    weights.write_bytes(b"second weights")
    write_card(project)
    second = snapshot_network(project.layout, "net", partial)
    assert list(partial.iterdir()) == [second.folder]
    assert not (second.folder / "cell_a").exists()


def test_a_snapshot_waits_for_a_card_written_after_its_weights(project: Project, weights: Path, partial: Path) -> None:
    weights.write_bytes(b"second weights")
    timer = threading.Timer(0.25, write_card, (project,))
    timer.start()
    assert snapshot_network(project.layout, "net", partial).weights.read_bytes() == b"second weights"
    timer.join()


def test_weights_that_do_not_match_their_card_are_refused(
    project: Project, weights: Path, partial: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_snapshot, "MAX_TRIES", 2)
    weights.write_bytes(b"somebody else's")
    with pytest.raises(TrainingError, match="does not match its weights"):
        snapshot_network(project.layout, "net", partial)


def test_a_run_without_a_card_has_no_network_yet(project: Project, partial: Path) -> None:
    project.layout.network_folder("net").mkdir()
    with pytest.raises(ProjectError, match="has no finished epoch"):
        snapshot_network(project.layout, "net", partial)


def test_a_complete_snapshot_is_not_written_again(project: Project, weights: Path, partial: Path) -> None:
    assert existing_snapshot(partial) is None
    first = snapshot_network(project.layout, "net", partial)
    written = first.weights.stat().st_mtime_ns
    snapshot_network(project.layout, "net", partial)
    assert first.weights.stat().st_mtime_ns == written
    (first.folder / "_card.json").unlink()
    assert existing_snapshot(partial) is None
    first.weights.write_bytes(b"half")
    snapshot_network(project.layout, "net", partial)
    assert existing_snapshot(partial) == first
    assert first.weights.read_bytes() == b"first weights"
