"""What is done: the service, its command line and everything that talks to GitHub and to models."""
