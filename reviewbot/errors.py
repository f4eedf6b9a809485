"""One exception tree: what may be tried again, and what is final."""

from __future__ import annotations


class ReviewBotError(Exception):
    """Something went wrong in ReviewBot."""

    def __init__(self, message: str | None = None) -> None:
        # The docstring is the message a person reads when the raiser has nothing more precise to say.
        super().__init__(message or (type(self).__doc__ or "").strip())


class RetryableError(ReviewBotError):
    """A passing fault: the same request may succeed later.

    `retry_after` is the number of seconds the other side asked us to wait, or None when it did not say.
    """

    def __init__(self, message: str | None = None, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class FinalError(ReviewBotError):
    """A lasting fault: trying again without a change cannot help."""


# --- configuration and start ------------------------------------------------------------------------------------


class ConfigError(FinalError):
    """The configuration is not usable; the message lists every fault at once."""


# --- GitHub -----------------------------------------------------------------------------------------------------


class GitHubUnavailable(RetryableError):
    """GitHub could not be reached, timed out or answered with a server error."""


class GitHubRateLimited(RetryableError):
    """GitHub's primary or secondary rate limit is used up for this installation."""


class GitHubRefused(FinalError):
    """GitHub refused the request (4xx); `status` and `errors` say why."""

    def __init__(self, message: str | None = None, *, status: int = 0, errors: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.errors = errors


class InstallationGone(FinalError):
    """The installation was suspended or deleted: GitHub gives ReviewBot no access any more."""


class NotPermitted(FinalError):
    """The GitHub App lacks a permission that this request needs; the message names it when GitHub does."""


# --- models -----------------------------------------------------------------------------------------------------


class ProviderUnavailable(RetryableError):
    """The model provider could not be reached, timed out, was overloaded or broke off its answer."""


class ProviderRateLimited(RetryableError):
    """The model provider's rate limit or quota is used up."""


class ProviderMisconfigured(FinalError):
    """The model provider refused the key, the model name or the request itself: an operator must act."""


class AnswerUnusable(RetryableError):
    """The model's answer held neither a summary nor a single finding that could be read."""


# --- diffs ------------------------------------------------------------------------------------------------------


class DiffError(FinalError):
    """The diff cannot be read; `line` is the 1-based line of the diff where it stops making sense, 0 when unknown."""

    def __init__(self, message: str | None = None, *, line: int = 0) -> None:
        super().__init__(message)
        self.line = line
