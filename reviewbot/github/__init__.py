"""GitHub as ReviewBot sees it: authentication, limits, pull requests, checks, deliveries."""
