"""The read-only HTTP API over the log and the job table, and the tokens that open it."""
