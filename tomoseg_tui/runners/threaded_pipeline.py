"""Read, compute and write beside each other, in three threads, with a piece or two in memory between them."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Read = TypeVar("Read")
Made = TypeVar("Made")


def read_compute_write(
    items: Iterator[Read | None],
    compute: Callable[[Read], Made],
    write: Callable[[Made], None],
    wait: Callable[[], None],
) -> None:
    """Carry pieces from a reader through a computation to a writer.

    Parameters
    ----------
    items : iterator
        Advanced in a thread of its own, one piece ahead of the computation. None: nothing to read just now.
    compute : callable
        Run in the calling thread.
    write : callable
        Run in a third thread, in the order of the pieces, at most one piece behind.
    wait : callable
        Called in the calling thread for each None, when all that was made is written.

    Notes
    -----
    What any of the three raises is raised here, after the piece that is being read and the one that is
    being written; nothing is begun after it.
    """

    def read_next() -> tuple[Read | None] | None:
        for item in items:
            return (item,)
        return None

    with ThreadPoolExecutor(1, "reading") as read_executor, ThreadPoolExecutor(1, "writing") as write_executor:
        pending_write: Future[None] | None = None
        try:
            pending_read = read_executor.submit(read_next)
            while ready := pending_read.result():
                pending_read = read_executor.submit(read_next)
                results = [compute(item) for item in ready if item is not None]
                if pending_write is not None:
                    pending_write.result()
                if results:
                    pending_write = write_executor.submit(write, *results)
                else:
                    wait()
            if pending_write is not None:
                pending_write.result()
        finally:
            pending_read.cancel()
