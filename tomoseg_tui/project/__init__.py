"""The files of a project folder: their paths, contents and safe changes."""
