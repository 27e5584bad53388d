"""Requirements on a backtest."""

import pytest

from service.tools.evaluation.backtest.requirements import BacktestRequirementError, parse_requirement
from service.tools.evaluation.backtest.result import JudgingAgain
from tests.unit.tools.evaluation.backtests import result

FOUND = result(
    {
        ("allow", "allow"): 90,
        ("allow", "review"): 5,
        ("allow", "block"): 2,
        ("block", "allow"): 2,
        ("review", "allow"): 1,
    },
    again=JudgingAgain(7),
)


@pytest.mark.parametrize(
    ("text", "is_met"),
    [
        ("changed<=10%", True),
        ("changed<10%", False),
        ("changed <= 9.9 %", False),
        ("changed<=10", True),
        ("stricter<=7", True),
        ("milder<3", False),
        ("review<=5%", True),
        ("blocked<=2", True),
        ("newly_blocked<=1", False),
        ("no_longer_blocked>=2", True),
        ("unanswered<=7", True),
        ("unanswered<=0", False),
    ],
)
def test_a_requirement_is_a_number_or_a_share_of_all_images(text: str, is_met: bool) -> None:
    assert parse_requirement(text).checked(FOUND).is_met is is_met


def test_what_was_found_is_said_in_the_unit_of_the_requirement() -> None:
    assert parse_requirement("changed<=5%").checked(FOUND).found == "it is 10 %"
    assert parse_requirement("changed<=5").checked(FOUND).found == "it is 10"


def test_no_images_meet_no_requirement() -> None:
    assert not parse_requirement("changed<=100%").checked(result({})).is_met


@pytest.mark.parametrize("text", ["", "changed", "changed<=", "changed=2", "changed<=2%%", "changed<=-1", "a<=nan"])
def test_what_is_no_requirement_is_refused(text: str) -> None:
    with pytest.raises(BacktestRequirementError, match="written as"):
        parse_requirement(text)


def test_an_unknown_figure_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(BacktestRequirementError, match=r"'chnged' is no figure; known are changed, "):
        parse_requirement("chnged<=2%")
