"""Widgets that several tabs use, one file each."""
