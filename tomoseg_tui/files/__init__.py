"""Replace files whole, hold locks, and report a full disk. The bottom package: it uses the operating system alone."""
