"""What comes of each whole model: how near a fit is to NUTS, and which calls are refused.

A model is made by a function of `models_of_rows` or `models_of_series`; what NUTS finds lies in the
folder `posteriors`, for those that have a distance here.
"""

from __future__ import annotations

from dataclasses import dataclass

JOINT = "has one distribution over all rows"
DEPENDS = "the density of 'o' in a batch differs from that among all rows"
NAMELESS = "must come with a name for the dim of the rows"
ONE_VALUE = r"no potential of \['o'\] has a value for each row"
IMPUTED = "`batch_size` must be left out where missing values are imputed"
NO_DRAWS = "must have an observed variable or a deterministic to predict"
SPLIT = "`var_names` must not be of variables with imputed values"
NO_JAX = r"got one in 'o' that it cannot: No JAX conversion for the given `Op`: DifferentialEq"


@dataclass(frozen=True)
class Outcome:
    """What comes of a model.

    Attributes
    ----------
    means, sds : float or None
        The largest distances that are allowed between a fit of all rows and NUTS: of means in
        posterior standard deviations, of standard deviations as a fraction. None if not compared.
    fit, batches, predict : str or None
        The words of the refusal; None if it works.
    warns : str or None
        The words of the warning of a fit.
    """

    means: float | None = None
    sds: float | None = None
    fit: str | None = None
    batches: str | None = None
    predict: str | None = None
    warns: str | None = None


OUTCOMES = {
    "network": Outcome(),
    "topics": Outcome(),
    "item_response": Outcome(0.2, 0.2),
    "factors": Outcome(),
    "normal_mixture": Outcome(0.15, 0.15),
    "vector_mixture": Outcome(),
    "point_mass_mixture": Outcome(
        warns="The fit did not converge: the loss is not finite around the start"
    ),
    "piecewise_survival": Outcome(0.15, 0.15),
    "weibull_survival": Outcome(0.1, 0.1),
    "ordinal": Outcome(0.1, 0.1),
    "hurdle": Outcome(0.1, 0.1),
    "zero_inflated": Outcome(0.1, 0.1),
    "varying_slopes": Outcome(0.3, 0.25),
    "poststratified": Outcome(0.25, 0.3),
    "missing_outcomes": Outcome(0.1, 0.1, batches=IMPUTED, predict=SPLIT),
    "missing_predictors": Outcome(0.1, 0.1, batches=IMPUTED, predict=SPLIT),
    "truncated": Outcome(0.1, 0.1),
    "splines": Outcome(0.1, 0.1),
    "compositions": Outcome(0.1, 0.1),
    "weighted": Outcome(0.1, 0.1, predict=NO_DRAWS),
    "robust_horseshoe": Outcome(),
    "measured_with_error": Outcome(),
    "joint_outcomes": Outcome(0.1, 0.1),
    "proportional_hazards": Outcome(0.1, 0.1, batches=DEPENDS, predict=NO_DRAWS),
    "stick_breaking": Outcome(),
    "rounded": Outcome(0.1, 0.1),
    "hidden_markov": Outcome(0.15, 0.2, batches=ONE_VALUE, predict=NO_DRAWS),
    "autoregression": Outcome(0.1, 0.1, batches=JOINT),
    "lagged": Outcome(0.1, 0.1, batches=NAMELESS),
    "garch": Outcome(0.2, 0.15, batches=JOINT),
    "local_level": Outcome(0.25, 0.15, batches=JOINT),
    "kalman": Outcome(0.1, 0.1, batches=ONE_VALUE, predict=NO_DRAWS),
    "stochastic_volatility": Outcome(batches=JOINT),
    "changepoint": Outcome(warns="The fit did not converge: the line search failed"),
    "seasonal_trend": Outcome(0.2, 0.2),
    "vector_autoregression": Outcome(0.1, 0.1, batches=NAMELESS),
    "hsgp": Outcome(0.35, 0.3),
    # 0.07 sd and 6% off, but the fit takes minutes on busy cores.
    "marginal_process": Outcome(batches=JOINT),
    # Its fit takes more than 150 s on busy cores.
    "latent_process": Outcome(batches=DEPENDS),
    "spatial_intrinsic": Outcome(0.25, 0.2, batches=JOINT),
    "spatial_autoregression": Outcome(0.2, 0.15, batches=JOINT),
    "growth": Outcome(0.1, 0.1, batches=DEPENDS),
    "differential_equation": Outcome(fit=NO_JAX, batches=NO_JAX),
}
# Those that by.sample is run on: a scan, a branch that is not taken, a Cholesky factor, levels.
SAMPLED = ("hidden_markov", "piecewise_survival", "varying_slopes", "item_response")
# Those whose fit is run in the slow suite.
FITTED = tuple(
    name
    for name, outcome in OUTCOMES.items()
    if outcome.means or outcome.fit or outcome.warns or outcome.predict
)
