"""`make soak MINUTES=N`: random keys in the program, in a real tmux, with resizes and jobs beside it.

    python tests/bench/soak.py [--minutes 10] [--seed 1]

It fails if the program ends with an error, no longer answers, answers a key more slowly than `SLOW_SECONDS` although
the machine is not busy, grows by more than 5 % after the first fifth of the time, or if a listing of the project fails.
The program runs in a temporary folder that is also its home. No random key types a slash or a tilde, so that no file
elsewhere can be written.
"""

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.cli_runner import Tomoseg, bring, make_card, noise, put_card, write_map, write_mrc
from helpers.tmux_session import Tmux

from tomoseg_tui.jobs.job import all_jobs
from tomoseg_tui.jobs.launch import kill
from tomoseg_tui.project.catalog import Project, make_project

SLOW_SECONDS = 0.5
"""The longest time from a key to the screen, on a machine that does nothing else. Two keys are measured together."""
START_SECONDS = 2.0
"""Each tab is opened for so long before keys are measured: the program loads libraries then."""
KEYS_A_SECOND = 20
WAITING_SECONDS = 2.0
"""The same for a key during which the program computed for less than `SLOW_SECONDS`: it waited, perhaps for a core."""
DEAD_SECONDS = 30.0
"""The program counts as dead if it does not answer for so long."""
MOST_GROWTH = 0.05
PROBE, ANSWER = "C-c", "q quits tomoseg"
"""A key that the program answers on every screen, and its answer, which is shown for three seconds."""
LISTINGS = ("tomograms", "tiles list", "annotations list", "features", "trainset list", "networks", "jobs")
SIZES = ((80, 24), (80, 24), (100, 30), (200, 50), (132, 43), (70, 20))
"""The last one is smaller than the program allows."""
LETTERS = "abcdefghijklmnoprstuvwxyz0123456789._-,="
"""What is typed into fields; q would end the program outside of them."""
MOVES = (
    "j",
    "k",
    "h",
    "l",
    "J",
    "K",
    "H",
    "L",
    "Up",
    "Down",
    "Left",
    "Right",
    "PPage",
    "NPage",
    "Home",
    "End",
    "g",
    "G",
)
VIEW = ("[", "]", "{", "}", "+", "-", "0", "c", "o", "r", "v", "f", "F", "x", "X")
TOOLS = ("b", "e", "s", "t", "a", "r", "g", "w", "m")
PAINT = (*MOVES, *TOOLS, "Space", "Space", "Space", "d", "u", "u", "C-r", ">", "<", "C", "i", "n", "N", ",", "(", ")")
DIALOGS = ("i", "a", "p", "t", "I", "e", "E", "w", "W", "n", "d", "R", "S", "Enter", "?", "F1")
FORM = ("Tab", "BTab", "Down", "Up", "Space", "Enter", "Left", "Right", "BSpace", "C-y", "C-f")


@dataclass
class Report:
    """What happened."""

    keys: int = 0
    ends: int = 0
    """How often the program was ended by its own command."""
    jobs: int = 0
    seconds: list[float] = field(default_factory=list)
    """From a key to its answer, divided by how much slower than its best the machine was."""
    slowest: float = 0.0
    """Without that division."""
    memory: list[tuple[float, float]] = field(default_factory=list)
    """Time and MB, since the program was started last."""
    findings: list[str] = field(default_factory=list)


_REFERENCE = """
import sys, time
for _ in sys.stdin:
    sum(number * number for number in range(400_000))
    print(time.monotonic(), flush=True)
"""


class Reference:
    """A process with a fixed small work, which shows how slow the machine is at a moment."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _REFERENCE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._best = min(self._seconds_since(self.begin()) for _ in range(20))

    def begin(self) -> float:
        """Start the work; return the time."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return time.monotonic()

    def _seconds_since(self, began: float) -> float:
        assert self._process.stdout is not None
        return float(self._process.stdout.readline()) - began

    def slowness_since(self, began: float) -> float:
        """Return how much longer the work took than at best."""
        seconds = self._seconds_since(began)
        self._best = min(self._best, seconds)
        return seconds / self._best

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def make_small_project(folder: Path) -> Project:
    """Make a project with two tomograms, tiles, annotations, a network without weights and its maps."""
    project = make_project(folder)
    shape = (24, 96, 96)
    for seed, name in enumerate(("alpha", "beta")):
        bring(project, name, noise(shape, seed=seed))
    run = Tomoseg(folder)
    labels = np.zeros(shape, np.int8)
    labels[:, 40:56] = 1
    write_mrc(folder.parent / "labels.mrc", labels)
    write_mrc(folder.parent / "gamma.mrc", noise(shape, seed=3))
    rows = [f"{name},{x},48,{z},tube,positive" for name in ("alpha", "beta") for x in (40, 56) for z in range(4, 20, 4)]
    (folder.parent / "tiles.csv").write_text("\n".join(["tomogram,x,y,z,feature,kind", *rows, ""]), encoding="utf-8")
    run("tiles", "import", "../tiles.csv")
    run("annotations", "import", "../labels.mrc", "--tomogram", "alpha", "--map", "1=tube", "--flip", "none")
    run("features", "add", "wall")
    put_card(project, make_card("run", features=("tube", "wall")))
    for seed, feature in enumerate(("tube", "wall")):
        write_map(project, f"run.{feature}", noise(shape, seed=seed) & 127, tomogram="alpha")
    return Project.open(folder)


class Soak:
    """The program in tmux, and random keys for it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._rng, self.report = random.Random(seed), Report()
        self._project = make_small_project(folder / "project")
        environment = {
            "HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config"), "XDG_STATE_HOME": str(folder / "state"),
            "XDG_CACHE_HOME": str(folder / "cache"), "LC_ALL": "C.UTF-8", "CUDA_VISIBLE_DEVICES": "-1",
        }  # fmt: skip
        os.environ.update(environment)  # of the commands beside it too
        self._log = folder / "state" / "tomoseg" / "tui.log"
        self._tmux = Tmux(self._project.layout.root, environment)
        self._command = Tomoseg(self._project.layout.root)
        self._recent: deque[str] = deque(maxlen=40)
        self._reference, self._slowness = Reference(), 1.0

    def run(self, seconds: float) -> Report:
        """Press keys until the time is up, or something is wrong."""
        until, next_job, next_list = time.monotonic() + seconds, time.monotonic() + 20, time.monotonic() + 60
        self._start()
        try:
            while time.monotonic() < until and not self.report.findings:
                self._turn()
                if time.monotonic() > next_job:
                    next_job = time.monotonic() + self._rng.uniform(20, 60)
                    self._change_beside()
                if time.monotonic() > next_list:
                    next_list = time.monotonic() + 120
                    self._list_all()
                    minutes = (time.monotonic() - until + seconds) / 60
                    print(f"{minutes:.0f} min: {self.report.keys} keys, {self.report.memory[-1][1]:.0f} MB", flush=True)
            self._list_all()
            self._check_memory(seconds)
        finally:
            for job in all_jobs(self._project.layout):
                kill(job)
            self._tmux.kill_server()
            self._reference.close()
        return self.report

    def _start(self) -> None:
        if self._tmux.name:
            self._tmux.kill_server()
        self._tmux.start()
        self._tmux.wait_for("1 Import", "tomograms")
        for tab in "1234567":  # each is imported when it is opened first
            self._tmux.press(tab)
            time.sleep(START_SECONDS)
        shell = psutil.Process(int(self._tmux.ask("#{pane_pid}")))
        self._process = max(shell.children(recursive=True), key=lambda process: process.memory_info().rss)
        self._began = time.monotonic()
        self.report.memory.clear()

    def _turn(self) -> None:
        """Press a few keys of one kind, look at the screen, and measure how fast the next one is answered."""
        rng = self._rng
        turns: dict[Callable[[], None], float] = {
            lambda: self._press(str(rng.randint(1, 7))): 6,
            lambda: self._press(*rng.choices(MOVES, k=rng.randint(1, 8))): 6,
            lambda: self._press(*rng.choices(VIEW, k=rng.randint(1, 6))): 4,
            lambda: self._press("3", rng.choice(("p", "Enter"))): 2,
            lambda: self._press(*rng.choices(PAINT, k=rng.randint(4, 20))): 8,
            lambda: self._press(rng.choice(DIALOGS)): 5,
            lambda: self._press(*rng.choices(FORM, k=rng.randint(1, 6))): 5,
            lambda: self._type("".join(rng.choices(LETTERS, k=rng.randint(1, 6)))): 3,
            lambda: self._press("C-s"): 1,
            lambda: self._press("Enter"): 3,
            lambda: self._press(rng.choice(("y", "n"))): 1,
            lambda: self._press(*rng.choices(("Escape", "BSpace"), k=rng.randint(1, 3))): 7,
            self._palette: 3,
            self._click: 3,
            self._resize: 1,
        }
        rng.choices(list(turns), list(turns.values()))[0]()
        screen = self._tmux.screen()
        if "ENDED" in screen or "Traceback" in screen:
            self._judge_end(screen)
        elif ANSWER not in " ".join(screen.split()):
            self._probe()
        elapsed = time.monotonic() - self._began
        if not self.report.memory or elapsed > self.report.memory[-1][0] + 1:
            self._measure_memory(elapsed)

    def _press(self, *keys: str) -> None:
        """Press keys at the pace of a key that is held, slower on a slow machine."""
        for key in keys:
            self._tmux.press(key)
            time.sleep(self._slowness / KEYS_A_SECOND)
        self._recent.extend(keys)
        self.report.keys += len(keys)

    def _type(self, text: str) -> None:
        self._tmux.type(text)
        self._recent.append(repr(text))
        self.report.keys += len(text)

    def _palette(self) -> None:
        self._press(":")
        if self._rng.random() < 0.7:
            self._type("".join(self._rng.choices("abdefgimnoprst", k=self._rng.randint(1, 2))))
        time.sleep(self._rng.choice((0, 0.3, 1.0)))
        keys = self._rng.choice((("Enter",), ("Enter", "Enter"), ("Enter", "Escape"), ("Down", "Enter"), ("Escape",)))
        self._tmux.press(*keys)  # together
        self._recent.extend(keys)

    def _click(self) -> None:
        """Click, drag or turn the wheel somewhere, in SGR encoding."""
        columns, rows = (int(value) for value in self._tmux.ask("#{pane_width} #{pane_height}").split())
        button = self._rng.choice((0, 0, 0, 2, 64, 65))
        places = [(self._rng.randint(1, columns), self._rng.randint(1, rows)) for _ in range(2)]
        if button >= 64 or self._rng.random() < 0.5:
            places[1] = places[0]
        (x, y), (to_x, to_y) = places
        drag = f"\x1b[<{button + 32};{to_x};{to_y}M" if places[0] != places[1] else ""
        end = "" if button >= 64 else f"{drag}\x1b[<{button};{to_x};{to_y}m"
        self._type(f"\x1b[<{button};{x};{y}M{end}")

    def _resize(self) -> None:
        columns, rows = self._rng.choice(SIZES)
        self._recent.append(f"{columns}x{rows}")
        self._tmux.resize(columns, rows)

    def _wait_until_idle(self) -> None:
        """Wait until the program has handled the keys before."""
        until, used = time.monotonic() + DEAD_SECONDS, -1.0
        while self._used_seconds() > used + 0.02 and time.monotonic() < until:
            used = self._used_seconds()
            time.sleep(0.2)

    def _probe(self) -> None:
        """Press one key, and another that has an answer; compare the time with that of a fixed computation."""
        self._wait_until_idle()
        key = self._rng.choice((*MOVES, *VIEW, *DIALOGS, *FORM, "Escape", ":", *"1234567"))
        self._recent.append(key)
        used = self._used_seconds()
        began = self._reference.begin()
        self._tmux.press(key, PROBE)
        while ANSWER not in " ".join((screen := self._tmux.screen()).split()):
            if "ENDED" in screen:
                self._judge_end(screen)
                return
            if time.monotonic() > began + DEAD_SECONDS:
                self._find(f"no answer within {DEAD_SECONDS:g} s", screen)
                return
            time.sleep(0.01)
        seconds, used = time.monotonic() - began, self._used_seconds() - used
        slowness = self._slowness = self._reference.slowness_since(began)
        self.report.seconds.append(seconds / slowness)
        self.report.slowest = max(self.report.slowest, seconds)
        if seconds / slowness > (SLOW_SECONDS if used > SLOW_SECONDS else WAITING_SECONDS):
            self._find(
                f"a key took {seconds:.2f} s; used {used:.2f} s of processor time; slowness {slowness:.1f}", screen
            )

    def _used_seconds(self) -> float:
        try:
            times = self._process.cpu_times()
        except psutil.NoSuchProcess:
            return 0.0  # the next look at the screen shows why
        return float(times.user + times.system)

    def _judge_end(self, screen: str) -> None:
        time.sleep(1.0)  # all of a traceback
        screen = self._tmux.screen()
        ended = re.search(r"ENDED (\d+)", screen)
        if ended is None or ended[1] != "0":
            self._find("it ended", screen)
            return
        self.report.ends += 1
        print(f"ended after {' '.join(self._recent)}", flush=True)
        self._start()

    def _measure_memory(self, elapsed: float) -> None:
        try:
            self.report.memory.append((elapsed, self._process.memory_info().rss / 1e6))
        except psutil.NoSuchProcess:
            return  # the next look at the screen shows why

    def _check_memory(self, seconds: float) -> None:
        """Compare the memory at the end with that after a fifth of the time; short runs prove nothing."""
        if self.growth() > MOST_GROWTH and self.report.memory[-1][0] > seconds / 2 > 150:
            self._find(f"memory grew by {self.growth():.1%}", "")

    def growth(self) -> float:
        """Return the growth of the memory after the first fifth of the program's life."""
        total = self.report.memory[-1][0] if self.report.memory else 0.0
        early = [mb for at, mb in self.report.memory if 0.15 * total <= at <= 0.25 * total]
        late = [mb for at, mb in self.report.memory if at >= 0.9 * total]
        return median(late) / median(early) - 1 if early and late else 0.0

    def _change_beside(self) -> None:
        """Run a command beside the program: a job, or a small change."""
        self.report.jobs += 1
        number = self.report.jobs
        argv = self._rng.choice(
            [
                ["preprocess", "alpha", "--bin", "2", "--no-filter", "--tag", f"v{number}"],
                ["merge", "alpha", "--map", "run:tube=0.5", "--map", "run:wall=0.4", "--name", f"m{number % 3}"],
                ["tiles", "add", "beta", "--at", f"{20 + number % 50},40,3", "--feature", "tube"],
                ["tomograms", "remove", f"alpha__bin2_v{number - 1}"],
                ["features", "add", f"feature_{number % 4}"],
            ]
        )
        for job in all_jobs(self._project.layout)[10:]:
            kill(job)  # a training of an hour, started by chance
        self._recent.append(f"<{' '.join(argv)}>")
        outcome = self._command(*argv, code=None)
        if outcome.code not in {0, 2}:
            self._find(f"{argv} ended with {outcome.code}", outcome.err)

    def _list_all(self) -> None:
        for words in LISTINGS:
            outcome = self._command(*words.split(), "--json", code=None)
            if outcome.code:
                self._find(f"{words} fails", outcome.err)
        if self._log.exists() and "Traceback" in self._log.read_text(encoding="utf-8"):
            self._find("the log has a traceback", self._log.read_text(encoding="utf-8"))

    def _find(self, problem: str, screen: str) -> None:
        self.report.findings.append(problem)
        print(f"{problem}\n  after {' '.join(self._recent)}\n{screen}", flush=True)


def main() -> int:
    """Press keys as the arguments say, and print the outcome."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tomoseg_soak.") as folder:
        soak = Soak(Path(folder), arguments.seed)
        report = soak.run(60 * arguments.minutes)
        seconds = sorted(report.seconds) or [0.0]
        memory = report.memory[-1][1] if report.memory else 0.0
        times = f"{median(seconds):.2f} s, 95 % {seconds[int(0.95 * len(seconds))]:.2f} s, slowest {seconds[-1]:.2f} s"
        print(
            f"{report.keys} keys in {arguments.minutes:g} min (seed {arguments.seed}), {report.jobs} commands beside "
            f"it, ended {report.ends} times; key to screen {times} ({report.slowest:.2f} s on a busy machine); "
            f"{memory:.0f} MB, growth {soak.growth():.1%}; {len(report.findings)} findings"
        )
    return bool(report.findings)


if __name__ == "__main__":
    sys.exit(main())
