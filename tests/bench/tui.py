"""`make bench-tui`: speed of the full-screen program, measured on a pseudo-terminal; each value is a median of five.

Prints a table; asserts nothing. Takes about twelve minutes on two cores. The slices contain a bright square whose
position encodes z, so that the output shows which slice is visible, and when.
"""

import argparse
import os
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.pseudo_terminal import ASK, Screen, Terminal, memory_bytes, processor_seconds

from tomoseg_tui.core.grid import VoxelGrid
from tomoseg_tui.core.tiles import FeatureState, TileLocation
from tomoseg_tui.io.mrc import MrcWriter
from tomoseg_tui.project.catalog import Project, add_feature, make_project
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.records import StateRecord, encode_record, now
from tomoseg_tui.workflow.tiles.placing import place_tiles, tile_placement
from tomoseg_tui.workflow.tomograms.import_tomograms import ImportRequest, import_volumes

SHAPE_ZYX = (256, 512, 512)
SQUARES = 16
"""Positions of the bright square along x and along y."""
LARGE_ZYX = (1000, 4096, 4096)
FILLED = (490, 510)
"""Slices of the large tomogram with noise."""
SIZE = (200, 50)
KEYS_A_SECOND = 30
RUNS = 5
LARGE_TILES = 10_000
FEATURES = tuple(f"feature_{number:02}" for number in range(100))
"""Of the large project."""
GREEN = re.compile(rb"8[;:]2[;:]+0[;:]255[;:]0|8[;:]5[;:]46m")
"""Colour of the cursor on a painted tile, in true colour and in the 256 colours that tmux may use."""
LINE = 1e6
"""Speed of the slow line, bytes per second."""


def write_marked_tomogram(path: Path) -> None:
    """Write noise with a bright square in each slice: the z-th place, row by row from y = 0."""
    chance = np.random.default_rng(0)
    depth, height, width = SHAPE_ZYX
    with MrcWriter(path, VoxelGrid(SHAPE_ZYX, 13.6), np.int8) as out:
        for z in range(depth):
            values = chance.integers(-60, 60, (1, height, width), dtype=np.int8)
            y, x = z // SQUARES * (height // SQUARES), z % SQUARES * (width // SQUARES)
            values[0, y : y + height // SQUARES, x : x + width // SQUARES] = 127
            out.write_slices(z, values)


def write_large_tomogram(path: Path) -> None:
    """Write a sparse tomogram of signed bytes, 16.8 GB long."""
    chance = np.random.default_rng(0)
    with MrcWriter(path, VoxelGrid(LARGE_ZYX, 13.6), np.int8) as out:
        for z in range(*FILLED):
            out.write_slices(z, chance.integers(-60, 60, (1, *LARGE_ZYX[1:]), dtype=np.int8))


def make_filled_project(root: Path, volume: Path, count: int) -> None:
    """Make a project in which one file is linked as several tomograms."""
    project = make_project(root)
    for number in range(count):
        request = ImportRequest(name=f"cell_{number:02}", link=True, polarity="dark", voxel_size_angstrom=13.6)
        import_volumes(project, [volume], request)


def make_large_project(root: Path, volume: Path) -> Project:
    """Make a project of 500 linked tomograms, a fifth of them versions, with 10,000 tiles and 100 features.

    A tile is placed for one feature or two; each tenth one is annotated. 20 records have no recorded file state.
    """
    project, layout = make_project(root), ProjectLayout(root)
    for feature in FEATURES:
        add_feature(project, feature)
    request = ImportRequest(name="cell_000", link=True, polarity="dark", voxel_size_angstrom=13.6)
    (imported,) = import_volumes(project, [volume], request)
    bases = [f"cell_{number:03}" for number in range(400)]
    for name in (*bases, *(f"{base}__preproc" for base in bases[:100])):
        is_old = name in bases[-20:]
        record = replace(imported.record, file_state=None) if is_old else imported.record
        layout.tomogram_folder(name).mkdir(exist_ok=True)
        layout.tomogram_record(name).write_bytes(encode_record(record))
    layer = np.ones((64, 64), np.uint8)
    for number in range(LARGE_TILES):
        place = number // len(bases)
        location = TileLocation(bases[number % len(bases)], 10 * place, 40 + 17 * place, 40 + number % 400)
        first, second = FEATURES[number % 100], FEATURES[(7 * number + 1) % 100]
        layout.tile_folder(location).mkdir(parents=True)
        is_annotated = number % 10 == 0
        if is_annotated:
            layout.annotation_folder(location).mkdir(parents=True)
            np.save(layout.annotation(location, first), layer)
        states = {first: FeatureState.ANNOTATED if is_annotated else FeatureState.WANTED}
        if number % 2 and second != first:
            states[second] = FeatureState.NONE_HERE
        for feature, state in states.items():
            layout.tile_state(location, feature).write_bytes(encode_record(StateRecord(state, now())))
    return project


class Bench:
    """Starts the program in a project, with separate settings."""

    def __init__(self, folder: Path, program: list[str]) -> None:
        self.folder, self._program = folder, program
        self.environment = {
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder / "state"),
            "TEXTUAL_ANIMATIONS": "none",
            "TMUX": "",
            "TOMOSEG_RENDERER": os.environ.get("TOMOSEG_RENDERER", "halfblock"),  # whose pixels are read here
            "PYTHONDONTWRITEBYTECODE": "",  # as for a user: only the first start compiles
        }

    def command(self, project: Path) -> list[str]:
        """Return the command of the program."""
        return [*self._program, str(project)]

    def start(self, project: Path, *, bytes_a_second: float = float("inf")) -> Terminal:
        """Start the program on a terminal."""
        command = self.command(project)
        return Terminal(command, size=SIZE, environment=self.environment, bytes_a_second=bytes_a_second)

    @contextmanager
    def slices(self, project: Path, *, bytes_a_second: float = float("inf")) -> Iterator[Terminal]:
        """Start the program and open the tab with slices, at z = 0."""
        with self.start(project, bytes_a_second=bytes_a_second) as terminal:
            terminal.wait_for(lambda output: b"tomogram" in output and b"Jobs" in output)
            terminal.send("2")
            terminal.wait_for(lambda _output: (terminal.screen().characters == "▀").sum() > 500)
            terminal.wait_until_quiet()
            yield terminal


def go_to_first_slice(terminal: Terminal) -> None:
    """Scrub down until z is 0."""
    terminal.send("{" * (SHAPE_ZYX[0] // 10 + 1))
    terminal.wait_until_quiet()


def hold_key(terminal: Terminal, count: int, a_second: float = KEYS_A_SECOND) -> list[float]:
    """Press the key for the next slice several times; return the times."""
    began = time.monotonic()
    times = []
    for press in range(count):
        time.sleep(max(0.0, began + press / a_second - time.monotonic()))
        times.append(terminal.send("]"))
    return times


def seen_slices(terminal: Terminal, since: float) -> list[tuple[float, int]]:
    """Return the visible slices and their times; a frame ends with the query of the cursor position."""
    screen, seen, frame, where = Screen(SIZE), [], b"", _picture_on(terminal.screen())
    for at, piece in terminal.pieces:
        *ended, rest = (frame + piece).split(ASK)
        for part in ended:
            screen.feed(part.decode("utf-8", "replace"))
            if at >= since:
                seen.append((at, _slice_in(screen.pixels()[where])))
        frame = rest
    return seen


def _picture_on(screen: Screen) -> tuple[slice, slice]:
    """Find the pixels of the slice on a still screen."""
    halves = screen.characters == "▀"
    filled = np.flatnonzero(halves.sum(axis=0) > 0.7 * halves.sum(axis=0).max())  # other tiles are lower
    rows = np.flatnonzero(halves[:, filled].any(axis=1))
    return slice(2 * rows[0], 2 * rows[-1] + 2), slice(filled[0], filled[-1] + 1)


def _slice_in(pixels: NDArray[np.uint8]) -> int:
    """Read z from the position of the bright square."""
    picture = pixels.min(axis=2)[::-1]
    edges_y, edges_x = (np.linspace(0, length, SQUARES + 1).round().astype(int) for length in picture.shape)
    means = np.array([[picture[y0:y1, x0:x1].mean() for x0, x1 in pairwise(edges_x)] for y0, y1 in pairwise(edges_y)])
    return int(means.argmax())


def lags(pressed: list[float], seen: list[tuple[float, int]]) -> list[float]:
    """Return for each press the time until its slice, or a later one, was visible."""
    return [
        min((at for at, z in seen if z >= number and at >= press), default=float("inf")) - press
        for number, press in enumerate(pressed, start=1)
    ]


def cold_start(bench: Bench, project: Path, tomograms: int = 20) -> float:
    """Return the time from the start of the process to a screen that shows the project, seconds."""
    with bench.start(project) as terminal:
        words = (f"{tomograms} tomograms".encode(), b"Jobs", b"Quit", b"cell_000" if tomograms > 99 else b"cell_00")
        full = terminal.wait_for(lambda output: all(word in output for word in words), seconds=60)
        return full - terminal.began


def frames_in_tmux(bench: Bench, project: Path) -> float:
    """Return the frames per second in tmux while a key repeats 60 times a second."""
    stream = bench.folder / "pane"
    socket = f"bench{os.getpid()}_{time.monotonic_ns()}"  # the previous server may still be ending
    tmux = ["tmux", "-L", socket, "-f", os.devnull]
    inner = shlex.join(["env", "LANG=C.UTF-8", *bench.command(project)])
    environment = bench.environment | {"LANG": "C.UTF-8"}
    try:
        with Terminal([*tmux, "new-session", inner], size=SIZE, environment=environment) as terminal:
            terminal.wait_for(lambda output: b"20 tomograms" in output)
            stream.write_bytes(b"")
            subprocess.run([*tmux, "pipe-pane", "-O", f"cat >> {shlex.quote(str(stream))}"], check=True)
            terminal.send("2")
            terminal.wait_until_quiet(1.5)
            go_to_first_slice(terminal)
            before = stream.read_bytes().count(ASK)
            pressed = hold_key(terminal, 120, 60)
            frames = stream.read_bytes().count(ASK) - before
            return frames / (time.monotonic() - pressed[0])
    finally:
        subprocess.run([*tmux, "kill-server"], check=False, stderr=subprocess.DEVNULL)


def lag_on_slow_line(bench: Bench, project: Path) -> tuple[float, float, float]:
    """Return the largest lag, and the means of the first and the last second, during four seconds with a held key."""
    with bench.slices(project, bytes_a_second=LINE) as terminal:
        go_to_first_slice(terminal)
        pressed = hold_key(terminal, 4 * KEYS_A_SECOND)
        terminal.wait_until_quiet()
        found = lags(pressed, seen_slices(terminal, pressed[0]))
    return max(found), statistics.mean(found[:KEYS_A_SECOND]), statistics.mean(found[-KEYS_A_SECOND:])


def key_to_screen_under_load(bench: Bench, project: Path) -> float:
    """Return the 95th percentile of the latency of single keys while two processes use both cores."""
    with bench.slices(project) as terminal:
        go_to_first_slice(terminal)
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
        try:
            time.sleep(0.5)
            pressed = hold_key(terminal, 40, 5)
            terminal.wait_until_quiet()
        finally:
            for process in busy:
                process.kill()
                process.wait()
        found = sorted(lags(pressed, seen_slices(terminal, pressed[0])))
    return found[int(0.95 * len(found))]


def memory_with_large_tomogram(bench: Bench, project: Path) -> float:
    """Return the peak memory of the program, MB, after scrubbing, zooming and panning in 16.8 GB."""
    with bench.slices(project) as terminal:
        hold_key(terminal, 60)
        for keys in ("[" * 20, "++++++", "LLLL", "KKKK", "++++", "}}{{", "c", "0"):
            terminal.send(keys)
            terminal.wait_until_quiet()
        return memory_bytes(terminal.process.pid) / 1e6


def make_tile(project: Path) -> None:
    """Place a tile on the first tomogram."""
    place_tiles(
        Project.open(project), [tile_placement(TileLocation("cell_00", 128, 256, 256), "microtubule", negative=False)]
    )


def start_painting(terminal: Terminal, *, already_open: bool = False) -> None:
    """Open the Annotate tab and the first tile in the editor."""
    if not already_open:
        terminal.wait_for(lambda output: b"tomogram" in output and b"Jobs" in output)
    terminal.send("3")
    terminal.wait_for(lambda output: b"to do" in output)
    terminal.wait_until_quiet()
    terminal.send("p")
    terminal.wait_for(lambda output: b"on disk" in output)
    terminal.wait_until_quiet()


def bytes_of_a_dab(bench: Bench, project: Path) -> float:
    """Return the largest number of bytes sent for one dab of the default brush, of twelve side by side."""
    with bench.start(project) as terminal:
        start_painting(terminal)
        sizes = []
        for _ in range(12):
            terminal.send("llll")
            terminal.wait_until_quiet(0.3)
            before = len(terminal.output)
            terminal.send(" ")
            terminal.wait_until_quiet(0.3)
            sizes.append(len(terminal.output) - before)
        terminal.send("u" * len(sizes))
        terminal.wait_until_quiet()
    return max(sizes)


def key_to_picture_while_painting(bench: Bench, project: Path) -> float:
    """Return the 95th percentile of the latency of single keys in tmux while the pen is down."""
    tmux = ["tmux", "-L", f"bench{os.getpid()}", "-f", os.devnull]
    inner = shlex.join(["env", "LANG=C.UTF-8", *bench.command(project)])
    environment = bench.environment | {"LANG": "C.UTF-8"}
    try:
        with Terminal([*tmux, "new-session", inner], size=SIZE, environment=environment) as terminal:
            terminal.wait_for(lambda output: b"20 tomograms" in output)
            start_painting(terminal, already_open=True)
            terminal.send("d")
            terminal.wait_until_quiet()
            pressed = []
            for key in "lljjhhkk" * 6:
                pressed.append(terminal.send(key))
                time.sleep(0.2)
            found = sorted(_cursor_seen(terminal, at) - at for at in pressed)
            terminal.send("u")
            terminal.wait_until_quiet()
    finally:
        subprocess.run([*tmux, "kill-server"], check=False, stderr=subprocess.DEVNULL)
    return found[int(0.95 * len(found))]


def _cursor_seen(terminal: Terminal, pressed: float) -> float:
    """Return the time of the last output of the cursor, the only bright green, within 0.2 s after a key."""
    pieces = [(at, piece) for at, piece in terminal.pieces if pressed <= at < pressed + 0.2]
    return max((at for at, piece in pieces if GREEN.search(piece)), default=float("inf"))


def seconds_of_command(project: Path, *arguments: str) -> float:
    """Return the time of a command, seconds."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "tomoseg_tui", *arguments]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run(command, cwd=project, env=environment, capture_output=True, check=True)
    return time.perf_counter() - began


def seconds_of_keys(bench: Bench, project: Path, tab: str, keys: str, presses: int = 40) -> float:
    """Return the 95th percentile of the time from a key in a tab to the first output, seconds."""
    with bench.start(project) as terminal:
        terminal.wait_for(lambda output: b"500 tomograms" in output, seconds=60)
        terminal.send(tab)
        terminal.wait_until_quiet(2.0)
        found = []
        for press in range(presses):
            seen = len(terminal.pieces)
            at = terminal.send(keys[press % len(keys)])
            while len(terminal.pieces) == seen and time.monotonic() < at + 5:
                time.sleep(0.001)
            found.append((terminal.pieces[seen][0] if len(terminal.pieces) > seen else float("inf")) - at)
            time.sleep(0.2)
    return sorted(found)[int(0.95 * presses)]


def idle_share(bench: Bench, project: Path) -> float:
    """Return the share of a processor that the program takes while nobody presses a key."""
    with bench.start(project) as terminal:
        terminal.wait_for(lambda output: b"500 tomograms" in output, seconds=60)
        terminal.wait_until_quiet(2.0)
        before, began = processor_seconds(terminal.process.pid), time.monotonic()
        time.sleep(20)
        return (processor_seconds(terminal.process.pid) - before) / (time.monotonic() - began)


def measure_large(folder: Path, program: list[str]) -> list[tuple[str, str, str]]:
    """Return the rows for a project of 500 tomograms, 10,000 tiles and 100 features."""
    bench, project = Bench(folder, program), folder / "large"
    make_large_project(project, folder / "marked.mrc")
    rows = []
    for command in ("tiles list", "tomograms", "features", "annotations list", "jobs"):
        seconds = median(lambda: seconds_of_command(project, *command.split()))  # noqa: B023  # called at once
        rows.append((f"`tomoseg {command}`, 10,000 tiles", f"{seconds:.2f} s", "< 1 s"))
    started = median(lambda: cold_start(bench, project, 500))
    rows.append(("start to the filled first tab, 10,000 tiles", f"{started:.2f} s", "< 1.5 s"))
    for title, tab, keys in (("Import", "1", "jk"), ("Tiles", "2", "]nlf"), ("Annotate", "3", "jkGgf")):
        seconds = median(lambda: seconds_of_keys(bench, project, tab, keys))  # noqa: B023
        rows.append((f"key to output in {title}, 10,000 tiles, 95 %", f"{1000 * seconds:.0f} ms", "< 100 ms"))
    rows.append(("processor while idle, 10,000 tiles", f"{100 * idle_share(bench, project):.1f} %", "next to nothing"))
    return rows


def median(measure: Callable[[], float]) -> float:
    """Measure five times."""
    return statistics.median(measure() for _ in range(RUNS))


def measure(folder: Path, program: list[str]) -> list[tuple[str, str, str]]:
    """Return the rows of the table: quantity, value and goal."""
    make_filled_project(folder / "many", folder / "marked.mrc", 20)
    bench, many = Bench(folder, program), folder / "many"
    rows = [("cold start, 20 tomograms", f"{median(lambda: cold_start(bench, many)):.2f} s", "< 1.0 s")]
    rate = median(lambda: frames_in_tmux(bench, many))
    rows.append(("z scrubbed, 512 x 512 fitted, tmux 200x50", f"{rate:.0f} frames/s", ">= 30"))
    slow = sorted(lag_on_slow_line(bench, many) for _ in range(RUNS))[RUNS // 2]
    lag = f"{slow[0]:.2f} s (first second {slow[1]:.2f}, last {slow[2]:.2f})"
    rows.append(("greatest lag on a line of 1 MB/s", lag, "<= 0.35 s, not growing"))
    loaded = median(lambda: key_to_screen_under_load(bench, many))
    rows.append(("key to screen, both cores busy, 95 %", f"{loaded * 1000:.0f} ms", "< 100 ms"))
    make_tile(many)
    dab = median(lambda: bytes_of_a_dab(bench, many))
    rows.append(("bytes sent for a dab, 200x50", f"{dab:.0f}", "< 1500"))
    painted = median(lambda: key_to_picture_while_painting(bench, many))
    rows.append(("key to picture while painting, tmux, 95 %", f"{painted * 1000:.0f} ms", "< 50 ms"))
    write_large_tomogram(folder / "large.mrc")
    make_filled_project(folder / "one", folder / "large.mrc", 1)
    memory = median(lambda: memory_with_large_tomogram(bench, folder / "one"))
    rows.append(("memory with a tomogram of 16.8 GB", f"{memory:.0f} MB", "< 300 MB"))
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    usual = f"{sys.executable} -m tomoseg_tui"
    parser.add_argument("--program", default=usual, help="what opens a project; its folder is added")
    parser.add_argument("--parts", default="usual,large", help="usual: few tomograms; large: 10,000 tiles")
    arguments, rows = parser.parse_args(), []
    with tempfile.TemporaryDirectory(prefix="tomoseg-bench-") as name:
        folder, program = Path(name), shlex.split(arguments.program)
        write_marked_tomogram(folder / "marked.mrc")
        if "usual" in arguments.parts:
            rows += measure(folder, program)
        if "large" in arguments.parts:
            rows += measure_large(folder, program)
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}")
    for title, value, goal in rows:
        print(f"{title:45} {value:45} {goal}")


if __name__ == "__main__":
    main()
