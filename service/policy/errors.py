"""Errors of policies, and of the scores that they are applied to."""

from service.core.errors import FatalError, RejectedError, TransientError


class UnknownCategoriesError(FatalError):
    """An engine or a file names categories that the taxonomy lacks."""

    reason = "policy.unknown_categories"
    message = "{source} names unknown categories: {unknown}; known are {known}"


class PolicyFileError(FatalError):
    """A policy file cannot be used."""

    reason = "policy.invalid_file"
    message = "{path}, line {line}: {detail} (read because of policy.path)"


class CalibrationFileError(FatalError):
    """A calibration file cannot be used."""

    reason = "policy.invalid_calibration"
    message = "{path}, line {line}: {detail} (read because of policy.calibration)"


class CalibrationMismatchError(FatalError):
    """The calibration file was not fitted on the scores of the engine that runs."""

    reason = "policy.calibration_mismatch"
    message = (
        "policy.calibration: {path} does not fit the policy {policy!r} on this engine: {detail}. Run `modstream "
        "calibrate` with these settings, or leave policy.calibration unset"
    )


class PolicySettingsError(FatalError):
    """The policy settings do not fit together."""

    reason = "policy.invalid_settings"
    message = "{setting}: {detail}"


class PreparationTimeoutError(FatalError):
    """The engine could not be prepared for a changed policy in time."""

    reason = "policy.preparation_timeout"
    message = "The engine was not prepared for the changed policy {policy!r} within {limit_s} s; it is tried again"


class UnknownPolicyError(RejectedError):
    """An event names a policy that this service does not have."""

    reason = "policy.unknown"
    blame = "uploader"
    message = "No policy is named {name!r}; known: {known}"


class UnusableScoresError(TransientError):
    """The engine returned scores that are missing, superfluous or no probabilities."""

    reason = "policy.unusable_scores"
    message = "The engine's scores cannot be used: {detail}"
