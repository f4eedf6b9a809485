"""One query, one file, named as its caller."""
