"""The `trail` projection: where in the log something is found."""
