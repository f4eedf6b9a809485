"""Intake without gaps: what GitHub sent, or has open, is compared with what the log holds."""
