"""
Late flights by the hour
========================

327,346 flights out of New York in 2013, and the chance of arriving more than 15 minutes late by the
hour of departure: a random walk over the hours, fitted in minibatches.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pymc as pm

import bayou as by

flights = pd.read_parquet(by.get_data("nycflights13.parquet")).dropna(subset="arr_delay")
flights["hour"] = (flights["sched_dep_time"] // 100).astype(str).str.zfill(2)
flights["late"] = flights["arr_delay"] > 15

with pm.Model() as model:
    hour = by.Data("hour", flights, columns="hour", dims="flight", categories="hours")
    late = by.Data("late", flights, columns="late", dims="flight")
    step = pm.HalfNormal("step", 1)
    level = pm.GaussianRandomWalk(
        "level", sigma=step, init_dist=pm.Normal.dist(-1, 1), dims="hours"
    )
    pm.Bernoulli("arrival", logit_p=level[hour], observed=late, dims="flight")
    fit = by.fit(batch_size=512, random_seed=1, progressbar=False)

print(fit.verdict)

# %%
# The levels as chances, with 95% intervals, and the share of flights in each hour that was late.

chances = 1 / (1 + np.exp(-fit.sample(1000, random_seed=1).posterior["level"]))
low, middle, high = chances.quantile([0.025, 0.5, 0.975], ("chain", "draw")).to_numpy()
hours = list(model.coords["hours"])
observed = flights.groupby("hour")["late"].agg(["mean", "size"]).loc[hours]

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.scatter(
    hours, observed["mean"], s=observed["size"] / 100, alpha=0.3, label="observed; flights"
)
axes.vlines(hours, low, high, color="black")
axes.plot(hours, middle, "o", markersize=3, color="black", label="by the model")
axes.set(xlabel="hour of departure", ylabel="share that arrives late", ylim=(0, None))
axes.legend()
