"""Arrays and the words for them. Knows no files, no clocks and no chance of its own."""
