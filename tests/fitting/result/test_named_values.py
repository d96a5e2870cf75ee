"""Values of a position by name: dims and labels of the model where the transform keeps them."""

import numpy as np
import pymc as pm
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from bayou.density.build import compile_program
from bayou.fitting.result.named_values import element_names, named_values


def test_variables_have_the_dims_of_the_model() -> None:
    with pm.Model(coords={"side": ["left", "right"], "unused": [1, 2, 3]}) as model:
        pm.HalfNormal("scale", dims="side")
        pm.Dirichlet("share", np.ones(2), dims="side")
        pm.Normal("scalar")
    program = compile_program(model)
    values = named_values(model, program, np.arange(4.0), None)
    assert list(values.data_vars) == ["scale_log__", "share_simplex__", "scalar"]
    assert values["scale_log__"].dims == ("side",)
    assert list(values["side"].values) == ["left", "right"]
    # A simplex of two has one number, so that the dim of the model does not fit.
    assert values["share_simplex__"].dims == ("share_simplex___dim_0",)
    np.testing.assert_array_equal(values["scale_log__"], [0, 1])
    assert (float(values["share_simplex__"][0]), float(values["scalar"])) == (2, 3)
    assert "unused" not in values.coords
    assert element_names(values, np.array([3, 1, 2])) == [
        "scalar",
        "scale_log__[right]",
        "share_simplex__[0]",
    ]


@given(st.lists(st.lists(st.integers(1, 3), max_size=3), min_size=1, max_size=4))
def test_element_names_are_those_of_the_flat_position(shapes: list[list[int]]) -> None:
    variables, expected = {}, []
    for number, shape in enumerate(shapes):
        dims = tuple(f"d{number}_{axis}" for axis in range(len(shape)))
        labels = {
            dim: [f"{dim}:{n}" for n in range(size)] for dim, size in zip(dims, shape, strict=True)
        }
        variables[f"v{number}"] = xr.DataArray(np.zeros(shape), labels, dims)
        for index in np.ndindex(*shape):
            names = ", ".join(f"{dim}:{n}" for dim, n in zip(dims, index, strict=True))
            expected.append(f"v{number}[{names}]" if shape else f"v{number}")
    assert element_names(xr.Dataset(variables), np.arange(len(expected))) == expected
