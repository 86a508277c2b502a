"""Slices on the screen: encoded lines, canvas widgets, frame pacing, and the thread that reads ahead."""
