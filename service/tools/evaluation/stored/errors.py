"""What is wrong with verdicts that are read from files, archives or the topic."""

from service.core.errors import FatalError


class NoVerdictsError(FatalError):
    """The place that verdicts are read from does not exist, or holds none of the kinds of file that are read."""

    reason = "verdicts.none"
    message = "{place} holds no verdicts: {detail}"


class VerdictUnreadableError(FatalError):
    """A file holds something that is no verdict."""

    reason = "verdicts.unreadable"
    message = "{place} is no verdict: {detail}"


class NoRoomForVerdictsError(FatalError):
    """The temporary folder cannot take what is read."""

    reason = "verdicts.no_room"
    message = "the temporary folder {folder} cannot take the rows: {detail}; TMPDIR names another one"


class TooManyCategoriesError(FatalError):
    """Verdicts name more categories than a table has columns for."""

    reason = "verdicts.too_many_categories"
    message = (
        "{place} has scores of {found} categories beyond modstream's own, and {limit} are read at most; are the names"
        " of its categories ids of something else?"
    )


class ArchiveVersionError(FatalError):
    """An archive has another version of the schema than this modstream writes and reads."""

    reason = "archive.version"
    message = (
        "the archive at {place} has version {found} and this modstream reads version {known}: use the modstream that"
        " wrote it, or archive the topics anew to another place"
    )


class ArchiveUnreachableError(FatalError):
    """The folder or the bucket of an archive cannot be read or written."""

    reason = "archive.unreachable"
    message = "the archive at {place} cannot be {used}: {detail}"
