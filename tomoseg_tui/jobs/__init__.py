"""Jobs: processes that continue without a terminal, and the folders that record their state.

`launch.spawn_worker` starts a job on this machine, `slurm.submit.submit_job` on a cluster; both run the same worker.
Slurm has its own queue, limits and priorities, so a job there is recorded by its Slurm job id (`slurm.commands`
controls it, `slurm.status` reads its state), and a worker on a node (`slurm.node_worker`) does not use our queue. After
a time limit, a preemption or a lost node the job is queued again and continues from its saved work.

On this machine jobs wait in a queue (`device_queue`) for their device (`device_request`). There is no daemon, since
users of a shared server often may not install one: each worker polls the queue itself. A waiting worker has loaded
only Python and msgspec, about 20 MB. It holds its claim, reacts to stop and kill immediately, and continues when the
terminal is closed. A job that depends on others (`dependencies`) enters the queue when they are done; the queue is in
the order in which jobs were launched.

A training, an audit and an apply take the whole CPU or GPU: two of them at once would slow each other down. Merging
and preprocessing take one core and run beside them, a few at a time, so that a short merge does not wait for hours.
"""

WORKER_MODULE = "tomoseg_tui.jobs.worker"
"""Module of the worker; its command line distinguishes a worker from commands that hold a claim for a moment."""
