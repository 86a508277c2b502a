"""Apply: the request, its checks, and the unfinished output."""
