"""Which features are journey terms: what nobody has who looks at touchpoints one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from features.definitions import unit_suffix
from features.folds import CUSTOMER

if TYPE_CHECKING:
    from features.measures import Feature

__all__ = ["journey_terms"]

_JOINED = {f"{CUSTOMER}__journeys_count__distinct", f"{CUSTOMER}__stage_number__last"}
"""What is told about a customer and shows only when journeys are seen together, besides experience."""


def journey_terms(features: Sequence[Feature]) -> tuple[Feature, ...]:
    """Find the features that nobody has who looks at touchpoints one by one.

    Parameters
    ----------
    features : sequence of Feature
        The catalogue.

    Returns
    -------
    tuple of Feature
        In the given order: features of journeys, and those of the customer that join several touchpoints (experience
        across journeys, different journeys, stage).

    Notes
    -----
    In doubt a feature is none, which makes the premium smaller. Not a journey term is how long ago a journey was; and
    where the catalogue has no touchpoints for a measure in a journey (there is only one, or the measure is a rating),
    its plain mean, and likewise the plain number of touchpoints: that is what a touchpoint dashboard shows.
    """
    divided = {(one.journey, one.measure) for one in features if one.level == "touchpoint"}
    return tuple(one for one in features if _joins(one) and not (_is_plain(one) and _place(one) not in divided))


def _joins(feature: Feature) -> bool:
    """Whether a feature is about a journey, or about what shows only when touchpoints are seen together."""
    if feature.level == "customer":
        return feature.role == "experience" or feature.name in _JOINED
    return feature.level == "journey" and feature.role != "recency"


def _is_plain(feature: Feature) -> bool:
    """Whether a feature of a journey is computed as those of touchpoints are: the mean of a measure, the number."""
    own = "touchpoints_count__total"
    if feature.measure is not None:
        own = f"{feature.measure}_{unit_suffix(feature.unit)}__mean"
    return feature.level == "journey" and feature.name == f"{feature.journey}__{own}"


def _place(feature: Feature) -> tuple[str | None, str | None]:
    return feature.journey, feature.measure
