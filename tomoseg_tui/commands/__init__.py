"""All commands and their options, declared once for the parser, the help, the forms and copied command lines."""
