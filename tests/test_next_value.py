import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import halfnorm, multivariate_normal, norm

from models.next_value import next_value


def test_the_predictive_chance_is_that_of_numerical_integration() -> None:
    values, errors, usual = np.array([0.1, 0.5, -0.2]), np.array([0.1, 0.15, 0.12]), 0.2

    def given(tau: float) -> tuple[float, float]:
        """Chance of the values given tau, mu under a prior so wide that it is flat, and of a next one below -0.6."""
        wide = np.diag(errors**2 + tau**2) + 1e6
        weight = 1 / (errors**2 + tau**2)
        centre, spread = weight @ values / weight.sum(), np.sqrt(0.09**2 + tau**2 + 1 / weight.sum())
        density = multivariate_normal(np.zeros(3), wide, allow_singular=True).pdf(values)
        return float(density * halfnorm.pdf(tau, scale=usual)), float(norm.cdf((-0.6 - centre) / spread))

    top = quad(lambda tau: 1e6 * given(tau)[0] * given(tau)[1], 0, 1)[0]
    whole = quad(lambda tau: 1e6 * given(tau)[0], 0, 1)[0]
    found = next_value(values.tolist(), errors.tolist(), usual)
    assert found.below(-0.6, 0.09) == pytest.approx(top / whole, rel=1e-3)


def test_chances_of_both_sides_add_up_and_the_order_of_values_says_nothing() -> None:
    found, turned = next_value([0.0, 1.0], [0.1, 0.2], 0.3), next_value([1.0, 0.0], [0.2, 0.1], 0.3)
    assert found.below(0.4, 0.1) + found.above(0.4, 0.1) == pytest.approx(1)
    assert turned.below(0.4, 0.1) == pytest.approx(found.below(0.4, 0.1), rel=1e-12)
    assert (turned.mean, turned.error) == pytest.approx((found.mean, found.error), rel=1e-12)


def test_values_that_differ_widen_what_comes_next_and_one_value_leaves_the_prior() -> None:
    alike, apart = next_value([0.0, 0.0], [0.05, 0.05], 0.2), next_value([-0.5, 0.5], [0.05, 0.05], 0.2)
    assert apart.below(-0.8, 0.05) > 10 * alike.below(-0.8, 0.05)
    one = next_value([0.3], [0.05], 0.2)
    assert float(one.weight @ one.tau) == pytest.approx(0.2 * np.sqrt(2 / np.pi), rel=1e-3)


def test_what_comes_next_lies_below_its_quantile_as_often_as_stated_where_the_prior_holds() -> None:
    rng, below = np.random.default_rng(1), 0
    for _ in range(2000):
        tau = abs(rng.normal(0, 0.2))
        values = rng.normal(0, np.hypot(tau, 0.1), 3)
        below += next_value(values.tolist(), [0.1] * 3, 0.2).below(rng.normal(0, np.hypot(tau, 0.1)), 0.1) < 0.02
    assert below / 2000 == pytest.approx(0.02, abs=3 * np.sqrt(0.02 * 0.98 / 2000))
