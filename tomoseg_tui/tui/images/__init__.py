"""Images and label overlays computed for the screen by threads."""
