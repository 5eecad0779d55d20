"""docs/how-to/portfolio.md says what `journeylift portfolio` says: every message in its table is one that is given."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from features.errors import StudyError
from features.study import parse_study
from features.templates import STUDY
from flows import portfolio
from flows.plans import overridden
from models.forecasts import Refusal
from models.funding import Funding
from models.plans_file import parse_plans
from tests.test_funding_plan import good, planned
from tests.worths import an_initiative

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "portfolio.md"
CHANGE = "changes: [{journey: support, measure: wait, scale: 0.5}]"


def said(act: Callable[[], object]) -> str:
    with pytest.raises(StudyError, match=r".") as caught:
        act()
    return caught.value.message


def parsed(*lines: str) -> Callable[[], object]:
    text = "initiatives:\n" + "".join(f"  - {{{line}, {CHANGE}}}\n" for line in lines)
    return lambda: parse_plans(text, "initiatives.yaml", parse_study(STUDY, "study.yaml")).initiatives


def messages() -> list[str]:
    refused = [Refusal(an_initiative("x"), "nobody controls it")]
    return [
        said(parsed("name: a, needs: [x]", "name: xx")),
        said(parsed("name: a, needs: [b]", "name: b, needs: [a]")),
        said(lambda: planned([good("a")], Funding(budget=1))),
        said(lambda: planned([good("a")], Funding(budget=1, must=("a",)))),
        said(lambda: planned([good("a")], Funding(must=("x",)), refusals=refused)),
        said(lambda: planned([], refusals=refused)),
        said(lambda: planned([good("a")], Funding(cash=10))),
        said(lambda: overridden(Funding(), {"budget": -1.0})),
    ]


def documented() -> list[str]:
    table = PAGE.read_text("utf-8").split("## What goes wrong")[1]
    return re.findall(r"^\| `(.+?)` \|", table, re.MULTILINE)


def test_every_message_of_the_page_is_one_that_is_given_and_every_one_given_is_on_the_page() -> None:
    errors = [one for one in documented() if not one.startswith("start: ")]
    given = messages()
    patterns = [re.compile(".*".join(map(re.escape, one.split("..."))), re.DOTALL) for one in errors]
    assert [one for one, pattern in zip(errors, patterns, strict=True) if not any(map(pattern.search, given))] == []
    assert [one for one in given if not any(pattern.search(one) for pattern in patterns)] == []


def test_every_line_of_the_page_is_one_that_is_shown() -> None:
    code = inspect.getsource(portfolio)
    table = PAGE.read_text("utf-8").split("## 3. Read the answer")[1].split("## What goes wrong")[0]
    lines = [line.removesuffix(" ...") for line in re.findall(r"^\| `(.+?)` \|", table, re.MULTILINE)]
    assert len(lines) == 8
    assert [line for line in lines if line not in code and not line.startswith("left out")] == []
    for heading in ("adds to the set", "in the best set"):
        assert f'"{heading}' in code
        assert f"`{heading}`" in table
