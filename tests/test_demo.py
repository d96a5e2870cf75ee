"""The main job, as `make demo` runs it but with fewer steps."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayou as by

SCRIPT = Path(__file__).parents[1] / "examples" / "late_flights.py"


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("late_flights", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def numbers(pattern: str, text: str) -> np.ndarray:
    """Return the numbers that the groups of a pattern match, a row for each group."""
    found = re.findall(pattern, text.replace(",", ""), re.MULTILINE)
    return np.array(found, dtype=float).T


@pytest.mark.slow
def test_the_main_job_prints_its_tables_and_saves_its_picture(demo, tmp_path, capsys):
    picture = tmp_path / "late.png"

    demo.main(steps=3000, draws=300, output=picture)

    printed = capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "336,776 flights, 9,430 of them left out" in printed
    assert "300,326 are fitted in batches of 512, the 27,020 of December are held out" in printed
    assert re.search(r"ELBO -1\d\d,\d{3}, averaged, after 3,000 steps of 512 rows", printed)

    flights, late, odds, low, high = numbers(
        r"^ +\w\w +(\d+) +([\d.]+)% +([\d.]+) +([\d.]+) to ([\d.]+)", printed
    )
    assert len(flights) == 16
    assert flights.sum() == 300_326
    assert (low < odds).all()
    assert (odds < high).all()
    assert np.corrcoef(late, np.log(odds))[0, 1] > 0.8

    flights, predicted, low, high, observed = numbers(
        r"^ +(\d+) +([\d.]+)% +([\d.]+)% to ([\d.]+)% +([\d.]+)% ", printed
    )
    assert len(flights) == 10
    assert flights.sum() == 27_020
    assert np.corrcoef(predicted, observed)[0, 1] > 0.9
    assert low.mean() < observed.mean() < high.mean()

    [rows, distinct] = numbers(r"NUTS on (\d+) rows as (\d+) distinct each counted", printed)
    assert rows == 300_326
    assert distinct < 10_000
    # The spread of carriers, by the fit and by NUTS on all flights.
    [_, _, mean, std, _, few_std] = numbers(r"^ +carrier" + 6 * r" +([\d.]+)" + r" *$", printed)
    assert 0.1 < mean < 0.5
    assert std < few_std

    [score], [base_rate] = numbers(r"Log score .*: (-[\d.]+) \(base rate: (-[\d.]+)\)", printed)
    assert score > base_rate + 0.01


def test_new_flights_are_predicted_with_an_effect_from_the_population_of_months(demo):
    every = demo.arrived(pd.read_parquet(by.get_data("nycflights13.parquet")))
    fitted = every[every["month"] == 1][:100]
    december = every[every["month"] == demo.DECEMBER][:30]
    model = demo.late_model(every)
    by.set_data(fitted, model=model)
    draws = 200
    values = {
        **NUMBERS,
        **{
            f"{factor}_effect": xr.DataArray(
                np.full(len(every[factor].cat.categories), 10.0 * (factor == "month")),
                coords={factor: every[factor].cat.categories.astype(str)},
            )
            for factor in demo.FACTORS
        },
    }
    posterior = xr.Dataset(values).expand_dims(chain=1, draw=draws)

    probability = demo.predict(model, posterior, december)

    assert model["late"].get_value().tolist() == fitted["late"].tolist()
    assert probability.shape == (draws, 30)
    month_effect = np.log(probability / (1 - probability))
    assert np.ptp(month_effect, axis=1).max() < 1e-9
    assert abs(month_effect[:, 0].mean() + 1) < 0.2
    assert abs(month_effect[:, 0].std() - 0.5) < 0.1


def test_smoothing_keeps_a_constant_and_lags_a_slope(demo):
    assert demo.smooth(np.full(50, -3.0)) == pytest.approx(np.full(50, -3.0))
    assert demo.smooth(np.arange(1.0, 10))[-1] == pytest.approx(np.mean([7, 8, 9]))


def test_log_score_is_the_mean_log_probability_of_what_happened(demo):
    late = pd.Series([True, False])
    assert demo.log_score(np.array([0.5, 0.75]), late) == pytest.approx(np.log(0.5 * 0.25) / 2)


NUMBERS = {
    "average_month": -1.0,
    "carrier_spread": 0.1,
    "origin_spread": 0.1,
    "month_spread": 0.5,
    "hour_spread": 0.1,
}
