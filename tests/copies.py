"""Tables of customers whose copies are known, and tables of many kinds without any."""

from collections.abc import Callable

import numpy as np
import pandas as pd

Table = Callable[[np.random.Generator], pd.DataFrame]


def people(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Customers with a common factor, six numbers, four categories, missing values and churn of AUC about 0.8."""
    factor = rng.normal(size=n)
    numbers = 0.6 * factor[:, None] + 0.8 * rng.normal(size=(n, 6))
    levels = (rng.random((n, 4, 1)) > np.array([0.2, 0.5, 0.8])).sum(axis=2)
    score = 1.3 * numbers[:, 0] + (numbers[:, 1] > 0) - 0.8 * numbers[:, 2] + 0.8 * (levels[:, 0] == 0) - 1.2
    frame = pd.DataFrame(numbers * [1, 30, 5, 400, 2, 8] + [0, 60, 20, 900, 3, 50], columns=[*"abcdef"])
    frame.loc[rng.random(n) < 0.1, "f"] = np.nan
    plans = {f"plan{k}": np.array(["basic", "plus", "pro", "max"], object)[levels[:, k]] for k in range(4)}
    return frame.assign(**plans, is_churned=(rng.random(n) < 1 / (1 + np.exp(-score))).astype(float))


def copied(frame: pd.DataFrame, times: int, noise: float, rng: np.random.Generator) -> pd.DataFrame:
    """The frame again and again, numbers with noise of a share of their spread; ``truth`` names the row."""
    parts = []
    for _ in range(times):
        part = frame.copy()
        for name in part.columns.drop("is_churned"):
            if pd.api.types.is_numeric_dtype(part[name]):
                part[name] += noise * part[name].std() * rng.normal(size=len(part))
        parts.append(part.assign(truth=np.arange(len(frame))))
    return pd.concat(parts, ignore_index=True)


def interleaved(frame: pd.DataFrame) -> pd.DataFrame:
    """The copies of a row one after the other."""
    return frame.sort_values("truth", kind="stable", ignore_index=True)


def shifted_blocks(rng: np.random.Generator) -> pd.DataFrame:
    """Fifty customers, sixty times, each block moved by a little in every number: all copies of a block move alike."""
    base, parts = people(rng, 50), []
    for _ in range(60):
        part = base.assign(truth=np.arange(50))
        for name in "abcdef":
            part[name] += 0.1 * base[name].std() * rng.normal()
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _factor(rng: np.random.Generator) -> pd.DataFrame:
    """Numbers and categories of a common factor: 4 to 21 columns."""
    n, numbers, levels, shared = _size(rng), rng.integers(2, 12), rng.integers(2, 10), rng.uniform(0, 0.7)
    noise = rng.normal(size=(n, numbers)) * np.sqrt(1 - shared)
    X = noise + np.sqrt(shared) * rng.normal(size=(n, 1))
    C = (rng.random((n, levels, 1)) > np.array([0.2, 0.5, 0.8])).sum(axis=2)
    return pd.concat([_named("x", X), _named("c", C.astype(str))], axis=1)


def _survey(rng: np.random.Generator) -> pd.DataFrame:
    """Five-point ratings of one mood, some of them not answered: equal answers are common."""
    n, k = _size(rng), rng.integers(6, 25)
    R = np.clip(np.round(4 + rng.uniform(0.3, 1.2) * rng.normal(size=(n, 1)) + 0.7 * rng.normal(size=(n, k))), 1, 5)
    R[rng.random((n, k)) < rng.uniform(0, 0.5) * rng.random((1, k))] = np.nan
    return _named("r", R)


def _segments(rng: np.random.Generator) -> pd.DataFrame:
    """Two to fourteen kinds of customers, sometimes far apart."""
    n, kinds, numbers, levels = _size(rng), rng.integers(2, 15), rng.integers(3, 10), rng.integers(3, 10)
    kind = rng.integers(0, kinds, n)
    X = (rng.normal(size=(kinds, numbers)) * rng.uniform(0.5, 3))[kind] + rng.normal(size=(n, numbers))
    chances = rng.dirichlet(np.full(4, 0.5), size=(kinds, levels)).cumsum(axis=2)[kind]
    return pd.concat(
        [_named("x", X), _named("c", (rng.random((n, levels, 1)) > chances).sum(axis=2).astype(str))], axis=1
    )


def _levels(rng: np.random.Generator) -> pd.DataFrame:
    """Categories alone, some of them telling much of each other."""
    n, k = _size(rng), rng.integers(4, 20)
    factor = rng.normal(size=n)
    columns = [
        np.digitize(factor * rng.uniform(0.2, 1) + rng.normal(size=n), np.sort(rng.normal(size=rng.integers(1, 6))))
        for _ in range(k)
    ]
    return _named("c", np.column_stack(columns).astype(str))


def _amounts(rng: np.random.Generator) -> pd.DataFrame:
    """Whole amounts, mostly zero, and customers for whom all are zero."""
    n, k = _size(rng), rng.integers(4, 14)
    used = (rng.random((n, k)) < rng.uniform(0.1, 0.9, k)) & (rng.random((n, 1)) < 0.7)
    return _named("x", np.where(used, np.round(np.exp(rng.normal(size=(n, k))) * rng.uniform(1, 50, k)), 0.0))


def _households(rng: np.random.Generator) -> pd.DataFrame:
    """Two people of a household after each other, a third of whose columns are the same."""
    frame = _factor(rng)
    frame = frame.iloc[: len(frame) // 2 * 2].copy()
    for name in frame.columns[: len(frame.columns) // 3]:
        frame.loc[frame.index[1::2], name] = frame[name].to_numpy()[0::2]
    return frame


NULLS: dict[str, Table] = {
    "factor": _factor,
    "survey": _survey,
    "segments": _segments,
    "levels": _levels,
    "amounts": _amounts,
    "households": _households,
}


def null_table(kind: str, rng: np.random.Generator) -> pd.DataFrame:
    """A table without copies in one of four orders: as drawn, sorted, by a label, with columns that go round."""
    frame = NULLS[kind](rng)
    first, order = frame.columns[0], rng.integers(0, 4)
    if order == 1:
        return frame.sort_values([first, frame.columns[1]], kind="stable", ignore_index=True)
    if order == 2:
        score = pd.factorize(frame[first], sort=True)[0] / len(frame)
        return frame.iloc[np.argsort(rng.random(len(frame)) < 1 / (1 + np.exp(2 - 4 * score)), kind="stable")]
    if order == 3:
        return frame.assign(weekday=(np.arange(len(frame)) % 7).astype(str), month=np.arange(len(frame)) % 12.0)
    return frame


def _size(rng: np.random.Generator) -> int:
    return int(rng.choice([300, 1_000, 3_000]))


def _named(prefix: str, values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(values, columns=[f"{prefix}{k}" for k in range(values.shape[1])])
