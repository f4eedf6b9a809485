"""Prompt templates and their rendering. Pure."""
