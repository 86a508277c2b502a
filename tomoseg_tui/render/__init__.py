"""Draw pictures as text or escape sequences of a terminal. Arrays and strings only, no widgets."""
