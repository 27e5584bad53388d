"""The report of a backtest."""

import re
from dataclasses import replace
from html.parser import HTMLParser

from service.policy.loader import load_policies
from service.settings.settings import PolicySettings
from service.tools.evaluation.backtest.report import backtest_report
from service.tools.evaluation.backtest.result import BacktestResult, GroupChange, JudgingAgain, StoredPolicy, Unanswered
from service.tools.evaluation.images.thumbnails import Thumbnail
from service.tools.evaluation.report.page import html_of
from tests.unit.tools.evaluation.backtests import change, result

POLICY = load_policies(PolicySettings()).default
HOSTILE = """</style></script><script>alert(1)</script><img src=x onerror=alert(1)>'"&{{ 7*7 }}"""


def page(
    found: BacktestResult, pictures: dict[tuple[str, str], Thumbnail] | None = None, source: str = "a file"
) -> str:
    return html_of(backtest_report(found, POLICY, pictures or {}, source=source))


def text_of(html: str) -> str:
    """Return what a reader sees, without styles and scripts."""
    body = re.sub(r"<(style|script)>.*?</\1>", "", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def test_the_sentence_is_the_heading() -> None:
    assert '<h1 id="title">Of 964 images 6.6 % would change: 64 more to review' in page(result())


def test_who_decides_images_that_were_not_judged_is_said() -> None:
    assert "the new policy decides them by its setting when_not_moderated" in text_of(page(result()))
    assert "both policies decide them by their setting" in text_of(page(result(baseline="shop, version 3")))


def test_a_cell_of_the_matrix_leads_to_its_examples() -> None:
    html = page(result())
    for anchor in ("allow-review", "block-review"):
        assert f'href="#{anchor}"' in html
        assert f'<section class="part" id="{anchor}"' in html
    assert 'href="#allow-allow"' not in html


def test_an_image_that_was_not_asked_for_is_a_placeholder_with_all_that_is_known() -> None:
    text = text_of(page(result()))
    assert "image not requested" in text
    assert "<img" not in page(result())
    assert re.search(
        r"allow → , then review allow-review shop · 2026-11-23 00:00 weapons 0.41 violence graphic 0.02", text
    )


def test_an_image_is_shown_covered_and_one_that_is_gone_says_why() -> None:
    pictures = {
        ("shop", "allow-review"): Thumbnail("data:image/webp;base64,AAAA"),
        ("shop", "block-review"): Thumbnail(missing="gone: image.not_found"),
    }
    html = page(result(), pictures)
    assert '<details class="cover">' in html
    assert "gone: image.not_found" in html


def test_what_scores_cannot_answer_comes_with_its_price() -> None:
    text = text_of(page(result(again=JudgingAgain(964, 1.25, 3.5, "Calculated for one H100."))))
    assert (
        "Judging 964 images again (modstream replay): 1.2 hours of one GPU, 3.50 USD. Calculated for one H100." in text
    )


def test_a_backtest_without_changes_has_no_empty_sections() -> None:
    found = result({("allow", "allow"): 5}, categories=(), tenants=(), near=(), distributions=(), unanswered=())
    assert re.findall(r"<h2 id=[^>]*>([^<]*)", page(found)) == ["Decisions before and after"]
    assert "There are no stored verdicts" in page(result({}, first_at=None, last_at=None))


class Tags(HTMLParser):
    """Collects elements with the names of their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))


def with_names(name: str) -> BacktestResult:
    """Return a result that has a name in every place that comes from an archive or a policy."""
    image = change(name, tenant=name, category_after=name, scores={name: 0.5})
    base = result(
        policy_name=name,
        policy_version=name,
        policy_hash=name,
        baseline=name,
        stored_policies=(StoredPolicy(name, name, name, 1),),
        categories=(GroupChange(name, 2, 1, 1),),
        tenants=(GroupChange(name, 2, 1, 1),),
        unanswered=(Unanswered("category.new", name, name, 3, (image,)),),
        again=JudgingAgain(1, assumption=name),
        rules_gone=(name,),
    )
    matrix = tuple(
        type(cell)(cell.before, cell.after, cell.images, (image,) if cell.examples else ()) for cell in base.matrix
    )
    near = tuple(replace(each, image=image, category=name) for each in base.near)
    drawn = tuple(replace(each, category=name) for each in base.distributions)
    return replace(base, matrix=matrix, near=near, distributions=drawn)


def test_hostile_tenants_images_and_categories_stay_text() -> None:
    pages = [Tags(), Tags()]
    for parser, name in zip(pages, (HOSTILE, "harmless"), strict=True):
        parser.feed(page(with_names(name), source=name))
    assert pages[0].found == pages[1].found


def test_rules_that_are_gone_stand_in_the_overview() -> None:
    assert "no image to review or block for violence" in text_of(page(result(rules_gone=("violence",))))
