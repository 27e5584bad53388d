"""The audited images that people label, as CSV. Pure."""

import csv
import hashlib
import io
from collections.abc import Sequence

from service.tools.evaluation.sampling.audits import ChosenImage
from service.tools.evaluation.sampling.label_sheet import quoted

COLUMNS = ("tenant", "image_id", "policy", "day", "found", "labels")


def audit_sheet(chosen: Sequence[ChosenImage], *, without_find: int) -> str:
    """Return audited images to label: all with a find, and up to so many without one.

    Both come in the order of a hash of their ids, so that the first rows are a random sample of each kind.
    """
    audited = sorted((image for image in chosen if image.found is not None), key=_order)
    rows = [image for image in audited if image.is_flagged]
    rows += [image for image in audited if not image.is_flagged][:without_find]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for image in rows:
        found = " ".join(sorted(image.found or ()))
        writer.writerow([quoted(image.tenant), quoted(image.image_id), quoted(image.policy), image.day, found, ""])
    return text.getvalue()


def _order(image: ChosenImage) -> bytes:
    return hashlib.sha256(f"{image.tenant}\n{image.image_id}".encode(errors="surrogatepass")).digest()
