"""The paint editor: tools, keys, view settings, and the thread that saves strokes."""
