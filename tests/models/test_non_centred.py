"""Hierarchical normals as offsets: the same density, and which normals are rewritten."""

from __future__ import annotations

import numpy as np
import pymc as pm

import bayou as by
from bayou.density.build import compile_program
from bayou.models.non_centred import hierarchical_normals, non_centred_model

VALUES = np.array([1.0, -2.0, 0.5])


def nested() -> pm.Model:
    """Return a model of cities in countries, whose means are hierarchical too."""
    with pm.Model(coords={"nation": ["a", "b"], "town": ["c", "d", "e"]}) as model:
        country_of = by.Data("country_of", np.array([0, 0, 1]), dims="town")
        width = pm.HalfNormal("width", 2)
        country = pm.Normal("country", 1, width, dims="nation", initval=np.array([3.0, 4.0]))
        spread = pm.Exponential("spread", 1)
        city = pm.Normal("city", country[country_of], spread, dims="town")
        pm.Deterministic("twice", 2 * city)
        pm.Normal("y", city, 1, observed=VALUES)
    return model


def test_density_is_that_of_the_normals_in_other_variables() -> None:
    model = nested()
    program = compile_program(model)
    layout = program.layout
    shapes = dict(zip(layout.names, layout.shapes, strict=True))
    names = hierarchical_normals(model)
    assert names == ("country", "city")
    rewritten = non_centred_model(model, names, shapes)
    assert non_centred_model(model, names, dict(shapes)) is rewritten
    some = non_centred_model(model, names[1:], shapes)
    assert [each.name for each in some.model.free_RVs] == [
        "width", "country", "spread", "city_offset",
    ]  # fmt: skip
    offsets = compile_program(rewritten.model, written=model)
    assert offsets.layout.names == (
        "width_log__", "country_offset", "spread_log__", "city_offset",
    )  # fmt: skip
    # No start of the normals is left: offsets of zero.
    assert not offsets.start(1)[1:3].any()
    position = np.array([0.3, 1.0, -0.5, -0.7, 0.2, 2.0, -1.0])
    values = offsets.constrain(position, offsets.constraining_inputs())
    country = 1 + np.exp(0.3) * position[1:3]
    city = country[[0, 0, 1]] + np.exp(-0.7) * position[4:]
    np.testing.assert_allclose(values["country"], country)
    np.testing.assert_allclose(values["city"], city)
    np.testing.assert_allclose(values["twice"], 2 * city)
    centred = np.concatenate([position[:1], country, position[3:4], city])
    # The log of the volume that offsets are stretched by.
    volume = 2 * 0.3 + 3 * -0.7
    expected = program.density(centred, program.data_values()) + volume
    np.testing.assert_allclose(offsets.density(position, offsets.data_values()), expected)
    assert compile_program(model) is program


def test_other_variables_stay_as_they_are() -> None:
    with pm.Model() as model:
        scale = pm.HalfNormal("scale")
        pm.Normal("known_scale", 0, 2)
        pm.Normal("mean_alone", pm.Normal("mean"), 2)
        pm.StudentT("heavy", 4, mu=0, sigma=scale)
        pm.Normal("positive", 0, scale, transform=pm.distributions.transforms.log)
        pm.Normal("observed", 0, scale, observed=1.0)
    assert hierarchical_normals(model) == ()
