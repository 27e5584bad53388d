"""The demo's result as one HTML file: pictures, decisions, scores, reasons, and what produced them.

Flagged pictures stay blurred until a checkbox shows them, by CSS and not by a script: the page has none, and its
content security policy forbids scripts and every request.
"""

import base64
import io
import warnings
from collections.abc import Iterable, Mapping
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

from PIL import Image, ImageOps

from schemas.tags import TagsV1
from schemas.verdict import VerdictV1
from service.client.outcomes import DeadLetter
from service.tools.demo.outcomes import Outcomes, gravest_first

MAX_CARDS = 500
"""At some 20 KB each; the gravest are shown."""
MAX_SCORES = 3
MAX_TAGS = 4

_FILTERS = (("all", "All"), ("block", "Block"), ("review", "Review"), ("allow", "Allow"))


def contact_sheet(outcomes: Outcomes, thumbnails: Mapping[str, str], *, seconds: float) -> str:
    """Return the page; `thumbnails` are data URIs by key."""
    shown = cards_shown(outcomes)
    cards = [_card(key, verdict, outcomes.tags.get(key), thumbnails.get(key)) for key, verdict in shown]
    return Template(_part("page.html")).substitute(
        style=_part("style.css"),
        summary=escape(_summary(outcomes)),
        figures=_figures(outcomes, seconds),
        filters="".join(_filter(name, label) for name, label in _FILTERS),
        notice=_notice(len(cards), len(outcomes.verdicts)),
        cards="\n".join(cards),
        dead_letters=_dead_letters(outcomes.dead_letters.values()),
        origin=_origin(outcomes.verdicts.values()),
    )


def cards_shown(outcomes: Outcomes) -> list[tuple[str, VerdictV1]]:
    """Return the verdicts that have a card, with their keys."""
    return gravest_first(outcomes.verdicts.items())[:MAX_CARDS]


def _part(name: str) -> str:
    return (resources.files("service.tools.demo") / "sheet" / name).read_text(encoding="utf-8")


def _summary(outcomes: Outcomes) -> str:
    return (
        f"{len(outcomes.sent)} upload events went in. {len(outcomes.verdicts)} were judged, "
        f"{len(outcomes.dead_letters)} could not be and say why."
    )


def _figures(outcomes: Outcomes, seconds: float) -> str:
    decisions = outcomes.decisions()
    figures = [(name, str(decisions[name]), name) for name in ("allow", "review", "block")]
    figures += [
        ("dead letters", str(len(outcomes.dead_letters)), ""),
        ("lost", str(len(outcomes.lost)), ""),
        ("duplicated", str(outcomes.duplicated), ""),
        ("seconds in all", f"{seconds:.1f}", ""),
    ]
    return "".join(f'<div class="{kind}"><dt>{name}</dt><dd>{value}</dd></div>' for name, value, kind in figures)


def _filter(name: str, label: str) -> str:
    checked = " checked" if name == "all" else ""
    field = f'<input type="radio" name="only" id="only-{name}"{checked}>'
    return f'{field}<label for="only-{name}">{label}</label>'


def _notice(shown: int, total: int) -> str:
    if shown == total:
        return ""
    return f'<p class="notice">The {shown} gravest of {total} are shown.</p>'


def _card(key: str, verdict: VerdictV1, tags: TagsV1 | None, picture: str | None) -> str:
    return f"""<li class="card {verdict.decision}">
{_picture(key, verdict, picture)}
<div class="body">
<div class="title"><h3>{escape(key)}</h3><span class="badge">{verdict.decision}</span></div>
{_scores(verdict)}
{_reasons(verdict)}
{_tags(tags)}
{_facts(verdict)}
</div>
</li>"""


def _picture(key: str, verdict: VerdictV1, picture: str | None) -> str:
    image = f'<img src="{escape(picture)}" alt="{escape(key)}" loading="lazy">' if picture else ""
    if verdict.decision == "allow":
        return f'<div class="picture">{image}</div>'
    control = f"reveal-{verdict.source.partition}-{verdict.source.offset}"
    why = escape((verdict.deciding_category or "not judged").replace("_", " "))
    return (
        f'<div class="picture flagged"><input class="reveal" type="checkbox" id="{control}">{image}'
        f'<label class="veil" for="{control}">'
        f'<span><b class="show">Show · {why}</b><b class="hide">Blur again</b></span>'
        f'<span class="unseen">picture {escape(key)}</span></label></div>'
    )


def _scores(verdict: VerdictV1) -> str:
    top = sorted(verdict.scores.items(), key=lambda item: -item[1])[:MAX_SCORES]
    return f'<dl class="scores">{"".join(_score(name, score, verdict) for name, score in top)}</dl>'


def _score(name: str, score: float, verdict: VerdictV1) -> str:
    kind = ' class="deciding"' if name == verdict.deciding_category else ""
    meter = f'<span class="meter"><i style="width:{score:.0%}"></i></span>'
    return f'<dt{kind}>{escape(name.replace("_", " "))}</dt><dd>{meter}<span class="value">{score:.2f}</span></dd>'


def _reasons(verdict: VerdictV1) -> str:
    if not verdict.reasons:
        return ""
    return f'<ul class="reasons">{"".join(f"<li>{escape(reason.message)}</li>" for reason in verdict.reasons)}</ul>'


def _tags(tags: TagsV1 | None) -> str:
    values = [value for each in (tags.attributes.values() if tags else ()) for value in each][:MAX_TAGS]
    items = "".join(f"<li>{escape(value.value)} {value.confidence:.0%}</li>" for value in values)
    return f'<ul class="tags" aria-label="Tags">{items}</ul>' if items else ""


def _facts(verdict: VerdictV1) -> str:
    image, source = verdict.image, verdict.source
    frames = f", {image.frames_judged} of {image.frames} frames judged" if image.frames > 1 else ""
    stages = ", ".join(f"{stage} {ms:.0f}" for stage, ms in verdict.timings_ms.items() if stage != "total")
    facts = {
        "Image": f"{image.width} × {image.height}, {image.media_type}, {image.bytes / 1024:.0f} KiB{frames}",
        "SHA-256": f"<code>{image.sha256}</code>",
        "Record": f"<code>{escape(source.topic)}</code>, partition {source.partition}, offset {source.offset}",
        "Milliseconds": escape(stages),
    }
    total = verdict.timings_ms.get("total", 0.0)
    return f"<details><summary>Details · {total:.0f} ms</summary>{_definitions(facts)}</details>"


def _definitions(facts: Mapping[str, str]) -> str:
    """List names with values that are HTML already."""
    return f'<dl class="facts">{"".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items())}</dl>'


def _dead_letters(dead_letters: Iterable[DeadLetter]) -> str:
    rows = "".join(
        f"<tr><th scope=row>{escape(dead_letter.key)}</th><td><code>{escape(dead_letter.reason)}</code></td>"
        f"<td>{escape(dead_letter.message)}</td><td>{dead_letter.attempt}</td></tr>"
        for dead_letter in sorted(dead_letters, key=lambda dead_letter: dead_letter.key)
    )
    if not rows:
        return ""
    head = "".join(f"<th scope=col>{name}</th>" for name in ("Event", "Reason", "In words", "Attempts"))
    return (
        '<section class="below" aria-labelledby="dead"><h2 id="dead">Dead letters</h2><div class="scroll">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _origin(verdicts: Iterable[VerdictV1]) -> str:
    """Return what produced the verdicts; every verdict names it, and in one run they agree."""
    verdict = next(iter(verdicts), None)
    if verdict is None:
        return ""
    policy, model = verdict.policy, verdict.model
    facts = {
        "Engine": f"{escape(verdict.engine)}: {escape(model.name)}",
        "Revision": f"<code>{escape(model.revision)}</code>",
        "Policy": f"{escape(policy.name)}, version {escape(policy.version)}, <code>{escape(policy.hash)}</code>",
        "Looked for": escape(", ".join(sorted(verdict.scores)).replace("_", " ")),
        "Not covered": escape(", ".join(verdict.not_covered).replace("_", " ")),
    }
    heading = '<h2 id="origin">What judged them</h2>'
    return f'<section class="below" aria-labelledby="origin">{heading}{_definitions(facts)}</section>'


# Twice the width at which a card shows them, for sharp screens.
MAX_SIZE = (560, 420)
JPEG_QUALITY = 80


def thumbnail(path: Path) -> str | None:
    """Return the picture as a data URI; None for one that cannot be read, which is no reason to show nothing else."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures, odd animations and broken EXIF; the service has judged this file already.
            warnings.simplefilter("ignore")
            buffer = io.BytesIO()
            _reduced(path).save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - Pillow raises whatever its parsing meets
        return None
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _reduced(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.draft("RGB", MAX_SIZE)
        upright = ImageOps.exif_transpose(image).convert("RGB")
    upright.thumbnail(MAX_SIZE)
    return upright
