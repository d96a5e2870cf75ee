"""Names of observed variables with missing values, as PyMC writes them."""

import numpy as np
import pymc as pm
import pytest

from bayou.models.missing_values import imputed_names


@pytest.mark.filterwarnings("ignore:Data in y contains missing values")
def test_the_variable_and_its_observed_part_are_named() -> None:
    with pm.Model() as model:
        pm.Normal("y", 0, 1, observed=np.ma.masked_less(np.arange(6.0), 3))
        # Its name alone does not make it a part.
        pm.Normal("z_observed", 0, 1, observed=np.arange(6.0))
    assert imputed_names(model) == {"y", "y_observed"}
    assert {"y", "y_observed", "y_unobserved"} <= model.named_vars.keys()
