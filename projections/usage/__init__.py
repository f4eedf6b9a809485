"""The `usage` projection: every call to a model, what it cost, and whether its answer was of use."""
