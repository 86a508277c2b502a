"""Apply: the request, its checks, and the output in the making."""
