"""How times, sizes, states and results are said on screens. Pure."""
