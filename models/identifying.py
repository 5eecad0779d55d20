"""Categories that name customers instead of grouping them: nobody's name belongs into a stored model.

A model keeps the values of its categories. A column that gives most customers a value of their own (a name, an address,
a contract number) can teach it nothing about others, and would carry those values into every copy of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import pandas as pd

from models.leaks import Leak

if TYPE_CHECKING:
    from features.measures import Feature

__all__ = ["identifying"]

MOST_ALONE: Final = 0.5


def identifying(frame: pd.DataFrame, features: Sequence[Feature]) -> tuple[Leak, ...]:
    """Find categories in which more than half of the customers with a value share it with nobody.

    Parameters
    ----------
    frame : DataFrame
        Panel rows with ``customer_id`` and the columns of the features.
    features : sequence of Feature
        What to check; numbers are left alone, as models keep no values of them.

    Returns
    -------
    tuple of Leak
        In the order of ``features``. ``auc`` and ``r2`` are NaN: how well it predicts is not asked.

    Examples
    --------
    >>> from features.measures import Feature
    >>> names = Feature("name", "name", "", "none", "customer", None, None, "covariate", "category")
    >>> rows = pd.DataFrame({"customer_id": ["a", "b", "c"], "name": ["Ada", "Bo", "Cy"]})
    >>> [leak.feature for leak in identifying(rows, (names,))]
    ['name']
    """
    found = []
    for feature in features:
        if feature.kind != "category":
            continue
        pairs = frame[["customer_id", feature.name]].dropna().astype(str).drop_duplicates()
        customers = pairs["customer_id"].nunique()
        alone = int(pairs[feature.name].value_counts().eq(1).sum())
        if alone > MOST_ALONE * customers:
            reason = (
                f"{alone:,} of {customers:,} customers have a value of their own: it names customers, and a model "
                "keeps the values of its categories. Expected groups. Take it out of the covariates, or give a group."
            )
            found.append(Leak(feature.name, reason, float("nan"), float("nan")))
    return tuple(found)
