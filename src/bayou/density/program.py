"""A PyMC model as pure JAX functions of a position and of the rows that feed it.

Containers become inputs, so that new data are new arguments and compile nothing as long as their
shapes stay; transforms, Jacobians and the scaling by total_size are PyMC's own. PyTensor's and
PyMC's internals that this takes are touched in this file and in ``roots`` alone.
"""

from __future__ import annotations

import operator
import warnings
import weakref
from dataclasses import dataclass, field
from functools import cache, cached_property, reduce
from itertools import compress
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from pytensor.compile.mode import JAX as JAX_MODE
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors
from pytensor.link.jax.dispatch import jax_funcify
from pytensor.printing import debugprint
from pytensor.tensor.random.op import RandomVariable

from bayou.containers.variables.random_rows import NumRows
from bayou.density.flat_position import Layout
from bayou.models.initial_point import interpreted, start_function
from bayou.models.inputs import find_roots, is_fed, storage_of, takes_rows
from bayou.models.rewrite import same_structure, structure_of
from bayou.text import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pymc as pm
    from numpy.typing import NDArray
    from pytensor.compile.sharedvalue import SharedVariable
    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

# Arrays of NumPy or JAX, in the order of a program's inputs.
type Inputs = tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class LatentRows:
    """Free variables with a value for each row: what a batch takes of them is an input.

    Attributes
    ----------
    names : tuple of str
        The variables.
    numbers : TensorVariable
        The numbers of the rows of a batch.
    """

    names: tuple[str, ...]
    numbers: TensorVariable

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return len(storage_of(self.numbers).get_value(borrow=True))


@dataclass(frozen=True, eq=False)
class Program:
    """A model as JAX functions of a position and inputs.

    Inputs are the arrays of ``fed``, then those of ``data``, then the numbers of rows ``counted``;
    and last, where there are latent variables of rows, their values in the rows that are fed, shape
    (num_rows, latent_layout.size).

    Attributes
    ----------
    layout : Layout
        The free variables, transformed to the real line, within the flat position.
    fed : tuple of TensorVariable
        What changes from step to step: minibatches, those sampled alike side by side, and
        generators.
    data : tuple of SharedVariable
        What stays through a fit: the values of the containers.
    counted : tuple of (SharedVariable, int)
        Data whose number of rows is the one input more, and the axis that they are along.
    density : callable
        (position of shape (size,), inputs) -> log density, Jacobians and scaling included; as a
        third argument takes weights of shape (num_rows,), by which each row counts.
    term_names : tuple of str
        The variables and potentials that the density is a sum over.
    terms_of_rows : tuple of str
        The variables with a density for each row fed, in its leading axis.
    takes_weights : bool
        Whether rows enter in these alone, so that they can be weighted.
    potentials_of_batches : tuple of str
        The potentials that take fed rows otherwise: of one batch, scaled by hand if at all.
    terms : callable
        (position, inputs) -> dict of name -> log density of each variable, unsummed.
    interpreted_terms : callable
        As ``terms``, without a compiler, on arrays of NumPy; of one, where its name is given.
    constrain : callable
        (position, inputs) -> dict of name -> value, in the space of the model, for the free
        variables and deterministics; it takes :meth:`constraining_inputs`.
    whole : bool
        Whether what is fed stands for all of its rows: deterministics of rows then are of all.
    constrains_rows : bool
        Whether it has such.
    point : callable
        seed -> the values of the free variables at the start, in the order of the layout, and
        those of the latent ones of some rows.
    lengths : tuple of (SharedVariable, int)
        The whole numbers that are held as constants.
    latent : LatentRows or None
        The free variables of rows, which are not in the position.
    latent_layout : Layout
        Where each of them lies in the values of a row.
    written : callable
        Returns the model as it is written, which may be another than the one in minibatches.
    batching : tuple of int and str, or None
        The size of the batches and their dim, where the model is written with all of its data.
    compiled : dict
        Functions compiled for this program, kept by those who compile them.
    block_sizes : set of int
        The numbers of rows that they were compiled for.
    joint : dict
        By a number of rows, functions compiled of the position and latent variables of so many.
    """

    layout: Layout
    fed: tuple[TensorVariable, ...]
    data: tuple[SharedVariable, ...]
    counted: tuple[tuple[SharedVariable, int], ...]
    density: Callable[..., jax.Array]
    term_names: tuple[str, ...]
    terms_of_rows: tuple[str, ...]
    takes_weights: bool
    potentials_of_batches: tuple[str, ...]
    terms: Callable[[jax.Array, Inputs], dict[str, jax.Array]]
    interpreted_terms: Callable[..., dict[str, NDArray[Any]]]
    constrain: Callable[[jax.Array, Inputs], dict[str, jax.Array]]
    whole: bool
    constrains_rows: bool
    point: Callable[[int], tuple[list[NDArray[Any]], list[NDArray[Any]]]]
    lengths: tuple[tuple[SharedVariable, int], ...]
    latent: LatentRows | None
    latent_layout: Layout
    written: Callable[[], pm.Model | None]
    batching: tuple[int, str] | None = None
    compiled: dict[Any, Callable[..., Any]] = field(default_factory=dict, repr=False)
    block_sizes: set[int] = field(default_factory=set, repr=False)
    joint: dict[int, dict[Any, Callable[..., Any]]] = field(default_factory=dict, repr=False)

    @cached_property
    def fingerprint(self) -> str:
        """A text that differs between models, whatever their data."""
        model = self.written()
        assert model is not None
        text = debugprint(_terms(model), file="str", print_type=True)
        names = [value.name for value in model.value_vars]
        return digest(f"{names}\n{text}")

    def is_current(self) -> bool:
        """Tell whether the lengths that it was built with are still those of the model."""
        lengths = all(int(variable.get_value()) == value for variable, value in self.lengths)
        if not lengths:
            return False
        return tuple(value.shape for value in self.point(0)[0]) == self.layout.shapes

    def start(self, seed: int) -> NDArray[Any]:
        """Return a position to start from, shape (size,)."""
        return np.concatenate([np.ravel(value) for value in self.point(seed)[0]])

    @property
    def latent_place(self) -> int:
        """Which of what is fed are the numbers of the rows."""
        assert self.latent is not None
        return self.fed.index(self.latent.numbers)

    def latent_start(self, num_rows: int) -> Inputs:
        """Return the last input where a fit starts; nothing without latent variables of rows."""
        if self.latent is None:
            return ()
        row = np.concatenate([value.mean(axis=0).ravel() for value in self.point(0)[1]])
        return (np.tile(row, (num_rows, 1)),)

    def data_values(self) -> Inputs:
        """Return the present values of the data containers, and numbers of rows."""
        values = (variable.get_value(borrow=True) for variable in self.data)
        counts = (np.array(v.get_value(borrow=True).shape[axis]) for v, axis in self.counted)
        return tuple(map(jax.numpy.asarray, (*values, *counts)))

    def constraining_inputs(self) -> Inputs:
        """Return the inputs of ``constrain``: what is fed only where some of it is of all rows."""
        if not self.constrains_rows:
            return self.data_values()
        held = (storage_of(variable).get_value(borrow=True) for variable in self.fed)
        return (*map(jax.numpy.asarray, held), *self.data_values())


_programs: weakref.WeakKeyDictionary[pm.Model, tuple[tuple[Any, ...], Program]] = (
    weakref.WeakKeyDictionary()
)


def compile_program(
    model: pm.Model,
    *,
    whole: bool = False,
    written: pm.Model | None = None,
    batching: tuple[int, str] | None = None,
    latent: LatentRows | None = None,
) -> Program:
    """Return the program of a model; the same one until the model's structure changes.

    Parameters
    ----------
    model : pymc.Model
        A model with continuous free variables alone.
    whole : bool, default False
        Whether its minibatches stand for all of their data.
    written : pymc.Model, optional
        The model that it was made from, if any.
    batching : tuple of int and str, optional
        The size of the batches that it was brought into, and their dim.
    latent : LatentRows, optional
        Its free variables of rows.

    Returns
    -------
    Program

    Raises
    ------
    TypeError
        If a free variable is discrete, or the model holds a minibatch that bayou cannot feed.
    ValueError
        If the model has no free variable.
    """
    structure = structure_of(model)
    known = _programs.get(model)
    if known is not None and same_structure(known[0], structure) and known[1].is_current():
        return known[1]
    _check_free_variables(model)
    program = _build(model, whole, written or model, batching, latent)
    _programs[model] = (structure, program)
    return program


def _is_log(model: pm.Model, value: Variable) -> bool:
    transform = model.rvs_to_transforms[model.values_to_rvs[value]]
    return getattr(transform, "name", None) == "log"


def _check_free_variables(model: pm.Model) -> None:
    if not model.free_RVs:
        raise ValueError(
            "`model` must have a free variable to fit, got none.\n"
            "Hint: give a prior to at least one variable that is not observed."
        )
    discrete = [variable.name for variable in model.free_RVs if variable.dtype[0] not in "f"]
    if discrete:
        raise TypeError(
            f"`model` must have continuous free variables alone, got discrete {discrete}.\n"
            "Hint: sum discrete variables out (pymc_extras.marginalize), or use pm.sample."
        )


def _build(
    model: pm.Model,
    whole: bool,
    written: pm.Model,
    batching: tuple[int, str] | None,
    latent: LatentRows | None,
) -> Program:
    variables = (*model.basic_RVs, *model.potentials)
    each = _scaled_latent(_terms(model), variables, latent)
    constrained = {
        variable.name: variable
        for variable in model.unobserved_value_vars
        if variable.name not in {value.name for value in model.value_vars}
        or variable.name in {free.name for free in model.free_RVs}
    }
    numbers = [] if latent is None else [latent.numbers]
    roots = find_roots([*each, *constrained.values(), *numbers])
    of_latent = () if latent is None else latent.names
    are_latent = [model.values_to_rvs[value].name in of_latent for value in model.value_vars]
    values, latent_values = _parted(model.value_vars, are_latent)
    every_point = start_function(model, jitter=False)
    begin, latent_begin = _parted(every_point(0), are_latent)
    layout = _layout(model, values, [value.shape for value in begin])
    latent_layout = _layout(model, latent_values, [value.shape[1:] for value in latent_begin])

    names = [name for name in constrained if whole or not roots.change(constrained[name])]
    of_all_rows = whole and any(roots.change(variable) for variable in constrained.values())
    inputs = values + roots.inputs + latent_values
    terms = jax_function(inputs, each, roots.replacements)
    constrain = jax_function(
        inputs if of_all_rows else values + roots.inputs[len(roots.fed) :] + latent_values,
        [constrained[name] for name in names],
        roots.replacements,
    )
    term_names = [variable.name for variable in variables]
    take_rows = [
        takes_rows(term) or name in of_latent for name, term in zip(term_names, each, strict=True)
    ]
    of_rows = [
        takes and term.ndim > 0 and (variable.name in of_latent or _is_of_rows(model, variable))
        for variable, term, takes in zip(variables, each, take_rows, strict=True)
    ]
    potentials = {potential.name for potential in model.potentials}

    def arguments(position: Any, rows: Inputs) -> list[Any]:
        """Cut the position, and the last input where that is of latent variables."""
        if latent is None:
            return [*layout.split(position), *rows]
        return [*layout.split(position), *rows[:-1], *latent_layout.split(rows[-1])]

    def density(position: jax.Array, rows: Inputs, weights: Any = None) -> jax.Array:
        found = terms(*arguments(position, rows))
        if weights is not None:
            found = [
                jax.numpy.tensordot(weights, term, 1) if is_of_rows else term
                for term, is_of_rows in zip(found, of_rows, strict=True)
            ]
        return reduce(operator.add, map(jax.numpy.sum, found))

    @cache
    def interpreter(name: str | None) -> Any:
        asked = each if name is None else [each[term_names.index(name)]]
        return interpreted(inputs, _replaced(asked, roots.replacements))

    def interpreted_terms(
        position: NDArray[Any], rows: Inputs, name: str | None = None
    ) -> dict[str, NDArray[Any]]:
        with np.errstate(all="ignore"):
            found = interpreter(name)(*map(np.asarray, arguments(position, rows)))
        return dict(zip(term_names if name is None else [name], found, strict=True))

    return Program(
        layout=layout,
        fed=roots.fed,
        data=roots.data,
        counted=roots.counted,
        density=density,
        term_names=tuple(term_names),
        terms_of_rows=tuple(compress(term_names, of_rows)),
        takes_weights=of_rows == take_rows,
        potentials_of_batches=tuple(
            name
            for name, takes, is_of_rows in zip(term_names, take_rows, of_rows, strict=True)
            if takes and not is_of_rows and name in potentials
        ),
        terms=lambda position, rows: dict(
            zip(term_names, terms(*arguments(position, rows)), strict=True)
        ),
        interpreted_terms=interpreted_terms,
        constrain=lambda position, rows: dict(
            zip(names, constrain(*arguments(position, rows)), strict=True)
        ),
        whole=whole,
        constrains_rows=of_all_rows,
        point=lambda seed: _parted(every_point(seed), are_latent),
        lengths=roots.lengths,
        latent=latent,
        latent_layout=latent_layout,
        written=weakref.ref(written),
        batching=batching,
    )


def _parted[Part](parts: Sequence[Part], are_latent: list[bool]) -> tuple[list[Part], list[Part]]:
    """Part what is of the position from what is of latent variables of rows."""
    return list(compress(parts, [not one for one in are_latent])), list(compress(parts, are_latent))


def _layout(
    model: pm.Model, values: Sequence[Variable], shapes: Sequence[tuple[int, ...]]
) -> Layout:
    logs = tuple(_is_log(model, value) for value in values)
    return Layout(tuple(value.name for value in values), tuple(shapes), logs)


def _scaled_latent(
    terms: list[Variable], variables: Sequence[Variable], latent: LatentRows | None
) -> list[Variable]:
    """Scale the densities of latent variables of rows to all of the rows."""
    if latent is None:
        return terms
    count = NumRows(0)(storage_of(latent.numbers))
    return [
        term * (count / term.shape[0]).astype(term.dtype) if variable.name in latent.names else term
        for variable, term in zip(variables, terms, strict=True)
    ]


def _is_of_rows(model: pm.Model, variable: Any) -> bool:
    """Tell whether a variable that takes rows has a density for each of them."""
    if variable in model.observed_RVs:
        return is_fed(model.rvs_to_values[variable])
    return bool(getattr(variable.tag, "is_of_rows", False))


def _terms(model: pm.Model) -> list[Variable]:
    """Return the log density of each variable, or say which of them is not of the model."""
    try:
        return model.logp(sum=False)  # type: ignore[no-any-return]
    except ValueError:
        graphs = [*model.basic_RVs, *model.potentials]
        known = {*graphs, *model.deterministics}
        strange = {
            variable.name
            for variable in ancestors(graphs)
            if variable.owner is not None
            and isinstance(variable.owner.op, RandomVariable)
            and variable not in known
            and variable.name not in (None, *model.named_vars)
        }
        if not strange:
            raise
        raise ValueError(
            f"`model` must hold all random variables that it takes, got {sorted(strange)} of "
            "another model.\nHint: make them inside of this model, or fit the model that they are "
            "of."
        ) from None


def jax_function(
    inputs: Sequence[Variable],
    outputs: Sequence[Variable],
    replacements: Mapping[Variable, Variable],
) -> Callable[..., Sequence[jax.Array]]:
    """Turn graphs into a JAX function; without parameter checks, the impossible is nan or -inf."""
    graph = FunctionGraph(list(inputs), _replaced(outputs, replacements), clone=True)
    JAX_MODE.including("local_remove_check_parameter").optimizer.rewrite(graph)
    with warnings.catch_warnings():
        # Lengths that do not fit are met by the interpreter, which is asked before.
        warnings.filterwarnings("ignore", "Skipping Assert")
        return jax_funcify(graph)  # type: ignore[no-any-return]


def _replaced(
    outputs: Sequence[Variable], replacements: Mapping[Variable, Variable]
) -> list[Variable]:
    return clone_replace(list(outputs), dict(replacements), rebuild_strict=False)  # type: ignore[no-any-return]
