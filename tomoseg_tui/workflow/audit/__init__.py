"""Audits: the request, its checks, and the ranking of tiles."""
