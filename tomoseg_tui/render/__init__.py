"""A picture to cells or bytes of a terminal. Knows arrays and text only, no widgets."""
