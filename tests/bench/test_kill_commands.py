"""Each command is killed at two of its changes of the disk; `make kills` tries them all, and errors of the disk."""

from kill_commands import COMMANDS, sweep


def test_a_kill_loses_nothing_and_the_command_can_be_said_again() -> None:
    names = [name for name in COMMANDS if name not in {"import two", "features add", "tiles add", "export"}]
    assert sweep(names, kinds=["kill"], points_per_command=2) == []
