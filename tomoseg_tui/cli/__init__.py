"""The commands: arguments in, one call into the rooms below, an exit code out."""
