import asyncio
from datetime import UTC, datetime
from zoneinfo import available_timezones

import pytest
import yaml
from prefect.server.schemas.schedules import CronSchedule
from pydantic import ValidationError

from features.errors import StudyError
from features.schedule import Schedule, cron_of, in_words
from features.study import Study, parse_study

TEXT = "study: a\nsources: {t: t.csv}\njourneys: [{name: x, stage: use}]\nflat: {from: t, churned: left}\n"


@pytest.mark.parametrize(
    ("when", "line", "said"),
    [
        ("daily", "0 5 * * *", "every day at 05:00"),
        ("Daily  at 4:07", "7 4 * * *", "every day at 04:07"),
        ("weekly", "0 5 * * 1", "every Monday at 05:00"),
        ("weekly on sunday at 23:59", "59 23 * * 0", "every Sunday at 23:59"),
        (
            "weekly on friday, monday and wednesday at 06:30",
            "30 6 * * 1,3,5",
            "every Monday and Wednesday and Friday at 06:30",
        ),
        ("monthly", "0 5 1 * *", "every month on day 1 at 05:00"),
        ("monthly on the 15th at 00:00", "0 0 15 * *", "every month on day 15 at 00:00"),
        ("monthly on 28", "0 5 28 * *", "every month on day 28 at 05:00"),
        ('cron "*/15 0-6,22 * jan,jul mon-fri"', "*/15 0-6,22 * jan,jul mon-fri", None),
        ("cron 0 5 * * 7", "0 5 * * 7", "by cron 0 5 * * 7"),
        ("never", None, "only when asked to"),
    ],
)
def test_words_and_the_cron_lines_they_stand_for(when: str, line: str | None, said: str | None) -> None:
    assert cron_of(when) == line
    assert in_words(when) == (said or f"by cron {line}")
    assert Schedule(score=when).score == when


@pytest.mark.parametrize(
    ("when", "told"),
    [
        ("dayly at 5", r"'dayly at 5' is not a time to run\. Did you mean 'daily'\? Expected daily, weekly or monthly"),
        ("weekly on mondy", r"'mondy' is no day of the week\. Did you mean 'monday'\?"),
        ("daily at 24:00", r"24:00 is no time\. Expected 00:00 to 23:59"),
        ("daily at 05:60", r"05:60 is no time"),
        ("daily at noon", r"'daily at noon' is not a time to run\. Expected"),
        ("monthly on the 31st", r"not every month has a day 31\. Expected a day from 1 to 28"),
        ("monthly on 0", r"a day 0"),
        ("cron 0 5 * *", r"has 4 fields\. Expected five"),
        ("cron 61 5 * * 1", r"'61' is no minute\. Expected \*, a number from 0 to 59"),
        ("cron 0 5 * * 1-", r"'1-' is no day of the week"),
        ("cron 0 9-5 * * *", r"'9-5' is no hour"),
        ("cron 0 */0 * * *", r"'\*/0' is no hour"),
        ("cron 0 5 * mon *", r"'mon' is no month"),
        ("cron 0 5 30 2 *", r"'cron 0 5 30 2 \*' never comes: month 2 has no day 30\. Expected a day that it has"),
        ("cron 0 5 31 2,4,6,9,nov *", r"month 2,4,6,9,nov has no day 31"),
        ("cron 0 5 30,31 feb */1", r"never comes: month feb has no day 30"),
        ("cron 0 5 30 2 mon", r"never comes: month 2 has no day 30"),
        ("cron ٥ 5 * * 1", r"'٥' is no minute"),
        ("cron */٥ 5 * * 1", r"'\*/٥' is no minute"),
        ("daily at ٠٥:00", r"'daily at ٠٥:00' is not a time to run"),
        ("monthly on ٥", r"'monthly on ٥' is not a time to run"),
        ("", r"'' is not a time to run"),
    ],
)
def test_what_is_no_time_is_told_in_one_sentence(when: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        cron_of(when)
    with pytest.raises(ValidationError, match=told):
        Schedule(train=when)


@pytest.mark.parametrize(
    "line",
    [
        "0 5 29 2 *",
        "0 5 31 2,3 *",
        "0 5 28-31 feb *",
        "0 5 */29 2 *",
        "0 5 31 */2 *",
        "0 5 31 * *",
    ],
)
def test_what_comes_now_and_then_is_taken(line: str) -> None:
    assert cron_of(f"cron {line}") == line
    start = datetime(2024, 1, 1, tzinfo=UTC)
    assert len(asyncio.run(CronSchedule(cron=line, timezone="UTC").get_dates(1, start))) == 1


def _with(schedule: str) -> Study:
    return parse_study(f"{TEXT}schedule: {schedule}\n", "study.yaml")


def test_a_study_names_its_times_and_a_wrong_one_with_its_line() -> None:
    found = _with("{score: daily at 04:30, train: monthly on the 2nd at 01:00, timezone: UTC}").schedule
    assert found.told("score") == "every day at 04:30 (UTC)"
    assert found.told("train") == "every month on day 2 at 01:00 (UTC)"
    with pytest.raises(
        StudyError,
        match=r"yaml:5: schedule.timezone: 'Europe/Berln' is no time zone.*mean 'Europe/Berlin'\?",
    ):
        _with("{timezone: Europe/Berln}")
    with pytest.raises(StudyError, match=r"scores?.*Did you mean 'score'\?"):
        _with("{scores: daily}")


def test_what_is_not_declared_is_said_to_be_so() -> None:
    found = _with("{train: never}").schedule
    assert found.told("score") == "every Monday at 05:00 (UTC; the study names no time)"
    assert found.told("train") == "only when asked to"


def test_a_schedule_makes_nothing_stale() -> None:
    plain, scheduled = parse_study(TEXT, "study.yaml"), _with("{score: daily, train: never}")
    assert plain.schedule != scheduled.schedule
    assert plain.fingerprint() == scheduled.fingerprint()
    assert plain.panel_fingerprint() == scheduled.panel_fingerprint()


def test_every_time_zone_that_is_there_is_taken() -> None:
    for name in sorted(available_timezones())[:: max(1, len(available_timezones()) // 40)]:
        assert Schedule(timezone=name).timezone == name


def test_yaml_reads_the_words_as_they_are_documented() -> None:
    text = '{score: weekly on monday at 05:00, train: cron "0 3 1 * *", timezone: Europe/Berlin}'
    assert yaml.safe_load(text) == {
        "score": "weekly on monday at 05:00",
        "train": 'cron "0 3 1 * *"',
        "timezone": "Europe/Berlin",
    }
