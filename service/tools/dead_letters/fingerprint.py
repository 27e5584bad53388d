"""Pure: identifies a kind of failure by reason, kind of error, normalised message, and innermost frame."""

import hashlib
import re

FINGERPRINT_CHARS = 10
"""Of hexadecimal digits: short enough to type, and a thousand kinds of failure do not share one."""

# Ours are shorter; others may write to the topic too, and some patterns take the square of what they are given.
_MAX_MESSAGE_CHARACTERS = 1000
_MAX_STACK_CHARACTERS = 8000
_MAX_PATH_CHARACTERS = 1000

# In this order: what stands in quotes may hold anything, a URL holds numbers, and numbers come last. Names of hosts
# stay, because one slow store among many is what people look for; so do status codes.
_PARTICULARS = (
    (re.compile(r"""b?'(?:[^'\\]|\\.)*'|b?"(?:[^"\\]|\\.)*\""""), "'…'"),
    (re.compile(r"\b[a-z][a-z0-9+.-]{0,31}://\S+", re.IGNORECASE), "‹url›"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE), "‹id›"),
    (re.compile(r"\b(?=[0-9a-f]*[0-9])[0-9a-f]{8,}\b|(?<!answered )(?<!\w)\d+(?:[.,:]\d+)*", re.IGNORECASE), "‹n›"),
)
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line \d+, in (?P<function>.+)')
# From here on a path is the same on every machine.
_ROOTS = re.compile(r".*/(?=service/)|.*/site-packages/|.*/python3\.\d+/")


def fingerprint(reason: str, error_class: str, message: str, stack: str) -> str:
    """Return a few characters that are equal for the same kind of failure, on every machine and in neighbouring
    releases.
    """
    parts = "\0".join((reason, error_class, normalised(message), innermost_frame(stack)))
    return hashlib.sha256(parts.encode(errors="replace")).hexdigest()[:FINGERPRINT_CHARS]


def normalised(message: str) -> str:
    """Return a message without numbers, ids, quoted texts and URLs, which differ from record to record."""
    message = message[:_MAX_MESSAGE_CHARACTERS]
    for pattern, stand_in in _PARTICULARS:
        message = pattern.sub(stand_in, message)
    return message


def innermost_frame(stack: str) -> str:
    """Return file and function that raised the error, without line numbers, which move with every release."""
    frames = list(_FRAME.finditer(stack[-_MAX_STACK_CHARACTERS:]))
    if not frames:
        return ""
    path = frames[-1]["file"][-_MAX_PATH_CHARACTERS:]
    root = _ROOTS.match(path)
    return f"{path[root.end() :] if root else path} {frames[-1]['function'].strip()}"
