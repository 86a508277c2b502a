"""Replace files whole, hold locks, report a full disk. Uses the operating system alone."""
