"""The names of an archive's files. Pure.

| Name | Content |
|---|---|
| `archive.json` | the version of the schema, and the salt of `forgotten/` |
| `flushes/<number>.json` | which offsets a flush holds and which files it consists of |
| `verdicts/day=2026-03-01/tenant=acme/<number>.parquet` | rows of one flush; the other tables likewise |
| `verdicts/day=2026-03-01/tenant=acme/<first>-<last>.parquet` | rows of several flushes, after a compaction |
| `forgotten/<id>.json` | which images must not come back |

Tenants are text of uploaders: every character but letters, digits, `-` and `_` is percent-encoded in a path, and the
rows hold the tenant as it is. Rows without a tenant lie where Hive, Spark and DuckDB expect a null.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Final, Literal
from urllib.parse import quote

Table = Literal["verdicts", "tags", "dead_letters", "audits"]
TABLES: tuple[Table, ...] = ("verdicts", "tags", "dead_letters", "audits")

VERSION: Final = "2"
VERSION_KEY = b"modstream.archive"
"""The key of the version in the metadata of every file of rows."""
FLUSH_KEY = b"modstream.flush"
"""The key of number and offsets of the flush that wrote a file."""

IDENTITY = "archive.json"
FLUSHES = "flushes/"
FORGOTTEN = "forgotten/"
ENDING = ".parquet"

NO_TENANT = "__HIVE_DEFAULT_PARTITION__"
_MAX_TENANT_BYTES = 120
"""File systems end names at 255 bytes, and a tenant may take 3,072 when it is encoded."""

_DAY = re.compile(r"(?:verdicts|tags|dead_letters|audits)/day=(\d{4}-\d{2}-\d{2})/")
ROWS = re.compile(
    r"(?:verdicts|tags|dead_letters|audits)/day=\d{4}-\d{2}-\d{2}/tenant=[A-Za-z0-9_%-]{1,255}/\d{12}(-\d{12})?\.parquet"
)
"""The names of files of rows."""


def partition_of(table: Table, moment: datetime, tenant: str | None) -> str:
    """Return the folder of a row, with the `/` behind it."""
    return f"{table}/day={moment.astimezone(UTC).date().isoformat()}/{tenant_folder(tenant)}/"


def tenant_folder(tenant: str | None) -> str:
    """Return the last folder of a tenant's rows; a long name ends in its hash."""
    if tenant is None:
        return f"tenant={NO_TENANT}"
    encoded = quote(tenant, safe="-_").replace(".", "%2E").replace("~", "%7E")
    if encoded.startswith("_"):
        encoded = f"%5F{encoded[1:]}"
    if len(encoded) > _MAX_TENANT_BYTES:
        encoded = f"{encoded[:_MAX_TENANT_BYTES]}-{hashlib.sha256(tenant.encode()).hexdigest()}"
    return f"tenant={encoded}"


def flush_name(number: int) -> str:
    """Return the name of the plan of a flush."""
    return f"{FLUSHES}{number:012}.json"


def rows_name(folder: str, number: int) -> str:
    """Return the name of a flush's file in a folder."""
    return f"{folder}{number:012}{ENDING}"


def merged_name(folder: str, first: int, last: int) -> str:
    """Return the name of a file that holds the rows of a folder's flushes from one to another."""
    return f"{folder}{first:012}-{last:012}{ENDING}"


def flushes_in(name: str) -> tuple[int, int]:
    """Return the first and the last flush that a file of rows may hold."""
    first, _, last = name.rpartition("/")[2].removesuffix(ENDING).partition("-")
    return int(first), int(last or first)


def by_folder(names: Iterable[str]) -> dict[str, list[str]]:
    """Return files of rows by folder, in the order of their flushes; a file comes before those that lie within it."""
    found: dict[str, list[str]] = {}
    for name in names:
        if ROWS.fullmatch(name):
            found.setdefault(name.rpartition("/")[0] + "/", []).append(name)
    for files in found.values():
        files.sort(key=lambda name: (flushes_in(name)[0], -flushes_in(name)[1]))
    return found


def superseded(files: Sequence[str]) -> list[str]:
    """Return the files of one folder, in order, whose rows another one holds: a compaction was ended before its end."""
    found, end = [], -1
    for name in files:
        last = flushes_in(name)[1]
        if last <= end:
            found.append(name)
        end = max(end, last)
    return found


def day_of(name: str) -> date | None:
    """Return the day of a file of rows; None for another file, or a day that no calendar has."""
    found = _DAY.match(name)
    try:
        return date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None
