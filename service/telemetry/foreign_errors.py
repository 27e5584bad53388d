"""Exceptions of others, told without their words: those may be a caption, a key or a signed URL."""

from service.core.errors import ModstreamError


def scrub_exception(error: BaseException) -> BaseException:
    """Return an exception that looks the same in a traceback, its causes included, less the messages of others."""
    if isinstance(error, ModstreamError) and error.__cause__ is None and error.__context__ is None:
        return error
    words = (str(error),) if isinstance(error, ModstreamError) else ()
    kind = type(type(error).__name__, (Exception,), {"__module__": type(error).__module__})
    told: BaseException = kind(*words).with_traceback(error.__traceback__)
    told.__cause__ = scrub_exception(error.__cause__) if error.__cause__ else None
    told.__context__ = scrub_exception(error.__context__) if error.__context__ else None
    told.__suppress_context__ = error.__suppress_context__
    return told
