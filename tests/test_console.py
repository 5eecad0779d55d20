import io
import time

import pandas as pd
import pytest

from flows import console


@pytest.fixture(autouse=True)
def _shown(capsys: pytest.CaptureFixture[str]) -> None:
    console.set_up()


def test_nothing_is_shown_for_what_ends_within_two_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress("train") as tick:
        tick("fitting", 1, 3)
    assert capsys.readouterr() == ("", "")


def test_what_takes_longer_says_what_it_does_even_without_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with console.progress("train") as tick:
        tick("fitting", 1, 3)
        time.sleep(2.2)
    assert capsys.readouterr().out == "train: fitting 1/3 (2 s)\n"


def test_with_json_on_stdout_people_read_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    console.set_up(results_on_stdout=False)
    console.say("a line with [brackets] and 100 %")
    console.show_table("title", pd.DataFrame({"a": [1.23456, float("nan")], "b": ["x", "[y]"]}))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "a line with [brackets] and 100 %" in shown.err
    assert "1.235" in shown.err
    assert "[y]" in shown.err


def test_a_terminal_gets_a_bar_that_vanishes() -> None:
    from rich.console import Console  # noqa: PLC0415

    screen = io.StringIO()
    bar = console._bar("train", Console(file=screen, force_terminal=True, width=80))
    tick = next(bar)
    tick("fitting", 1, 3)
    assert next(bar, None) is None
    assert "train: fitting" in screen.getvalue()
