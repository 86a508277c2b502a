"""Slices on the screen: the strip, the widget, the pacing of frames, the thread that reads ahead."""
