"""Messages as dataclasses."""

import doctest

from tomoseg_tui.tui import messages
from tomoseg_tui.tui.canvas.frame_pacing import FramePacerApp
from tomoseg_tui.tui.messages import TaskDone, ThreadCrashed


def test_textual_initialises_a_message_that_is_a_dataclass() -> None:
    assert tuple(doctest.testmod(messages)) == (0, 2)
    message = TaskDone("merged", None)
    assert (message.on_done, message.is_forwarded, message.bubble) == (None, False, True)
    assert not ThreadCrashed(ValueError()).bubble


async def test_a_message_has_its_sender() -> None:
    async with FramePacerApp().run_test() as pilot:
        sent = TaskDone("merged", None)
        assert pilot.app.post_message(sent)
        assert sent._sender is pilot.app
