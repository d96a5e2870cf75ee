"""Which flights arrive late?
==========================

300,000 flights in minibatches, and a month that the fit never saw.

The model is written once: it is fitted in minibatches, sampled with NUTS on all of the flights and
on some, and predicts others. All flights are few distinct rows, each of which NUTS needs once.

A flight is late if it arrives more than 15 minutes after schedule. The log odds of that are a sum
of effects: of its carrier, its origin, its month and its hour of departure. December is held out.
Its own effect is unknown, so its flights are predicted with one from the population of months.

.. image:: /late_flights.png
   :alt: ELBO by step, effects of carriers, and calibration on the month that was held out
"""

from __future__ import annotations

import warnings
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pymc as pm
import typer
from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest

import bayou as by

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

# sphinx_gallery_thumbnail_path = 'late_flights.png'

FACTORS = ["carrier", "origin", "month", "hour"]
DECEMBER = 12
BATCH_SIZE = 512
DRAWS = 400
FEW_FLIGHTS = 2000
SHOWN_CARRIERS = 8
QUANTILES = [0.025, 0.5, 0.975]
BLUE, PALE_BLUE, GREY, PALE_GREY = "#1f5a94", "#9fc0de", "#8a8f98", "#dcdee2"
ORANGE = "#d1741f"


def main(steps: int = 50_000, draws: int = 1000, output: Path = Path("late_flights.png")) -> None:
    """Fit lateness, score the held-out month, sample exactly, print tables and save a picture."""
    console = Console(highlight=False)
    every = pd.read_parquet(by.get_data("nycflights13.parquet"))
    flights = arrived(every)
    fitted = flights[flights["month"] != DECEMBER]
    held_out = flights[flights["month"] == DECEMBER]
    console.print(
        f"{len(every):,} flights, {len(every) - len(flights):,} of them left out: cancelled or "
        f"diverted.\n{len(fitted):,} are fitted in batches of {BATCH_SIZE}, the "
        f"{len(held_out):,} of December are held out."
    )

    model = late_model(fitted)
    console.print(by.describe(model))
    started = perf_counter()
    fit = by.fit(steps, batch_size=BATCH_SIZE, model=model, random_seed=1, correction=None)
    seconds = perf_counter() - started

    posterior = fit.sample(DRAWS, random_seed=1).posterior.dataset
    probability = predict(model, posterior, held_out)
    carriers = odds_by_carrier(posterior, fitted)
    tenths = calibration(probability, held_out["late"])

    score = log_score(probability.mean(axis=0), held_out["late"])
    base_score = log_score(fitted["late"].mean(), held_out["late"])
    console.print(carrier_table(carriers), calibration_table(tenths))
    console.print(f"Log score of a flight of December: {score:.4f} (base rate: {base_score:.4f})")
    console.print(
        f"ELBO {smooth(fit.elbo)[-1]:,.0f}, averaged, after {steps:,} steps of {BATCH_SIZE} rows "
        f"in {seconds:.1f} seconds"
    )

    started = perf_counter()
    exact = sample(model, draws, console, "all flights")
    seconds = perf_counter() - started
    console.print(f"NUTS on {exact.attrs['compression']}, in {seconds:.1f} seconds")
    by.set_data(fitted.sample(FEW_FLIGHTS, random_state=1), model=model)
    few = sample(model, draws, console, f"{FEW_FLIGHTS:,} flights")
    console.print(spread_table({"fit": posterior, "NUTS": exact, f"NUTS, {FEW_FLIGHTS:,}": few}))

    odds = {
        "NUTS, 2,000 flights": odds_by_carrier(few, fitted),
        "NUTS, all flights": odds_by_carrier(exact, fitted),
        "fit in minibatches": carriers,
    }
    save_picture(output, fit.elbo, odds, tenths)
    console.print(f"Picture: {output}")


def arrived(flights: pd.DataFrame) -> pd.DataFrame:
    """Return the flights whose arrival is known, with their factors and whether they were late."""
    known = flights.dropna(subset="arr_delay")
    known = known.assign(hour=known["sched_dep_time"] // 100, late=known["arr_delay"] > 15)
    return known[[*FACTORS, "late"]].astype(dict.fromkeys(FACTORS, "category"))


def late_model(flights: pd.DataFrame) -> pm.Model:
    """Return the model of these flights."""
    with pm.Model() as model:
        late = by.Data("late", flights, columns="late", dims="flight")
        average_month = pm.Normal("average_month", -1, 1)
        log_odds = 0
        for factor in FACTORS:
            level = by.Data(
                f"{factor}_level", flights, columns=factor, dims="flight", categories=factor
            )
            center = average_month if factor == "month" else 0
            spread = pm.HalfNormal(f"{factor}_spread", 1)
            effect = pm.Normal(f"{factor}_effect", center, spread, dims=factor)
            log_odds += effect[level]
        pm.Deterministic("probability", pm.math.sigmoid(log_odds), dims="flight")
        pm.Bernoulli("arrival", logit_p=log_odds, observed=late, dims="flight")
    return model


def predict(model: pm.Model, posterior: xr.Dataset, flights: pd.DataFrame) -> NDArray[np.float64]:
    """Return the probabilities that flights of a new month are late, shape (draws, flights)."""
    # What has no draws is drawn from its population: the new month is like another one.
    known = posterior.drop_vars("month_effect")
    predictions = by.predict(
        known, flights, model=model, var_names="probability", random_seed=1, progressbar=False
    )
    return predictions.predictions["probability"].values[0]


def sample(model: pm.Model, draws: int, console: Console, what: str) -> xr.Dataset:
    """Return draws of NUTS of all that is not of one flight, and print what NUTS warns of."""
    names = [variable.name for variable in model.free_RVs]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", by.ConvergenceWarning)
        tree = by.sample(
            draws, target_accept=0.9, model=model, var_names=names, random_seed=1, progressbar=False
        )
    for warning in caught:
        console.print(f"NUTS on {what} warns: {warning.message}")
    return tree.posterior.dataset


def odds_by_carrier(posterior: xr.Dataset, flights: pd.DataFrame) -> pd.DataFrame:
    """Return each carrier's odds of being late, relative to the average carrier, in their order."""
    effect = posterior["carrier_effect"]
    odds = np.exp(effect - effect.mean("carrier")).quantile(QUANTILES, ("chain", "draw"))
    carriers = pd.DataFrame(odds.values.T, index=odds["carrier"], columns=["low", "odds", "high"])
    late = flights.groupby("carrier", observed=False)["late"]
    return carriers.assign(flights=late.size(), late=late.mean()).sort_values("odds")


def calibration(probability: NDArray[np.float64], late: pd.Series) -> pd.DataFrame:
    """Return the predicted and the observed share of late flights in tenths by prediction."""
    tenths = pd.qcut(probability.mean(axis=0), 10, labels=False)
    rows = []
    for tenth in range(10):
        chosen = tenths == tenth
        predicted = probability[:, chosen].mean(axis=1)
        observed = binomtest(int(late[chosen].sum()), int(chosen.sum()))
        interval = observed.proportion_ci(method="wilson")
        rows.append(
            {
                "flights": observed.n,
                "predicted": predicted.mean(),
                "predicted_low": np.quantile(predicted, QUANTILES[0]),
                "predicted_high": np.quantile(predicted, QUANTILES[-1]),
                "observed": observed.statistic,
                "observed_low": interval.low,
                "observed_high": interval.high,
            }
        )
    return pd.DataFrame(rows)


def log_score(probability: NDArray[np.float64] | float, late: pd.Series) -> float:
    """Return the mean log probability of what happened; higher is better."""
    return float(np.log(np.where(late, probability, 1 - probability)).mean())


def smooth(elbo: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return, at each step, the mean over the last third of the steps so far."""
    total = np.concatenate([[0.0], np.cumsum(elbo)])
    end = np.arange(1, len(total))
    begin = end * 2 // 3
    return (total[end] - total[begin]) / (end - begin)


def carrier_table(carriers: pd.DataFrame) -> Table:
    title = "Odds of arriving late, relative to the average carrier"
    table = Table("carrier", title=title, box=box.SIMPLE)
    for heading in ("flights", "late", "odds ratio", "95% interval"):
        table.add_column(heading, justify="right")
    for carrier in carriers.itertuples():
        table.add_row(
            carrier.Index,
            f"{carrier.flights:,}",
            f"{carrier.late:.1%}",
            f"{carrier.odds:.2f}",
            f"{carrier.low:.2f} to {carrier.high:.2f}",
        )
    return table


def calibration_table(tenths: pd.DataFrame) -> Table:
    title = "December, in tenths of its flights by their predictions"
    table = Table(title=title, box=box.SIMPLE)
    for heading in ("flights", "predicted", "95% interval", "late", "95% interval"):
        table.add_column(heading, justify="right")
    for tenth in tenths.itertuples():
        table.add_row(
            f"{tenth.flights:,}",
            f"{tenth.predicted:.1%}",
            f"{tenth.predicted_low:.1%} to {tenth.predicted_high:.1%}",
            f"{tenth.observed:.1%}",
            f"{tenth.observed_low:.1%} to {tenth.observed_high:.1%}",
        )
    return table


def spread_table(posteriors: dict[str, xr.Dataset]) -> Table:
    title = "Spread of the effects: by the fit, exactly, and from few flights, which tell less"
    table = Table("effects", title=title, box=box.SIMPLE)
    for heading in posteriors:
        table.add_column(heading, justify="right")
        table.add_column("sd", justify="right")
    for factor in FACTORS:
        draws = [found[f"{factor}_spread"] for found in posteriors.values()]
        figures = [f"{value:.2f}" for found in draws for value in (found.mean(), found.std())]
        table.add_row(factor, *figures)
    return table


def save_picture(
    output: Path,
    elbo: NDArray[np.float64],
    odds: dict[str, pd.DataFrame],
    tenths: pd.DataFrame,
) -> None:
    figure = Figure(figsize=(12, 4), layout="constrained")
    panels = figure.subplots(1, 3)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    draw_elbo(panels[0], elbo)
    draw_carriers(panels[1], odds)
    draw_calibration(panels[2], tenths)
    figure.savefig(output, dpi=200)


def draw_elbo(axes: Axes, elbo: NDArray[np.float64]) -> None:
    step = np.arange(1, len(elbo) + 1)
    axes.plot(step, elbo / 1000, color=PALE_GREY, linewidth=0.5)
    axes.plot(step, smooth(elbo) / 1000, color=BLUE)
    axes.set_ylim(*np.quantile(elbo, [0.0005, 0.9995]) / 1000)
    axes.set(xlabel="step", ylabel="ELBO (thousand nats)", xscale="log", xlim=(1, len(elbo)))
    axes.xaxis.set_major_formatter("{x:,.0f}")


def draw_carriers(axes: Axes, odds: dict[str, pd.DataFrame]) -> None:
    axes.axvline(1, color=GREY, linewidth=1)
    # Every second carrier, by its odds in the fit.
    carriers = next(reversed(odds.values())).index[::2][:SHOWN_CARRIERS]
    places = np.arange(len(carriers))
    for shift, color, (label, frame) in zip(
        (-0.25, 0, 0.25), (PALE_GREY, ORANGE, BLUE), odds.items(), strict=True
    ):
        shown = frame.loc[carriers]
        axes.hlines(places + shift, shown["low"], shown["high"], color=color, label=label)
        axes.plot(shown["odds"], places + shift, "o", color=color, markersize=4)
    axes.set_yticks(places, carriers)
    axes.set(xlabel="odds ratio of arriving late (95% interval)", ylabel="carrier", xscale="log")
    axes.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False, fontsize="small",
        reverse=True, handlelength=1, columnspacing=1,
    )  # fmt: skip
    axes.set_xticks([0.5, 0.7, 1, 1.4, 2], ["0.5", "0.7", "1", "1.4", "2"])
    axes.minorticks_off()


def draw_calibration(axes: Axes, tenths: pd.DataFrame) -> None:
    predicted, observed = tenths["predicted"], tenths["observed"]
    across = (observed, tenths["predicted_low"], tenths["predicted_high"])
    upright = (predicted, tenths["observed_low"], tenths["observed_high"])
    axes.axline((0, 0), slope=1, color=GREY, linewidth=1)
    axes.hlines(*across, color=PALE_BLUE, label="prediction, 95%")
    axes.vlines(*upright, color=BLUE, label="observation, 95%")
    axes.plot(predicted, observed, "o", color=BLUE, markersize=4)
    axes.set(xlabel="predicted share late", ylabel="observed share late, December")
    axes.set(xlim=(0, 0.7), ylim=(0, 0.7), aspect="equal")
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.legend(loc="upper left", frameon=False)


if __name__ == "__main__":
    typer.run(main)
