"""McFadden's R2 shared out: all refits by statsmodels, sampled ones within their stated error, what is refused."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import statsmodels.api as sm

from models.lattice import shapley
from models.mcfadden import McFadden, mcfadden


def some_rows(seed: int, n: int = 800, p: int = 8, *, is_rare: bool = False) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    mixed = np.eye(p) + 0.35 * rng.normal(size=(p, p))
    X = rng.normal(size=(n, p)) @ mixed / np.sqrt((mixed**2).sum(axis=0))
    if is_rare:
        X = np.exp(0.7 * X)
    score = X @ rng.normal(size=p)
    score = (score - score.mean()) / score.std()
    return X, (rng.random(n) < 1 / (1 + np.exp((3.4 if is_rare else 1.0) - score))).astype(float)


def run(X: np.ndarray, y: np.ndarray, blocks: list[list[int]] | None = None, seed: int = 0, **more: object) -> McFadden:
    every = [[k] for k in range(X.shape[1])] if blocks is None else blocks
    return mcfadden(X, y, every, rng=np.random.default_rng(seed), **more)  # type: ignore[arg-type]


def likelihood(X: np.ndarray, y: np.ndarray, columns: list[int], weight: np.ndarray) -> float:
    design = np.column_stack([np.ones(len(y)), X[:, columns]])
    return float(sm.GLM(y, design, family=sm.families.Binomial(), freq_weights=weight).fit(tol=1e-13).llf)


def test_all_refits_give_the_shapley_value_of_statsmodels_likelihoods() -> None:
    X, y = some_rows(1, p=8)
    weight = np.random.default_rng(2).uniform(0.5, 2.0, len(y))
    blocks, controls = [[0, 3], [1], [2], [5, 6]], [4, 7]
    rate = likelihood(X, y, [], weight)
    v = np.empty(16)
    for coalition in range(16):
        columns = [c for k in range(4) if coalition >> k & 1 for c in blocks[k]]
        v[coalition] = 1 - likelihood(X, y, controls + columns, weight) / rate
    found = run(X, y, blocks, controls=controls, weight=weight)
    np.testing.assert_allclose(found.values, shapley(v[:, np.newaxis])[0], atol=1e-9)
    assert (found.r2, found.r2_controls) == pytest.approx((v[-1], v[0]), abs=1e-9)
    assert found.refits == 14
    assert not found.standard_error.any()


@pytest.mark.parametrize(("seed", "is_rare"), [(3, False), (4, True), (5, True)])
def test_sampled_refits_are_within_a_fifth_of_a_point_of_all(seed: int, is_rare: bool) -> None:
    X, y = some_rows(seed, n=1200, is_rare=is_rare)
    exact, found = run(X, y, refits=256), run(X, y)
    assert (exact.refits, found.refits) == (254, 112)
    assert np.abs(found.shares - exact.shares).max() < 0.002
    assert found.shares.sum() == pytest.approx(1.0, abs=1e-9)
    assert found.values.sum() == pytest.approx(found.r2, abs=1e-12)
    assert exact.r2 > 0.05


@pytest.mark.parametrize("surrogate_players", [20, 0])
def test_the_stated_error_is_the_error_made(monkeypatch: pytest.MonkeyPatch, surrogate_players: int) -> None:
    monkeypatch.setattr("models.mcfadden._SURROGATE_PLAYERS", surrogate_players)
    X, y = some_rows(6, n=400, is_rare=True)
    exact = run(X, y, refits=254)
    z = []
    for seed in range(40):
        found = run(X, y, seed=seed, refits=120)
        z.append((found.shares - exact.shares) / found.share_error)
    # z^2 of one player over 40 runs has a standard error of 0.22; players depend on each other
    assert np.mean(np.square(z)) == pytest.approx(1.0, abs=0.4)


def test_surrogates_take_out_most_of_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = some_rows(7, n=500)
    helped = run(X, y, refits=100).standard_error.max()
    monkeypatch.setattr("models.mcfadden._SURROGATE_PLAYERS", 0)
    assert helped < run(X, y, refits=100).standard_error.max() / 3


def test_twins_get_equal_shares_and_a_copy_of_a_control_gets_none() -> None:
    X, y = some_rows(8, p=5)
    wide = np.column_stack([X, X[:, 1], X[:, 4]])
    found = run(wide, y, [[0], [1], [2], [3], [5], [6]], controls=[4])
    assert found.refits == 62
    assert found.shares[1] == pytest.approx(found.shares[4], abs=1e-8)
    assert found.shares[5] == pytest.approx(0.0, abs=1e-8)


def test_a_weight_of_two_counts_like_two_rows_and_their_order_does_not_matter() -> None:
    X, y = some_rows(9, n=300, p=9)
    order = np.random.default_rng(10).permutation(600)
    twice = run(np.vstack([X, X])[order], np.concatenate([y, y])[order])
    np.testing.assert_allclose(run(X, y, weight=np.full(300, 2.0)).values, twice.values, atol=1e-10)
    kept = np.arange(300) < 250
    np.testing.assert_allclose(run(X, y, weight=kept * 1.0).values, run(X[kept], y[kept]).values, atol=1e-10)


def test_the_generator_decides_which_coalitions_are_drawn() -> None:
    X, y = some_rows(11, n=300, p=9)
    assert run(X, y, seed=1).values.tolist() == run(X, y, seed=1).values.tolist()
    assert run(X, y, seed=1).values.tolist() != run(X, y, seed=2).values.tolist()


@pytest.mark.parametrize("players", [1, 2, 3])
def test_few_players_are_all_refitted(players: int) -> None:
    X, y = some_rows(12, n=300, p=3)
    found = run(X[:, :players], y)
    assert found.refits == 2**players - 2
    assert found.values.sum() == pytest.approx(found.r2, abs=1e-10)
    rate = likelihood(X, y, [], np.ones(300))
    alone = np.array([1 - likelihood(X, y, [k], np.ones(300)) / rate for k in range(players)])
    if players == 2:
        np.testing.assert_allclose(found.values, (alone + found.r2 - alone[::-1]) / 2, atol=1e-9)


def test_more_players_than_surrogates_hold_are_answered_with_a_larger_error() -> None:
    X, y = some_rows(13, n=400, p=22)
    found = run(X, y)
    assert found.refits == 308
    assert found.values.sum() == pytest.approx(found.r2, abs=1e-10)
    assert found.standard_error.max() < 0.02 * found.r2
    strong = np.argsort(-found.values)[:3]
    again = run(X, y, seed=1)
    assert np.abs(found.values - again.values)[strong].max() < 6 * found.standard_error.max()


def test_more_refits_make_the_error_smaller() -> None:
    X, y = some_rows(14, n=300, p=10, is_rare=True)
    errors = [run(X, y, refits=refits).share_error.max() for refits in (100, 300, 900)]
    assert all(later < earlier for earlier, later in pairwise(errors))


def test_what_cannot_be_answered_is_refused() -> None:
    X, y = some_rows(15, n=300, p=9)
    with pytest.raises(ValueError, match=r"there are 0 players. Between 1 and 60"):
        run(X, y, [])
    with pytest.raises(ValueError, match=r"refits is 40 for 9 players. At least 52 were expected"):
        run(X, y, refits=40)
    with pytest.raises(ValueError, match="the outcome is 0 in every row that counts"):
        run(X, np.zeros(300))
    X[:, 2] = 1.0
    with pytest.raises(ValueError, match="column 2 of X does not vary"):
        run(X, y)
    X[:, 2] = y
    with pytest.raises(ValueError, match="told for certain by some columns, foremost column 2"):
        run(X, y, [[4], [2], [0]], controls=[7])
