import pytest

from features.errors import StudyError
from features.study import parse_study

STUDY = "study: a\nsources: {t: t.csv}\njourneys: [{name: x, stage: use}]\nflat: {from: t, churned: left}\n"


def test_what_is_watched_makes_neither_panel_nor_models_stale() -> None:
    plain = parse_study(STUDY, "study.yaml")
    watched = parse_study(f"{STUDY}monitoring: {{psi: 0.2}}\n", "study.yaml")
    assert watched.monitoring.psi == 0.2
    assert watched.fingerprint() == plain.fingerprint()
    assert watched.panel_fingerprint() == plain.panel_fingerprint()


@pytest.mark.parametrize(
    ("key", "value"), [("false_alarms", "0"), ("contacted_share", "1.5"), ("max_age_days", "3"), ("psy", "0.1")]
)
def test_a_rule_that_cannot_be_meant_is_refused_with_its_name(key: str, value: str) -> None:
    with pytest.raises(StudyError, match=rf"monitoring\.{key}"):
        parse_study(f"{STUDY}monitoring: {{{key}: {value}}}\n", "study.yaml")
