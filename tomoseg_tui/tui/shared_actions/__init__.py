"""Keys and dialogs that several tabs share."""
