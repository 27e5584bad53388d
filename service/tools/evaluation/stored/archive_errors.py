"""What can go wrong while an archive is written."""

from service.core.errors import FatalError


class ArchiveDamagedError(FatalError):
    """A file by which an archive is continued is missing or no file of ours."""

    reason = "archive.damaged"
    message = (
        "the archive at {place} cannot be continued: {detail}. Restore the file from a copy, or archive the topics"
        " anew to another place"
    )


class ArchiverReplacedError(FatalError):
    """Another process writes to the same archive."""

    reason = "archive.replaced"
    message = (
        "another 'modstream archive' writes to {place} and has taken over flush {number}: one at a time writes to an"
        " archive. Nothing is lost or double; if no other runs, start this one again"
    )


class ArchiveOffsetsLostError(FatalError):
    """A topic ends before what an archive holds of it."""

    reason = "archive.offsets_lost"
    message = (
        "{topic} partition {partition} ends at offset {end}, and the archive at {place} holds records up to {start}:"
        " the brokers lost records, or kafka.bootstrap_servers names another cluster than before. Correct the setting,"
        " or archive to another place"
    )
