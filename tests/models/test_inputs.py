"""What feeds graphs: minibatches, generators, containers, numbers of rows and whole numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest

import bayou as by
from bayou.containers.variables.random_rows import NumRows
from bayou.models.inputs import (
    depends_on_generator,
    feeding_variables,
    find_inputs,
    group_of,
    has_row_mark,
    is_fed,
    is_minibatch,
    mark_rows,
    sampling_of,
    storage_of,
    takes_rows,
    uncast,
)

X = np.arange(12.0)


def items() -> Any:
    return by.generator(iter([np.ones(3)] * 5))


def test_feeding_variables_are_minibatches_generators_and_shared_variables() -> None:
    shared, batch, item = pytensor.shared(X), by.Minibatch(X, 4), items()
    of_pymc = pm.Minibatch(X, batch_size=4)
    graph = (shared.sum() + batch.sum() + item.sum() + of_pymc.sum()) * pm.Normal.dist()
    assert set(feeding_variables([graph])) == {shared, batch, item, of_pymc}
    assert [is_minibatch(variable) for variable in (shared, batch, item, of_pymc)] == [
        False,
        True,
        True,
        True,
    ]


def test_a_number_of_rows_stands_for_its_container_if_asked() -> None:
    shared = pytensor.shared(X)
    count = NumRows(0)(shared)
    assert feeding_variables([2 * count]) == [shared]
    assert feeding_variables([2 * count], row_counts=True) == [count]


def test_inputs_come_in_order_and_clones_share_them() -> None:
    x, offset = by.Minibatch(X, 4), pytensor.shared(np.ones(3), name="offset")
    y, size = by.Minibatch(2 * X, 4), pytensor.shared(5, name="size")
    count = NumRows(0)(pytensor.shared(X, name="rows"))
    clone = x.owner.clone().outputs[0]
    graphs = [offset.sum() + x.sum(), y.sum() * size + clone.sum() * count]
    found = find_inputs(graphs)
    assert len(found.fed) == 2
    assert found.data == (offset,)
    assert [axis for _, axis in found.counted] == [0]
    assert found.lengths == ((size, 5),)
    assert len(found.inputs) == 4
    assert found.replacements[x] is found.replacements[clone]
    assert [found.vary(graph) for graph in (*graphs, offset.sum())] == [True, True, False]


def test_minibatches_that_are_sampled_alike_are_side_by_side() -> None:
    first, other = by.Minibatch(X, 4), by.Minibatch(X, 3)
    second = by.Minibatch(X + 1, 4)
    assert group_of(first) == group_of(second) != group_of(other)
    fed = find_inputs([first.sum() + other.sum() + second.sum()]).fed
    assert [len(sampling_of(variable)) for variable in fed] == [1, 1, 1]
    sizes = [sampling_of(variable)[0].size for variable in fed]
    assert sizes in ([4, 4, 3], [3, 4, 4])


def test_random_draws_without_a_name_are_refused() -> None:
    graph = pm.Normal.dist() + pytensor.shared(X)
    with pytest.raises(TypeError, match=r"draw no random numbers .*\nHint: write pm.Normal\('x'"):
        find_inputs([graph])


def test_minibatches_of_pymc_are_refused() -> None:
    with pytest.raises(TypeError, match=r"bayou, got pm.Minibatch .*\nHint: make it with by"):
        find_inputs([pm.Minibatch(X, batch_size=4).sum()])


def test_storage_is_what_a_minibatch_is_drawn_from() -> None:
    shared = pytensor.shared(X)
    assert storage_of(shared) is shared
    np.testing.assert_array_equal(storage_of(by.Minibatch(X, 4)).get_value(), X)
    np.testing.assert_array_equal(storage_of(items()).get_value(), np.ones(3))
    one, two = pm.Minibatch(X, 2 * X, batch_size=4)
    np.testing.assert_array_equal(storage_of(one).eval(), X)
    np.testing.assert_array_equal(storage_of(two).eval(), 2 * X)


def test_casts_of_minibatches_are_fed() -> None:
    batch = by.Minibatch(np.arange(5), 2)
    assert uncast(batch.astype("float64")) is batch
    assert is_fed(batch.astype("float64"))
    assert not is_fed(pytensor.shared(X))


def test_a_generator_is_told_from_other_rows() -> None:
    item, batch = items(), by.Minibatch(X, 2)
    assert depends_on_generator(batch, 2 * item.sum())
    assert not depends_on_generator(2 * batch)
    assert not depends_on_generator()
    assert sampling_of(item) == ()
    assert group_of(item) != group_of(items())


def test_a_length_takes_no_rows() -> None:
    batch = by.Minibatch(X, 4)
    assert takes_rows(batch.sum())
    assert not takes_rows(pt.zeros(batch.shape[0]).sum())
    assert not takes_rows(NumRows(0)(pytensor.shared(X)))


def test_marked_potentials() -> None:
    potential = pt.vector()
    assert not has_row_mark(potential)
    mark_rows(potential)
    assert has_row_mark(potential)
