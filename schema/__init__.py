"""What is written: the event vocabulary, the log and the inbox. Imports nothing of ours."""
