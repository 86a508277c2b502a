"""Read, compute and write beside each other, in three threads, with a piece or two in memory between them."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Read = TypeVar("Read")
Made = TypeVar("Made")


def in_three_threads(
    pieces: Iterator[Read | None],
    compute: Callable[[Read], Made],
    write: Callable[[Made], None],
    wait: Callable[[], None],
) -> None:
    """Carry pieces from a reader through a computation to a writer.

    Parameters
    ----------
    pieces : iterator
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

    def next_piece() -> tuple[Read | None] | None:
        for piece in pieces:
            return (piece,)
        return None

    with ThreadPoolExecutor(1, "reading") as reading, ThreadPoolExecutor(1, "writing") as writing:
        written: Future[None] | None = None
        try:
            ahead = reading.submit(next_piece)
            while found := ahead.result():
                ahead = reading.submit(next_piece)
                made = [compute(piece) for piece in found if piece is not None]
                if written is not None:
                    written.result()
                if made:
                    written = writing.submit(write, *made)
                else:
                    wait()
            if written is not None:
                written.result()
        finally:
            ahead.cancel()
