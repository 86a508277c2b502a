"""Dialogs that several tabs use, and their base."""
