"""Small studies with journeys for tests that read no file: what differs between them is the journey map."""

from __future__ import annotations

from features.study import Study, parse_study


def study_text(journeys_and_measures: str, covariates: str = "") -> str:
    """Give the text of a study with these two sections, as they are written in a study file."""
    return f"""
study: a
sources: {{c: c.csv, t: t.csv, r: r.csv}}
customers: {{from: c, covariates: [{covariates}]}}
touchpoints: {{from: t}}
churn: {{inactive_days: 30}}
revenue: {{from: r}}
{journeys_and_measures}
"""


def study_of(journeys_and_measures: str, covariates: str = "") -> Study:
    """Give a study with these two sections."""
    return parse_study(study_text(journeys_and_measures, covariates), "study.yaml")
