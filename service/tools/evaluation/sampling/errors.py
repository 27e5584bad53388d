"""What can be wrong with a sample to label, and with what came back labelled."""

from service.core.errors import FatalError


class SampleImpossibleError(FatalError):
    """No sample with these strata can be drawn."""

    reason = "sample.impossible"
    message = "{detail}"


class LabelsInvalidError(FatalError):
    """A labelled file is not what `evaluate sample` wrote, with labels added."""

    reason = "labels.invalid"
    message = "{problems}"


class LabelsIncompleteError(FatalError):
    """Too little is labelled to estimate anything."""

    reason = "labels.incomplete"
    message = "{path}: {detail}"
