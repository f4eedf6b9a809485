"""The endpoints of the stand-in, one module per group of resources, joined in catalog.py."""
