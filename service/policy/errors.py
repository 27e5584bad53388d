"""Errors of policies, and of the scores that they are applied to."""

from service.core.errors import FatalError, RejectedError, TransientError


class UnknownCategoriesError(FatalError):
    """An engine or a file names categories that the taxonomy lacks."""

    reason = "policy.unknown_categories"
    message = "{source} names unknown categories: {unknown}; known are {known}"


class PolicyFileError(FatalError):
    """A policy file cannot be used."""

    reason = "policy.invalid_file"
    message = "{path}, line {line}: {detail} (read because of {setting})"


class PolicySettingsError(FatalError):
    """The policy settings do not fit together."""

    reason = "policy.invalid_settings"
    message = "{setting}: {detail}"


class UnknownPolicyError(RejectedError):
    """An event names a policy that this service does not have."""

    reason = "policy.unknown"
    blame = "uploader"
    message = "No policy is named {name!r}; known: {known}"


class UnusableScoresError(TransientError):
    """The engine returned scores that are missing, superfluous or no probabilities."""

    reason = "policy.unusable_scores"
    message = "The engine's scores cannot be used: {detail}"
