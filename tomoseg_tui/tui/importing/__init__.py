"""The Import tab: tomograms, files, EMAN2 projects, and preprocessing."""
