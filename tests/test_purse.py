"""What a purse may hold."""

from __future__ import annotations

import pytest

from models.purse import Purse


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ({"months": 0}, "0 months"),
        ({"starts_a_month": 0}, "0 starts a month"),
        ({"discount_rate": -1.0}, "discount_rate is -1"),
        ({"balance": -1.0}, r"balance -1\.0, floor 0"),
        ({"balance": float("nan")}, "balance nan"),
    ],
)
def test_a_purse_that_is_none_is_refused(made: dict[str, float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Purse(**{"balance": 1.0, "months": 3, "discount_rate": 0.1, **made})  # type: ignore[arg-type]
