"""What to do about a failed review, by the code of the failure. Pure."""

from __future__ import annotations

REMEDIES: dict[str, str] = {
    "github_unavailable": "Passing. Re-run it once GitHub is well.",
    "github_rate_limited": "Passing. Re-run it when GitHub's limit is over.",
    "github_refused": "GitHub refuses it: look at the App's permissions, and whether the owner has accepted them.",
    "not_permitted": "The App lacks a permission, or the owner has not accepted a new one.",
    "installation_gone": "The App was suspended or uninstalled; unsuspend or install it again.",
    "provider_unavailable": "Passing. Re-run it once the model provider is well.",
    "provider_rate_limited": "The provider's limit or quota is used up: raise it, or wait.",
    "provider_misconfigured": "Check the key, MODEL and PROVIDER with `reviewbot review HEAD`, restart, re-run.",
    "answer_unusable": "The model answers nonsense or declines: try another MODEL.",
    "diff_error": "GitHub sent a diff that cannot be read: report it.",
    "deadline": "It took longer than REVIEW_TIMEOUT_SECONDS: raise that, or lower MAX_FILES.",
    "worker_lost": "Its worker died or hung every time: look at that process, and at its memory.",
    "database": "The database did not answer: free space, start Postgres; then re-run.",
    "gave_up": "It was put back too often: the reason says for what.",
    "internal": "A defect: look for `review broke` in the process's log, and report it.",
}
UNKNOWN = "See the reason; re-run it with the button of its Check Run."


def remedy(code: str) -> str:
    """What to do, in a sentence or two."""
    return REMEDIES.get(code, UNKNOWN)
