"""Exceptions of libraries without their messages, which may hold a caption, a key or a signed URL."""

from service.core.errors import ModstreamError


def scrub_exception(error: BaseException) -> BaseException:
    """Return an exception with the same traceback and causes, without the messages of libraries' exceptions."""
    if isinstance(error, ModstreamError) and error.__cause__ is None and error.__context__ is None:
        return error
    words = (str(error),) if isinstance(error, ModstreamError) else ()
    kind = type(type(error).__name__, (Exception,), {"__module__": type(error).__module__})
    scrubbed: BaseException = kind(*words).with_traceback(error.__traceback__)
    scrubbed.__cause__ = scrub_exception(error.__cause__) if error.__cause__ else None
    scrubbed.__context__ = scrub_exception(error.__context__) if error.__context__ else None
    scrubbed.__suppress_context__ = error.__suppress_context__
    return scrubbed
