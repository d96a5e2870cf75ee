"""The models whose posteriors are known to benchmarks/quality.py, over the data that ship."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pymc as pm

import bayou as by

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

FLIGHTS_BATCH_SIZE = 512
FACTORS = ["destination", "carrier", "month", "period"]
NORMAL_ROWS = 20_000
NORMAL_BATCH_SIZE = 200


@cache
def radon_homes() -> pd.DataFrame:
    """Return the 919 homes of Minnesota: log radon, floor, county, and the county's facts.

    As the PyPI package inference-gym prepares them: a measured activity of 0 counts as 0.1, a home
    that was listed twice counts once, and a county's mean floor is that of its homes.
    """
    homes, counties = (
        pd.read_csv(by.get_data(name)).rename(columns=str.strip)
        for name in ("srrs2.dat", "cty.dat")
    )
    homes = homes[homes["state"].str.strip() == "MN"].drop_duplicates("idnum")
    counties = counties[counties["st"].str.strip() == "MN"].drop_duplicates("ctfips")
    homes = homes.merge(counties, left_on="cntyfips", right_on="ctfips")
    county = homes["county"].str.strip().astype("category")
    return pd.DataFrame(
        {
            "county": county,
            "floor": homes["floor"].astype(float),
            "mean_floor": homes["floor"].groupby(county, observed=True).transform("mean"),
            "log_uranium": np.log(homes["Uppm"]),
            "log_radon": np.log(homes["activity"].where(homes["activity"] > 0, 0.1)),
        }
    )


def contextual_radon(*, centred: bool = True) -> pm.Model:
    """Return inference-gym's "radon contextual effects", Minnesota, half-normal priors."""
    with _radon_model() as model:
        mean = pm.Normal("county_effect_mean", 0, 1)
        scale = pm.HalfNormal("county_effect_scale", 1)
        effect = _county_effect("county_effect", mean, scale, centred)
        weight = pm.Normal("weight", 0, 1, shape=3)
        noise = pm.HalfNormal("log_radon_scale", 1)
        predictors = ["log_uranium", "floor", "mean_floor"]
        slopes = sum(weight[i] * model[name] for i, name in enumerate(predictors))
        _observe_radon(model, effect, slopes, noise)
    return model


def varying_radon(*, centred: bool = True) -> pm.Model:
    """Return the model whose intercept varies by county."""
    with _radon_model() as model:
        mean, scale = pm.Normal("mu_a", 0, 10), pm.HalfNormal("sigma_a", 5)
        effect = _county_effect("a", mean, scale, centred)
        slope = pm.Normal("b", 0, 10)
        noise = pm.HalfNormal("sigma", 5)
        _observe_radon(model, effect, slope * model["floor"], noise)
    return model


def _county_effect(name: str, mean: Any, scale: Any, centred: bool) -> Any:
    """Return the effects of the counties, free themselves or as multiples of their scale."""
    if centred:
        return pm.Normal(name, mean, scale, dims="county")
    standard = pm.Normal("z", 0, 1, dims="county")
    return pm.Deterministic(name, mean + scale * standard, dims="county")


def _observe_radon(model: pm.Model, effect: Any, slopes: Any, noise: Any) -> None:
    expected = effect[model["county_index"]] + slopes
    pm.Normal("log_radon", expected, noise, observed=radon_homes()["log_radon"], dims="home")


def _radon_model() -> pm.Model:
    homes = radon_homes()
    with pm.Model(coords={"county": homes["county"].cat.categories}) as model:
        by.Data("county_index", homes["county"].cat.codes, dims="home")
        for name in ("floor", "mean_floor", "log_uranium"):
            by.Data(name, homes[name], dims="home")
    return model


@cache
def flights() -> pd.DataFrame:
    """Return the 327,346 flights with a known arrival: their factors, and whether they were late.

    A flight is late if it arrives more than 15 minutes after schedule. Its period is that of its
    scheduled departure: the day has eight of three hours, and no flight leaves in the first.
    """
    table = pd.read_parquet(by.get_data("nycflights13.parquet"))
    table = table[table["arr_delay"].notna()]
    factors = {
        "destination": table["dest"],
        "carrier": table["carrier"],
        "month": table["month"],
        "period": table["sched_dep_time"] // 300,
    }
    frame = pd.DataFrame(factors).astype("category")
    return frame.assign(late=table["arr_delay"] > 15).reset_index(drop=True)


def flight_columns() -> dict[str, NDArray[Any]]:
    """Return, a row a flight, the index of its level of each factor, and whether it was late."""
    table = flights()
    columns = {factor: table[factor].cat.codes.to_numpy() for factor in FACTORS}
    return columns | {"late": table["late"].to_numpy()}


def late_flights() -> pm.Model:
    """Return the model of single flights, in minibatches of rows."""
    rows = {
        name: by.Minibatch(column, FLIGHTS_BATCH_SIZE, name=f"{name}_batch")
        for name, column in flight_columns().items()
    }
    return flight_model(rows, len(flights()))


def flight_model(rows: Mapping[str, Any], total_size: int | None = None) -> pm.Model:
    """Return the model of single flights, over columns from containers of any kind."""
    with pm.Model(coords=_flight_levels()) as model:
        log_odds = _flight_log_odds(rows)
        pm.Bernoulli("late", logit_p=log_odds, observed=rows["late"], total_size=total_size)
    return model


def late_flight_cells() -> pm.Model:
    """Return the model of counts in 9,461 cells of like flights, which has the same posterior."""
    cells = (
        pd.DataFrame(flight_columns()).groupby(FACTORS)["late"].agg(["size", "sum"]).reset_index()
    )
    with pm.Model(coords=_flight_levels()) as model:
        log_odds = _flight_log_odds({factor: cells[factor].to_numpy() for factor in FACTORS})
        pm.Binomial("late", cells["size"], logit_p=log_odds, observed=cells["sum"])
    return model


def _flight_levels() -> dict[str, Any]:
    return {factor: flights()[factor].cat.categories for factor in FACTORS}


def _flight_log_odds(rows: Mapping[str, Any]) -> Any:
    """Add up the effects: 104 destinations, 16 carriers, 12 months, 7 periods; 143 parameters."""
    log_odds = pm.Normal("intercept", 0, 2)
    for factor in FACTORS:
        # So few periods say little about their spread, which is given.
        spread = 1 if factor == "period" else pm.HalfNormal(f"{factor}_spread", 1)
        log_odds += pm.Normal(f"{factor}_effect", 0, spread, dims=factor)[rows[factor]]
    return log_odds


def normal_rows() -> NDArray[np.float64]:
    """Return the 20,000 rows of the conjugate model."""
    return np.random.default_rng(0).normal(2.0, 1.0, size=NORMAL_ROWS)


def conjugate_normal() -> pm.Model:
    """Return the conjugate model, in minibatches."""
    return normal_model(by.Minibatch(normal_rows(), NORMAL_BATCH_SIZE, name="rows"))


def normal_model(rows: Any) -> pm.Model:
    """Return a mean under a flat prior, noise of 1, whose posterior is exact."""
    with pm.Model() as model:
        mean = pm.Flat("mean")
        pm.Normal("observed", mean, 1, observed=rows, total_size=NORMAL_ROWS)
    return model
