"""
What a verdict sees
===================

The eight schools (Rubin 1981): eight estimates of the effect of coaching, with their standard
errors, and the spread `tau` of the effects themselves. A normal approximation of such a posterior
is off where it matters, near `tau` = 0. :func:`bayou.fit` notices that and says whose draws it
returns in the place of its own.
"""

import matplotlib.pyplot as plt
import numpy as np
import pymc as pm
from scipy import stats

import bayou as by

EFFECTS = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
ERRORS = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])

with pm.Model(coords={"school": list("ABCDEFGH")}):
    mu = pm.Normal("mu", 0, 5)
    tau = pm.HalfCauchy("tau", 5)
    offset = pm.Normal("offset", dims="school")
    pm.Normal("estimate", mu + tau * offset, ERRORS, observed=EFFECTS, dims="school")
    fit = by.fit(random_seed=1, progressbar=False)

print(fit.verdict)

# %%
# The posterior of `tau` alone is an integral over `mu` in closed form: effects and their mean are
# normal given `tau`.

grid = np.linspace(0.05, 30, 600)
covariances = np.diag(ERRORS**2) + grid[:, None, None] ** 2 * np.eye(8) + 25 * np.ones((8, 8))
density = stats.halfcauchy.pdf(grid, scale=5) * np.array(
    [stats.multivariate_normal.pdf(EFFECTS, np.zeros(8), each) for each in covariances]
)
density /= density.sum() * (grid[1] - grid[0])

# %%
# The draws that the fit returns follow it down to 0.

draws = fit.sample(4000, random_seed=1).posterior["tau"].to_numpy().ravel()
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.hist(draws, bins=np.linspace(0, 30, 61), density=True, alpha=0.4, label="draws of the fit")
axes.plot(grid, density, label="posterior, by quadrature")
axes.set(xlabel="tau", ylabel="density", yticks=[], title=fit.verdict.draws_from)
axes.legend()
