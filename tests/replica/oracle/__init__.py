"""An Oracle database as its clients see it: see README.md."""
