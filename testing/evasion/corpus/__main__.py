"""Prints which files of the corpus are not decoded as Chromium shows them; a pattern selects files by name."""

import re
import sys
from collections import Counter

from testing.browser_pixels import show_files
from testing.evasion.comparing import compared
from testing.evasion.corpus.corpus import corpus

pattern = sys.argv[1] if len(sys.argv) > 1 else ""
files = {name: data for name, data in corpus().items() if re.search(pattern, name)}
counts: Counter[str] = Counter()
for (name, data), shown in zip(files.items(), show_files(files.values()), strict=True):
    found = compared(data, shown)
    counts[found.likeness] += 1
    if found.likeness != "alike" or found.ambiguous:
        print(f"{found.likeness:14}{name}: {found.detail} {' '.join(found.ambiguous)}")  # noqa: T201 - its output
print(dict(counts))  # noqa: T201 - its output
