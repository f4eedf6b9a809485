"""One exception tree: what may be tried again, and what is final."""

from __future__ import annotations


class ReviewBotError(Exception):
    """Something went wrong in ReviewBot.

    The message is for the operator, and may repeat what the other side said. `kept` is what the log keeps for ever: a
    sentence without any text of a pull request or of the other side.
    """

    def __init__(self, message: str | None = None, *, kept: str | None = None) -> None:
        # The docstring is the sentence a person reads when the raiser has nothing more precise to say.
        docstring = (type(self).__doc__ or "").strip()
        super().__init__(message or docstring)
        self.kept = kept or docstring


class RetryableError(ReviewBotError):
    """A passing fault: the same request may succeed later.

    `retry_after` is the number of seconds the other side asked us to wait, or None when it did not say.
    """

    def __init__(
        self, message: str | None = None, *, retry_after: float | None = None, kept: str | None = None
    ) -> None:
        super().__init__(message, kept=kept)
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
    """GitHub refused the request; the service's log has its words."""

    def __init__(
        self,
        message: str | None = None,
        *,
        status: int = 0,
        errors: tuple[str, ...] = (),  # in GitHub's words
        kept: str | None = None,
    ) -> None:
        super().__init__(message, kept=kept)
        self.status = status
        self.errors = errors


class InstallationGone(FinalError):
    """The installation was suspended or deleted: GitHub gives ReviewBot no access any more."""


class NotPermitted(FinalError):
    """The GitHub App lacks a permission that this request needs."""


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
    """The diff cannot be read."""

    def __init__(self, message: str | None = None, *, line: int = 0) -> None:
        """`line` is the 1-based line of the diff where it stops making sense, 0 when unknown."""
        super().__init__(message, kept=f"The diff cannot be read at its line {line}." if line else None)
        self.line = line
