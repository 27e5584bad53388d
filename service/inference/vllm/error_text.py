"""Pure: what vLLM's errors say, without what a request holds."""


def error_line(error: Exception) -> str:
    """Return what an error says, in one line; its values are left out, which may be a caption's."""
    text = " ".join(str(error.args[0] if error.args else "").split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
