import base64
import io
import re
from pathlib import Path

import pytest
from PIL import Image

from service.client.outcomes import DeadLetter
from service.tools.demo.contact_sheet import MAX_CARDS, contact_sheet, thumbnail
from service.tools.demo.outcomes import Outcomes
from tests.unit.media.png_files import END, actl, fctl, header, pixels, png_of
from tests.unit.tools.demo.messages import tags, verdict

HOSTILE = '"><script>alert(1)</script>.jpg'
PICTURE = "data:image/jpeg;base64,AAAA"


@pytest.fixture
def outcomes() -> Outcomes:
    seen = Outcomes(sent=frozenset({"cat.jpg", "rifle.jpg", HOSTILE, f"dead {HOSTILE}"}))
    seen.add("cat.jpg", verdict("cat.jpg", offset=1))
    seen.add("cat.jpg", tags("cat.jpg", value="<b>tabby"))
    seen.add("rifle.jpg", verdict("rifle.jpg", decision="review", score=0.97, offset=2))
    seen.add(HOSTILE, verdict(HOSTILE, decision="review", offset=3))
    dead = f"dead {HOSTILE}"
    seen.add(dead, DeadLetter(dead, "image.corrupt", "It is <broken>", 1))
    return seen


def page(outcomes: Outcomes) -> str:
    return contact_sheet(outcomes, dict.fromkeys(outcomes.verdicts, PICTURE), seconds=3.4)


def test_flagged_pictures_are_blurred_and_others_are_not(outcomes: Outcomes) -> None:
    cards = re.findall(r'<li class="card.*?</li>\n(?=<li class="card|  </ul>)', page(outcomes), re.DOTALL)
    rifle, _, cat = cards
    assert 'class="picture flagged"' in rifle
    assert 'type="checkbox"' in rifle
    assert "flagged" not in cat


def test_the_page_loads_and_runs_nothing(outcomes: Outcomes) -> None:
    text = page(outcomes)
    assert "<script" not in text
    assert "default-src 'none'" in text
    assert re.findall(r'(?:src|href)="(?!data:)', text) == []
    assert re.findall(r"url\(|@import", text) == []


def test_names_tags_and_messages_are_text_and_not_markup(outcomes: Outcomes) -> None:
    text = page(outcomes)
    assert HOSTILE not in text
    assert "<b>tabby" not in text
    assert "It is &lt;broken&gt;" in text


def test_decision_score_reason_and_versions_stand_on_the_page(outcomes: Outcomes) -> None:
    text = page(outcomes)
    for fact in ("review", "0.97", "weapons scored 0.97", "nsfw-mobilenet", "sha256:1234", "version 1", "self harm"):
        assert fact in text


def test_of_very_many_the_gravest_are_shown() -> None:
    names = [f"{number}.jpg" for number in range(MAX_CARDS + 5)]
    seen = Outcomes(sent=frozenset(names))
    for number, name in enumerate(names):
        seen.add(name, verdict(name, decision="review" if number == MAX_CARDS + 4 else "allow"))
    text = page(seen)
    assert text.count('<li class="card') == MAX_CARDS
    assert text.count('<li class="card review"') == 1
    assert f"The {MAX_CARDS} gravest of {MAX_CARDS + 5} are shown." in text


def test_a_thumbnail_is_small_and_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # on its side
    Image.new("RGB", (2000, 1000), "red").save(tmp_path / "wide.jpg", exif=exif)
    uri = thumbnail(tmp_path / "wide.jpg")
    assert uri is not None
    assert uri.startswith("data:image/jpeg;base64,")
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as small:
        assert small.size == (210, 420)


def test_an_unreadable_file_has_no_thumbnail(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture", encoding="utf-8")
    assert thumbnail(tmp_path / "text.jpg") is None
    assert thumbnail(tmp_path / "absent.jpg") is None


@pytest.mark.parametrize(
    "data",
    [
        png_of(header(), actl(2), actl(2), fctl(0), pixels(), END),
        png_of(header(), actl(2), fctl(0), pixels(), END),
        png_of(header(colour_type=3), pixels(), END),
        b"\x89PNG\r\n\x1a\n",
    ],
)
def test_odd_files_neither_warn_nor_end_the_demo(
    data: bytes, tmp_path: Path, recwarn: pytest.WarningsRecorder, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "odd.png"
    path.write_bytes(data)
    thumbnail(path)
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")
