"""Read EMAN2 projects, plan their import, and import them."""
