"""The line of keys at the bottom of a screen."""

from textual import widgets
from textual._styles_cache import StylesCache


class KeyFooter(widgets.Footer):
    """A footer that forgets the keys it no longer shows.

    Textual (8.2) makes every key anew when the focus moves, binds it to `compact`, and drops what is bound only when
    `compact` changes; a cache of its own holds the lines of the last thousand widgets besides. Without this a program
    that runs for days grows by a megabyte each time round its tabs.
    """

    def __init__(self) -> None:
        super().__init__(show_command_palette=False)

    async def recompose(self) -> None:
        """Make the keys anew, and drop the old ones."""
        await super().recompose()
        if self.is_attached:
            self.mutate_reactive(widgets.Footer.compact)
        StylesCache.get_inner_outer.cache_clear()
