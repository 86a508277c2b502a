"""What a job needs before it is started: time, memory, video memory and disk."""
