"""
A hundred data sets through one model
=====================================

One model of a mean, a hundred shops with twenty sales each, one compilation:
:func:`bayou.sample_many` returns one tree with the dim `dataset`, and a table of diagnostics.
"""

import matplotlib.pyplot as plt
import numpy as np
import pymc as pm

import bayou as by

random = np.random.default_rng(1)
means = random.normal(size=100)
shops = {f"shop {n}": {"sales": random.normal(mean, 1, 20)} for n, mean in enumerate(means)}

with pm.Model():
    sales = by.Data("sales", shops["shop 0"]["sales"])
    mu = pm.Normal("mu", 0, 10)
    pm.Normal("y", mu, 1, observed=sales)
    tree = by.sample_many(shops, random_seed=1, progressbar=False)

diagnostics = tree["diagnostics"]
print(f"largest R-hat: {float(diagnostics['rhat'].max()):.3f}")

# %%
# Intervals of 90% cover the true mean in about 90% of the shops.

low, high = tree.posterior["mu"].quantile([0.05, 0.95], ("chain", "draw")).to_numpy()
covers = (low < means) & (means < high)
order = means.argsort()
low, high, covers = low[order], high[order], covers[order]
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for inside, color in ((True, "C0"), (False, "C3")):
    shown = np.flatnonzero(covers == inside)
    label = f"{len(shown)} intervals that {'cover it' if inside else 'do not'}"
    axes.vlines(shown, low[shown], high[shown], color=color, label=label)
axes.plot(means[order], color="black", linewidth=1, label="true mean")
axes.set(xlabel="shop, by its true mean", ylabel="mean of sales, 90% interval")
axes.legend()
