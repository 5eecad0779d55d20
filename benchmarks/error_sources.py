"""Where an estimate of an effect on churn goes wrong: by chance, by what it takes to follow, or by the models' form.

    python -m benchmarks.error_sources --seeds 8 --first-seed 701

Each effect is estimated three times by the same functions, with ever more of the truth handed over:

`as estimated`: from who left, as anybody would.
`without chance`: each week of a customer counts as left by the share that the world says would leave, so that the luck
of who did is gone, as if the company had customers without number. What remains is the method's.
`true histories`: also, contacts after go-live are those that the world lives through under the initiative, who calls
again and who complains included. What remains is the form of the hazard.

Truth is the mean over so many reruns of the weeks after go-live, as in benchmarks.truth.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.laid_out import laid_out
from benchmarks.truth import expected_truth, prepare_study
from features.company import Company, live_weeks, simulate_company
from features.company_initiatives import HORIZON_DAYS, INITIATIVES
from features.company_people import WEEK
from features.company_policy import CHANNELS, CompanyInitiative, Policy
from features.company_record import MEASURES, Record, Recorder
from features.company_state import HOUR, PLACES, Floats, Ints
from features.company_world import live_week
from models.exposures import (
    current,
    current_names,
    exposure_columns,
    pieces_of,
    remembered,
    remembered_names,
    usual_column,
)
from models.moves import Shift
from models.plans_file import parse_plans
from models.policy import PolicyModel
from models.prepared import Prepared
from models.references import with_attempts
from models.shared_fits import SharedFits

MOVING = tuple(one for one in INITIATIVES if one.kind in ("good", "harmful"))
HOW = ("as estimated", "without chance", "true histories")


def errors(customers: int, seed: int, lucks: int) -> pd.DataFrame:
    """Estimate what moves churn in one company, with ever more of the truth.

    Returns
    -------
    DataFrame
        seed, initiative, and the error of each estimate in per cent of the true effect.
    """
    company = simulate_company(customers, seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study, layout = laid_out(company, folder)
        prepared = prepare_study(study, layout, seed)
        known = pa.concat_tables([bucket.customers for bucket in layout.all_buckets()]).unify_dictionaries()
        plans = parse_plans((folder / "initiatives.yaml").read_text(encoding="utf-8"), "initiatives.yaml", study)
    customers_of = Keys.of(known.sort_by("customer_key"))
    fits, certain = SharedFits(prepared), SharedFits(_without_chance(company, prepared, customers_of))
    truth, worlds, rows = expected_truth(company, lucks), _Worlds(company, prepared, customers_of), []
    for meant in MOVING:
        initiative = next(one for one in plans.initiatives if one.name == meant.name)
        moved = initiative.moved_among(prepared.exposures)
        model, sure = PolicyModel.of(fits, moved), PolicyModel.of(certain, moved)
        shift = model.moves_of((initiative,)).shift(model.fit.names)
        found = (
            initiative.reach * model.effect(shift).churn.value,
            initiative.reach * sure.effect(shift).churn.value,
            sure.effect(worlds.shift(model, meant)).churn.value,
        )
        true = truth[meant.name].churn_effect
        off = {how: 100 * (value / true - 1) for how, value in zip(HOW, found, strict=True)}
        rows.append({"seed": seed, "initiative": meant.name} | off)
    return pd.DataFrame(rows)


@dataclass(frozen=True, slots=True)
class Keys:
    """The company's customers as the layout knows them; `key` ascending, `index` of the same customers."""

    table: pa.Table
    key: Ints
    index: Ints

    @classmethod
    def of(cls, table: pa.Table) -> Keys:
        """Read from the customer numbers who is who."""
        index = np.array([int(number[1:]) for number in table["customer_id"].to_pylist()], np.int64)
        return cls(table, table["customer_key"].to_numpy(), index)

    def index_of(self, key: Ints) -> Ints:
        """Give the company's number of each customer."""
        return np.asarray(self.index[np.searchsorted(self.key, key)])

    def key_of(self, index: Ints) -> Ints:
        """Give the layout's key of each customer."""
        order = np.argsort(self.index)
        return np.asarray(self.key[order][np.searchsorted(self.index[order], index)])


def _without_chance(company: Company, prepared: Prepared, customers: Keys) -> Prepared:
    """Let each row of the fit count as left by the share that would leave at the end of its week."""
    periods, world = prepared.fit.periods, company.world
    # Who leaves does so in the last hours of a week; periods are counted back from the last event of all.
    week = (periods.start + WEEK + 6 * HOUR - world.start) // WEEK - 1
    hazard = _hazards(company)[week, customers.index_of(periods.customer_key)]
    churned = np.where(np.isnan(hazard), periods.churned, hazard)
    return replace(prepared, fit=replace(prepared.fit, periods=replace(periods, churned=churned)))


def _hazards(company: Company) -> Floats:
    """Give each customer's chance of leaving in each week; shape (weeks, customers), NaN where not there."""
    found = np.full((company.world.weeks, len(company.people)), np.nan)
    for one in live_weeks(company.world, company.people):
        found[one.week, one.rows] = one.lived.hazard
    return found


class _Worlds:
    """By how much states differ between the world as it is and under an initiative, for the rows after each go-live."""

    def __init__(self, company: Company, prepared: Prepared, customers: Keys) -> None:
        self._company, self._prepared, self._customers = company, prepared, customers
        self._asis: dict[tuple[str, ...], Floats] = {}

    def shift(self, model: PolicyModel, initiative: CompanyInitiative) -> Shift:
        """Live under the initiative, and compare."""
        names = model.fit.names
        if names not in self._asis:
            self._asis[names] = self._states(model, ())
        values = self._states(model, (initiative,)) - self._asis[names]
        columns = np.flatnonzero(np.abs(values).sum(axis=0) > 0)
        return Shift(columns, values[:, columns].astype(np.float32), (), np.zeros(0, np.int64))

    def _states(self, model: PolicyModel, initiatives: Sequence[CompanyInitiative]) -> Floats:
        """Rebuild the states that an initiative may move from what is lived; shape (target rows, columns)."""
        prepared, world = self._prepared, self._company.world
        periods, place = prepared.target.periods, {name: k for k, name in enumerate(model.fit.names)}
        counted = [*(kind.column for kind in model.kinds), *map(usual_column, model.held), *pieces_of(model.held)]
        known = [*remembered_names(counted), *current_names(model.held)]
        here = [(place[name], k) for k, name in enumerate(known) if name in place]
        states = np.zeros((len(periods), len(place)))
        for number, go_live in enumerate(self._company.go_lives):
            rows = np.flatnonzero(prepared.target.go_live == number)
            touchpoints = self._lived(number, initiatives)
            columns = exposure_columns(prepared.references, touchpoints, self._customers.table, prepared.kinds)
            start = world.week_start(go_live.week) + WEEK * periods.index[rows]
            spine, ends = (
                pa.table({"customer_key": periods.customer_key[rows], "cutoff": at}) for at in (start, start + WEEK)
            )
            window = prepared.study.snapshot.window_days
            found = np.column_stack(
                [remembered(counted, columns, spine, window), current(model.held, columns, ends, WEEK / (24 * HOUR))]
            )
            for column, k in here:
                states[rows, column] = found[:, k]
        return states

    def _lived(self, number: int, initiatives: Sequence[CompanyInitiative]) -> pa.Table:
        """List the touchpoints of all at risk at a go-live: their past, and the horizon lived once more."""
        world, go_live, record = self._company.world, self._company.go_lives[number], self._company.record
        people, state = self._company.people.take(go_live.rows), go_live.state
        policy = Policy(world.seed, people, initiatives)
        recorder, nobody, start = Recorder(world, people), np.zeros(0, np.int64), world.week_start(go_live.week)
        for week in range(go_live.week, go_live.week + HORIZON_DAYS // 7):
            lived = live_week(world, people, state, week, policy)
            recorder.add(week, people, state, lived)
            recorder.leave(nobody, nobody)
            state = lived.state
        past, again = _touched(record), _touched(recorder.finish())
        past = past[(past["at"] < start) & past["customer"].isin(people.index)]
        return self._table(pd.concat([past, again[again["at"] >= start]], ignore_index=True))

    def _table(self, touched: pd.DataFrame) -> pa.Table:
        """Name touchpoints as the layout does."""
        touched = touched.assign(key=self._customers.key_of(touched["customer"].to_numpy()))
        touched = touched.sort_values(["key", "at", "kind"], ignore_index=True)
        at, kind = touched["at"].to_numpy(), touched["kind"].to_numpy()
        columns = {
            "customer_key": touched["key"].to_numpy(),
            "journey_key": touched["case"].to_numpy(),
            "occurred_at": at,
            "known_at": at,
            "journey": _words(np.array([journey for journey, _ in PLACES])[kind]),
            "touchpoint": _words(np.array([touchpoint for _, touchpoint in PLACES])[kind]),
            "channel": _words(np.array(CHANNELS)[touched["channel"].to_numpy()]),
        }
        measures = {name: touched[name].to_numpy(dtype=np.float64) for name in MEASURES}
        return with_attempts(pa.table(columns | measures))


def _touched(record: Record) -> pd.DataFrame:
    """Lay out the touchpoints of a record."""
    columns = {name: getattr(record, name) for name in ("customer", "kind", "channel", "case", "at")}
    return pd.DataFrame(columns | record.measures)


def _words(values: NDArray[np.str_]) -> pa.DictionaryArray:
    return pa.array(values).dictionary_encode()


def main() -> None:
    """Estimate the companies one after the other, and print the means."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seeds", type=int, default=8)
    options.add_argument("--first-seed", type=int, default=701)
    options.add_argument("--customers", type=int, default=10_000)
    options.add_argument("--lucks", type=int, default=11)
    options.add_argument("--csv", type=Path)
    given, parts = options.parse_args(), []
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        parts.append(errors(given.customers, seed, given.lucks))
        print(f"seed {seed}\n{parts[-1].round(1).to_string(index=False)}", flush=True)
        if given.csv:
            pd.concat(parts).to_csv(given.csv, index=False)
    by_initiative = pd.concat(parts).drop(columns="seed").groupby("initiative", sort=False)
    print("mean error in per cent of the effect, and its own standard error over companies")
    print(by_initiative.mean().join(by_initiative.sem().add_suffix(" +-")).round(1).to_string())
    good = by_initiative.mean().loc[[one.name for one in MOVING if one.kind == "good"]]
    for how in HOW:
        print(f"{how}: {good[how].abs().mean():.1f} %, mean size over the good initiatives")


if __name__ == "__main__":
    main()
