"""What tabs and dialogs are about to ask for, checked against the project before anything is started."""
