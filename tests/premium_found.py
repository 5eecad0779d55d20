"""What ``premium`` leaves, with numbers of choice: two models of touchpoints, the logistic one the best."""

from typing import Any

from flows.premium_section import read_premium
from flows.report_data import PremiumFound


def content(gain: float = 0.002, half: float = 0.003, verdict: str = "undecided", **changes: Any) -> dict[str, Any]:
    """Make the content of ``premium.json``: a gain in McFadden's R2 with an interval of `half` to both sides."""
    ends = {"gain": gain, "lo": gain - half, "hi": gain + half}
    rival = {"touchpoints": 0.05, "journeys": 0.05 + gain, **ends}
    weak = {"touchpoints": 0.04, "journeys": 0.05 + gain, "gain": 0.01 + gain, "lo": 0.01, "hi": 0.01 + 2 * gain}
    gains = [
        {
            "metric": "log_loss",
            "touchpoints": 0.2,
            "journeys": 0.2 - gain / 5,
            "gain": gain / 5,
            "lo": -2e-4,
            "hi": 1e-3,
        },
        {"metric": "auc", "touchpoints": 0.66, "journeys": 0.658, "gain": -0.002, "lo": -0.006, "hi": 0.002},
        {"metric": "expected_max_profit", "touchpoints": 0.2, "journeys": 0.22, "gain": 0.02, "lo": -0.01, "hi": 0.05},
    ]
    return {
        "verdict": verdict,
        "share": {"metric": "mcfadden_r2", **rival},
        "gains": gains,
        "rivals": [{"model": "logistic (C = 0.03)", **rival}, {"model": "boosting (40 trees)", **weak}],
        "matters": 0.005,
        "n_rows": 37_274,
        "n_customers": 14_153,
        "tested": ["2025-01-01", "2025-05-01"],
        "touchpoint_terms": ["support__call__wait_min__mean"],
        "terms": ["support__wait_min__worst", "support__effort_steps__mean"],
        "offer": {"customer_value": 300.0, "incentive_cost": 15.0, "contact_cost": 1.5, "alpha": 6.0, "beta": 14.0},
        "n_train": 210_000,
        "most_rows": 20_000,
        "is_thorough": False,
        **changes,
    }


def found(*, is_stale: bool = False, **given: Any) -> PremiumFound:
    """Read such content as the report does."""
    return read_premium(content(**given), is_stale=is_stale)
