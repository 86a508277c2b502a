"""The Jobs tab: the list of jobs, their logs, and how they are stopped and resumed."""
