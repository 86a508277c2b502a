"""tomoseg: from cryo-electron tomograms to labelled volumes, in a terminal."""

__version__ = "0.1.0"
