"""The commands: each parses arguments, calls one function of the packages below and returns an exit code."""
