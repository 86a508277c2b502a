"""Dialogs that several tabs use, and what they have in common."""
