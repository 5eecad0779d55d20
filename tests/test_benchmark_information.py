"""The bound on what can be known: its information is the curvature of how well two worlds can be told apart."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import information, truth
from features.company import simulate_company, truth_for
from features.company_initiatives import INITIATIVES


@pytest.fixture(scope="module")
def company():
    return simulate_company(400, 3, weeks=60)


def test_the_information_is_the_curvature_of_the_divergence(company, monkeypatch):
    odds = information.logit
    hazards = []
    monkeypatch.setattr(information, "logit", lambda hazard: hazards.append(hazard) or odds(hazard))
    parts = information.BEST[:3]
    found = information._information(company, parts)
    # By week: as it was lived, then with each part a step stronger.
    told_apart = np.zeros(len(parts))
    for at in range(0, len(hazards), 1 + len(parts)):
        lived, *stronger = hazards[at : at + 1 + len(parts)]
        for part, other in enumerate(stronger):
            ratio = lived * np.log(lived / other) + (1 - lived) * np.log((1 - lived) / (1 - other))
            told_apart[part] += ratio.sum()
    assert (told_apart > 0).all()
    assert np.diag(found) == pytest.approx(2 * told_apart / information.STEP**2, rel=0.02)
    assert np.linalg.eigvalsh(found).min() > 0


def test_less_is_known_where_the_shape_is_not(company, monkeypatch):
    some = ("right-first-time-bills", "faster-complaint-replies")
    monkeypatch.setattr(information, "GOOD", [one for one in information.GOOD if one.name in some])
    found = information.bounds(company).set_index("initiative")
    assert tuple(found.index) == some
    (truly,) = truth_for(company, [one for one in INITIATIVES if one.name == "right-first-time-bills"])
    assert found.loc["right-first-time-bills", "effect"] == pytest.approx(truly.churn_effect, rel=1e-9)
    assert found["shape known"].mean() < found["shape unknown"].mean()


def test_truth_over_several_lucks_is_the_mean_of_the_reruns(company):
    once, twice, thrice = (truth.expected_truth(company, count) for count in (1, 2, 3))
    own = truth_for(company, INITIATIVES)
    assert [once[one.name] for one in own] == list(own)
    first, mean_of_two, mean_of_three = (found["faster-phone-support"].churn_effect for found in (once, twice, thrice))
    second, third = 2 * mean_of_two - first, 3 * mean_of_three - 2 * mean_of_two
    assert len({first, second, third}) == 3
    assert [second, third] == pytest.approx([first, first], rel=0.5)
    assert thrice["faster-app"].churn_effect == 0
