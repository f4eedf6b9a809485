"""Unified diffs: parsing, anchors and the token budget. Pure."""
