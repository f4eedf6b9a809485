"""What is read: tables folded from the log, which can be dropped and rebuilt at any time."""
