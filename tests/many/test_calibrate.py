"""by.calibrate: right inference passes, wrong inference fails where it is wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.many import nutpie_runs


def normal(scale: float = 1.0, rows: int = 8) -> pm.Model:
    with pm.Model(coords={"term": ["level", "slope"]}) as model:
        x = by.Data("x", np.linspace(-1, 1, rows), dims="row")
        y = by.Data("y", np.arange(float(rows)), dims="row")
        b = pm.Normal("b", dims="term")
        pm.Normal("observed", b[0] + b[1] * x, scale, observed=y, dims="row")
    return model


QUICK: dict[str, Any] = {
    "draws": 100,
    "tune": 150,
    "chains": 2,
    "random_seed": 1,
    "progressbar": False,
}


@pytest.fixture(scope="module")
def model() -> pm.Model:
    return normal()


def test_a_right_model_passes(model: pm.Model) -> None:
    result = by.calibrate(model, 60, **QUICK)
    assert result
    assert result.verdicts == {"b": True}
    assert result.pit["b"].dims == ("dataset", "term")
    assert result.pit["term"].values.tolist() == ["level", "slope"]
    assert repr(result).startswith("Calibration of 'nuts' on 60 data sets:\n  b  calibrated  (p")
    np.testing.assert_array_equal(model["y"].get_value(), np.arange(8.0))
    again = by.calibrate(model, 60, **QUICK)
    assert again.pit.identical(result.pit)


def test_a_wrong_scale_fails(model: pm.Model) -> None:
    result = by.calibrate(model, 60, simulator=normal(scale=3.0), **QUICK)
    assert not result
    assert "b  NOT calibrated" in repr(result)
    assert repr(result).endswith("posteriors are too narrow")
    assert result.p_values["b"] < 1e-3


@pytest.mark.slow
def test_a_fit_is_calibrated_where_it_is_right(model: pm.Model) -> None:
    result = by.calibrate(model, 20, method="fit", draws=200, random_seed=1, progressbar=False)
    assert result
    # The name of its default.
    assert "'auto' on 20 data sets" in repr(result)


def test_the_earlier_name_of_the_number_works(model: pm.Model) -> None:
    with pytest.warns(FutureWarning, match="`n` of by.calibrate is now called `num_datasets`"):
        result = by.calibrate(model, n=20, **QUICK)
    assert result.pit.identical(by.calibrate(model, num_datasets=20, **QUICK).pit)


def test_plot(model: pm.Model) -> None:
    drawn = by.calibrate(model, 20, **QUICK).plot()
    assert drawn.viz["plot"]["b"].sizes == {"term": 2}


def with_potential() -> pm.Model:
    with normal() as model:
        pm.Potential("pull", -(model["b"] ** 2).sum())
    return model


def drawn_by(make: Any) -> pm.Model:
    """Return a model whose level, or whose observed variable, is made otherwise."""
    with pm.Model() as model:
        y = by.Data("y", np.arange(8.0), dims="row")
        make(y)
    return model


@pytest.mark.slow
def test_a_simulator_draws_for_a_model_that_cannot() -> None:
    model = drawn_by(
        lambda y: pm.CustomDist(
            "observed",
            pm.Normal("level"),
            logp=lambda value, mean: pm.logp(pm.Normal.dist(mean, 1), value),
            observed=y,
        )
    )
    simulator = drawn_by(lambda y: pm.Normal("observed", pm.Normal("level"), 1, observed=y))
    assert by.calibrate(model, 40, simulator=simulator, **QUICK)


def test_a_potential_of_the_model_alone_is_its_own_affair(model: pm.Model) -> None:
    assert by.calibrate(with_potential(), 20, simulator=model, **QUICK).pit["b"].shape == (20, 2)


def test_a_folder_of_another_simulator_is_refused(model: pm.Model, tmp_path: Path) -> None:
    by.calibrate(model, 20, **QUICK, out=tmp_path / "sbc.zarr")
    with pytest.raises(ValueError, match="`out` must hold a calibration of the same `simulator`"):
        by.calibrate(model, 20, simulator=normal(scale=3.0), **QUICK, out=tmp_path / "sbc.zarr")
    with pytest.raises(ValueError, match="got another draws: 100 then, 50 now"):
        by.calibrate(model, 20, **QUICK | {"draws": 50}, out=tmp_path / "sbc.zarr")


@pytest.mark.parametrize("kept", [False, True])
def test_what_is_done_outlives_ctrl_c(
    model: pm.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    expected = by.calibrate(model, 22, **QUICK)
    real, stop_at = nutpie_runs._NutpieRun.wait, 21

    def stopped(run: Any) -> Any:
        if run.data_set.key == stop_at:
            raise KeyboardInterrupt
        return real(run)

    monkeypatch.setattr(nutpie_runs._NutpieRun, "wait", stopped)
    out = {"out": tmp_path / "sbc.zarr"} if kept else {}
    with pytest.warns(UserWarning, match="stopped the call after 21 of 22 data sets") as warned:
        result = by.calibrate(model, 22, **QUICK, **out)
    assert len(warned) == 1
    assert result.pit.identical(expected.pit.isel(dataset=slice(21)))
    stop_at = 30
    if kept:
        assert by.calibrate(model, 22, **QUICK, **out).pit.identical(expected.pit)
    stop_at = 5
    with pytest.raises(KeyboardInterrupt):
        by.calibrate(model, 22, **QUICK | {"random_seed": 2})


def test_progress_is_shown(model: pm.Model, capsys: pytest.CaptureFixture[str]) -> None:
    by.calibrate(model, 20, **QUICK | {"progressbar": True})
    assert "20/20" in capsys.readouterr().err
    by.calibrate(model, 20, **QUICK)
    assert capsys.readouterr().err == ""


WRONG = {
    "few": (
        normal,
        {"num_datasets": 5},
        ValueError,
        "`num_datasets` must be a whole number of at least 20",
    ),
    "both numbers": (normal, {"n": 20}, TypeError, "`num_datasets` must come without `n`"),
    "method": (normal, {"method": "magic"}, ValueError, "`method` must be 'nuts', 'fit' or one of"),
    "chains of a fit": (
        normal,
        {"method": "advi", "chains": 2},
        ValueError,
        "`tune` and `chains` must come with method='nuts'",
    ),
    "draws": (normal, {"draws": 0}, ValueError, "`draws` must be"),
    "a potential": (
        with_potential,
        {},
        TypeError,
        "`model` must be drawn from by its variables only, got the potential 'pull'",
    ),
}


@pytest.mark.parametrize("case", list(WRONG))
def test_refusals(case: str) -> None:
    make, settings, error, text = WRONG[case]
    with pytest.raises(error, match=text):
        by.calibrate(make(), **{"num_datasets": 20} | settings)
