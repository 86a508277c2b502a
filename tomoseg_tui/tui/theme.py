"""Two themes, dark and light, whose colours remain distinct in 256 colours."""

from textual.theme import Theme

THEMES = (
    Theme(
        name="tomoseg-dark",
        primary="#56B4E9",
        secondary="#E69F00",
        accent="#E69F00",
        warning="#F0E442",
        error="#E06C4C",
        success="#3FBF8F",
        foreground="#E4E4E4",
        background="#121212",
        surface="#1C1C1C",
        panel="#262626",
        dark=True,
    ),
    Theme(
        name="tomoseg-light",
        primary="#0067A5",
        secondary="#A85F00",
        accent="#A85F00",
        warning="#8A6D00",
        error="#B03A1E",
        success="#00704A",
        foreground="#1C1C1C",
        background="#FFFFFF",
        surface="#F3F3F3",
        panel="#E4E4E4",
        dark=False,
    ),
)
