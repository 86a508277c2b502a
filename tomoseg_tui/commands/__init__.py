"""Every command and its options, declared once: parser, help, forms and copied command lines all read these tables."""
