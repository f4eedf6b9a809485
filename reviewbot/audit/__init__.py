"""Questions to the log: its events by what they are about, the story of a review, and why there is or is not one."""
