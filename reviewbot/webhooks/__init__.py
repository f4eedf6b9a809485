"""One file per GitHub event, joined in catalog.py."""
