"""Processes that outlive the terminal, and the folders that say what became of them.

A job is given to this machine by `launch.spawn_worker`, or to a cluster by `handing.hand_over`; what comes up is the
same worker. Slurm has a queue, limits and priorities of its own, so that of a job there we only remember its number
(`slurm` speaks with it, `slurm_look` listens), and a worker on a node (`slurm_worker`) waits in no line of ours. A time
limit, a preemption and a lost node are no ends there: the job is queued again and goes on from what it has kept. On
this machine jobs wait in line (`queue`) for their device
(`placements`): each worker for itself, without a daemon, since nobody on a shared server may install one. The worker
sleeps with nothing awake but Python and msgspec, some 20 MB; so a job that waits holds its claim, answers stop and
kill at once, and goes on after the window that asked for it has gone. What comes after other jobs (`chaining`) takes
its place in line when they are done; the places are in the order in which jobs were launched.

A training, an audit and an apply take the whole CPU or GPU. Merging and preprocessing take a core, and run beside
them, a few at a time: two heavy jobs at once would thrash, a merge of seconds should not wait a night.
"""

WORKER_MODULE = "tomoseg_tui.jobs.worker"
"""What a worker runs; by this word of its command it is told from others that hold a claim for a moment."""
