"""A real Slurm with one node: munged, slurmctld and slurmd, with all files in one folder."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

COMMANDS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
NODE = "node1"
CPUS = 4
"""CPUs of the node, independent of the machine, so that some jobs run in parallel and others wait."""
_CONFIG = """\
ClusterName=tomoseg
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
# A requeued job waits until its credential expires; 2 minutes by default.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1,sched_min_interval=0
KillWait=5
ReturnToService=2
SlurmdParameters=config_overrides
NodeName={node} NodeAddr=127.0.0.1 NodeHostname={host} Port={node_port} CPUs={cpus} RealMemory=2000
PartitionName=main Nodes={node} Default=YES State=UP MaxTime=INFINITE
PartitionName=shut Nodes={node} State=DOWN
"""


@dataclass(frozen=True)
class Cluster:
    """A running Slurm, and how to run its commands."""

    folder: Path

    @property
    def config(self) -> Path:
        """Path for `SLURM_CONF`."""
        return self.folder / "slurm.conf"

    @property
    def env(self) -> dict[str, str]:
        """Environment for Slurm's commands to use this cluster."""
        return {"SLURM_CONF": str(self.config)}

    def __call__(self, *arguments: str) -> str:
        """Run a command of Slurm; return its output."""
        done = subprocess.run(
            arguments, env={**os.environ, **self.env}, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def state(self, job: str) -> str:
        """Return Slurm's state of a job."""
        return self("squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T").strip()


def missing_commands() -> list[str]:
    """Return which of Slurm's programs are not installed."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    return [command for command in COMMANDS if shutil.which(command, path=path) is None]


@contextlib.contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """Start a Slurm with all files in a folder; end it and all its jobs afterwards.

    Parameters
    ----------
    folder : Path
        Empty, with a short name, since it will contain sockets.
    """
    cluster = Cluster(folder)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)
    ports = _free_ports(2)
    cluster.config.write_text(
        _CONFIG.format(
            host=socket.gethostname().partition(".")[0], folder=folder, node=NODE, cpus=CPUS,
            user=pwd.getpwuid(os.geteuid()).pw_name, controller_port=ports[0], node_port=ports[1],
        )
    )  # fmt: skip
    munge = [f"--{what}={folder}/munge.{end}" for what, end in _MUNGE_FILES.items()]
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        daemons.append(_start(cluster, "munged", "--foreground", "--force", *munge))
        _wait_for(cluster, (folder / "munge.socket").exists)
        daemons.append(_start(cluster, "slurmctld", "-D", "-f", str(cluster.config)))
        daemons.append(_start(cluster, "slurmd", "-D", "-N", NODE, "-f", str(cluster.config)))
        _wait_for(cluster, lambda: _is_idle(cluster))
        yield cluster
    finally:
        for arguments in (("--state=PENDING", "--partition=main"), ("--signal=KILL", "--full", f"--nodelist={NODE}")):
            subprocess.run(
                ["scancel", *arguments], env={**os.environ, **cluster.env}, capture_output=True, check=False, timeout=60
            )
        for daemon in reversed(daemons):  # one by one: each notifies the remaining ones
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


_MUNGE_FILES = {
    "key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed",
}  # fmt: skip


def _start(cluster: Cluster, *arguments: str) -> subprocess.Popen[bytes]:
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    with (cluster.folder / f"{arguments[0]}.out").open("wb") as out:
        return subprocess.Popen(
            [shutil.which(arguments[0], path=path) or arguments[0], *arguments[1:]],
            env={**os.environ, **cluster.env}, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip


def _is_idle(cluster: Cluster) -> bool:
    looked = subprocess.run(
        ["sinfo", "--noheader", f"--nodes={NODE}", "--partition=main", "--format=%t"],
        env={**os.environ, **cluster.env}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return looked.stdout.strip() == "idle"


def _wait_for(cluster: Cluster, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        output = "\n".join(
            path.read_text(errors="replace")[-2000:] for path in sorted(cluster.folder.glob("*.[ol][uo]*"))
        )
        assert time.monotonic() < deadline, f"Slurm did not start:\n{output}"
        time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
