"""The Jobs tab: the list of jobs, their logs, and keys to stop and resume them."""
