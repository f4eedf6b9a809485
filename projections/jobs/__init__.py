"""The queryable job table, the per-installation row and the claim."""
