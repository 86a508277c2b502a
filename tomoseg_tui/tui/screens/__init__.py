"""Dialogs, help and pickers."""
