"""Verdicts follow stated rules; the robustness value its source."""

from __future__ import annotations

import numpy as np
import pytest

from models.effects import Effect, Estimate
from models.sensitivity import robustness_value, verdict


@pytest.mark.parametrize(
    ("t", "support", "expected"),
    [(4.0, 1.0, "likely"), (1.9, 1.0, "possible"), (1.0, 1.0, "undecided"), (9.0, 0.3, "unsupported")],
)
def test_the_verdict_follows_the_stated_rules(t, support, expected):
    nothing = Estimate(0.0, 1.0)
    effect = Effect(Estimate(-t, 1.0), nothing, nothing, 0.1, 1.0, np.zeros((1, 3)), 100)
    assert verdict(effect, support) == expected


def test_no_effect_needs_no_confounder_to_be_undone():
    assert robustness_value(0.0, 100) == 0.0


def test_a_clearer_effect_needs_a_stronger_confounder():
    assert robustness_value(2.0, 1_000) < robustness_value(4.0, 1_000) < 1.0
