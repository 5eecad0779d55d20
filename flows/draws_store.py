"""The draws of the last simulation on disk: all that portfolio and sliders need, without any customer."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.study import Money
from flows.plannable import DRAWS_FORMAT, draws_said, unreadable_draws
from flows.storage import write_bytes
from models.cash import Cohort
from models.draws import luck_of
from models.effects import Effect, Estimate
from models.forecasts import Forecast, Overlap, Refusal, Sampled, SampledOverlap, Samples
from models.initiatives import Initiative
from models.response_surface import ResponseSurface
from models.retention import Retention
from models.verdicts import Ruling

__all__ = ["Stored", "draws_bytes", "draws_from", "read_draws", "write_draws"]

_NOBODY: NDArray[np.float64] = np.zeros((0, 3))


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A simulation as it was left.

    Attributes
    ----------
    surface : ResponseSurface
        Draws, cohort, money and retention.
    refusals : tuple of Refusal
        What was not simulated.
    made_from : mapping of str to str
        Study, data, features, initiatives, seed.
    controls : DataFrame
        Negative controls, as `models.negative_control.to_frame` lays them out.
    """

    surface: ResponseSurface
    refusals: tuple[Refusal, ...]
    made_from: dict[str, str]
    controls: pd.DataFrame = field(default_factory=pd.DataFrame)

    def rewritten(self, initiatives: Sequence[Initiative], made_from: dict[str, str]) -> Stored:
        """Give the same effects and draws for initiatives whose timing, cost or words were written anew.

        Parameters
        ----------
        initiatives : sequence of Initiative
            All that were simulated or refused, by name.
        made_from : mapping of str to str
            What the new simulation rests on.

        Returns
        -------
        Stored
        """
        now = {one.name: one for one in initiatives}
        samples = self.surface.samples
        drawn = tuple(one.with_initiative(now[one.name]) for one in samples.initiatives)
        refusals = tuple(Refusal(now[one.initiative.name], one.reason) for one in self.refusals)
        surface = replace(self.surface, samples=replace(samples, initiatives=drawn))
        return replace(self, surface=surface, refusals=refusals, made_from=made_from)


def write_draws(path: Path, stored: Stored) -> None:
    """Write the file whole or not at all: `draws_bytes`."""
    write_bytes(path, draws_bytes(stored))


def draws_bytes(stored: Stored) -> bytes:
    """Give the content of the file; the same simulation gives the same bytes.

    Notes
    -----
    An npz of single precision, in which errors are drawn, with everything else as JSON text: no pickle, no customer.
    """
    samples, surface = stored.surface.samples, stored.surface
    said = {
        "format": DRAWS_FORMAT,
        "made_from": stored.made_from,
        "seed": samples.seed,
        "draws": samples.draws,
        "initiatives": [_forecast_record(one.forecast) for one in samples.initiatives],
        "overlaps": [_overlap_record(one.overlap) for one in samples.overlaps],
        "refusals": [{"initiative": r.initiative.model_dump(mode="json"), "reason": r.reason} for r in stored.refusals],
        "controls": {"columns": list(stored.controls.columns), "rows": stored.controls.to_numpy().tolist()},
        "cohort": asdict(surface.cohort),
        "money": surface.money.model_dump(mode="json"),
        "retention": {"observed_months": surface.retention.observed_months, "n": surface.retention.n},
    }
    arrays = {
        "noise": _stacked([one.noise for one in samples.initiatives], samples.draws),
        "half_noise": _stacked([one.half_noise for one in samples.initiatives], samples.draws),
        "overlap_noise": _stacked([one.noise for one in samples.overlaps], samples.draws),
    }
    buffer = io.BytesIO()
    np.savez(
        buffer, said=np.array(json.dumps(said, sort_keys=True)), factor=surface.retention.factor, allow_pickle=False,
        **arrays,
    )  # fmt: skip
    return buffer.getvalue()


def read_draws(path: Path) -> Stored | None:
    """Read what `write_draws` wrote; None when there is no such file, or one of an earlier version.

    Raises
    ------
    StoreError
        The file is there but cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable_draws(str(path)) from error
    return draws_from(content, str(path))


def draws_from(content: bytes, origin: str) -> Stored | None:
    """Read what `draws_bytes` gave; None where another version wrote it in another format.

    Parameters
    ----------
    content : bytes
        The file.
    origin : str
        Where it comes from, for the message.

    Raises
    ------
    StoreError
        It cannot be read.
    """
    try:
        said = draws_said(content)
        if said is None:
            return None
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return _restored(said, {name: arrays[name] for name in arrays.files})
    except (OSError, EOFError, BadZipFile, ValueError, LookupError, TypeError, AttributeError) as error:
        raise unreadable_draws(origin) from error


def _stacked(parts: list[NDArray[np.float64]], draws: int) -> NDArray[np.float32]:
    return np.array(parts, np.float32).reshape(len(parts), draws, 2)


def _effect_record(effect: Effect) -> dict[str, Any]:
    kept = {name: asdict(getattr(effect, name)) for name in ("churn", "revenue", "spend")}
    return kept | {name: getattr(effect, name) for name in ("base_churn", "base_revenue", "customers")}


def _forecast_record(one: Forecast) -> dict[str, Any]:
    return {
        "initiative": one.initiative.model_dump(mode="json"),
        "effect": _effect_record(one.effect),
        "half": None if one.half is None else _effect_record(one.half),
        "ruling": None if one.ruling is None else asdict(one.ruling),
        "doubts": one.doubts,
        **{name: getattr(one, name) for name in ("support_share", "reached_share", "contacts_per_month")},
    }


def _overlap_record(one: Overlap) -> dict[str, Any]:
    return {"names": list(one.names), **{name: asdict(getattr(one, name)) for name in ("churn", "revenue", "spend")}}


def _restored(said: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Stored:
    noise, half, between = (arrays[name].astype(np.float64) for name in ("noise", "half_noise", "overlap_noise"))
    seed, draws = int(said["seed"]), int(said["draws"])
    initiatives = tuple(
        Sampled(_forecast(one), noise[i], half[i], luck_of(one["initiative"]["name"], seed, draws))
        for i, one in enumerate(said["initiatives"])
    )
    overlaps = tuple(SampledOverlap(_overlap(one), between[i]) for i, one in enumerate(said["overlaps"]))
    surface = ResponseSurface(
        Samples(initiatives, overlaps, seed, draws),
        Cohort(**said["cohort"]),
        Money.model_validate(said["money"]),
        Retention(arrays["factor"], **said["retention"]),
    )
    refusals = tuple(Refusal(Initiative.model_validate(r["initiative"]), r["reason"]) for r in said["refusals"])
    controls = pd.DataFrame(said["controls"]["rows"], columns=said["controls"]["columns"])
    return Stored(surface, refusals, said["made_from"], controls)


def _effect(said: dict[str, Any]) -> Effect:
    churn, revenue, spend = (Estimate(**said[name]) for name in ("churn", "revenue", "spend"))
    return Effect(churn, revenue, spend, said["base_churn"], said["base_revenue"], _NOBODY, said["customers"])


def _forecast(said: dict[str, Any]) -> Forecast:
    half = None if said["half"] is None else _effect(said["half"])
    rest = {name: said[name] for name in ("support_share", "reached_share", "contacts_per_month")}
    ruling = None if said["ruling"] is None else Ruling(**said["ruling"])
    initiative = Initiative.model_validate(said["initiative"])
    return Forecast(initiative, _effect(said["effect"]), **rest, half=half, ruling=ruling, doubts=said["doubts"])


def _overlap(said: dict[str, Any]) -> Overlap:
    estimates = {name: Estimate(**said[name]) for name in ("churn", "revenue", "spend")}
    return Overlap((said["names"][0], said["names"][1]), **estimates, influence=_NOBODY)
