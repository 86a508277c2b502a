"""Projects of EMAN2: read, planned, imported."""
