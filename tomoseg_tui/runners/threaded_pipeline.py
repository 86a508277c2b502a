"""Read, compute and write in parallel in three threads, with one or two items in memory between them."""

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
    """Pass items from a reader through a computation to a writer.

    Parameters
    ----------
    items : iterator
        Advanced in a separate thread, one item ahead of the computation. None means that nothing can be read now.
    compute : callable
        Called in the calling thread.
    write : callable
        Called in a third thread, in order, at most one item behind.
    wait : callable
        Called in the calling thread for each None, when all results are written.

    Notes
    -----
    An error in any of the three is raised here, after the item being read and the item being written; no further item
    is started.
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
