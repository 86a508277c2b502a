"""The seven tabs, one file each, with its styles beside it."""
