"""From a model to its program, which is built once and again when the model changes."""

from __future__ import annotations

import weakref
from dataclasses import replace
from functools import cache, partial
from itertools import compress
from typing import TYPE_CHECKING

from bayou.containers.variables.random_rows import NumRows
from bayou.density.flat_position import Layout
from bayou.density.graph_traits import may_have_local_optima
from bayou.density.jax_function import (
    gradients_may_be_lost,
    jax_function,
    replaced,
    with_graph_gradients,
)
from bayou.density.program import Program, ProgramFunctions, ProgramOptions, Term
from bayou.density.unsupported import compile_named
from bayou.models.initial_point import StartCandidates
from bayou.models.inputs import find_inputs, has_row_mark, is_fed, storage_of, takes_rows
from bayou.models.interpret import compile_interpreter
from bayou.models.log_density import log_density_terms, log_elements
from bayou.models.random_variables import check_simulators
from bayou.models.rewrite import (
    same_structure,
    structure_of,
    terms_without_sparse,
    without_sparse,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import jax
    import numpy as np
    import pymc as pm
    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable

    from bayou.density.program import LatentRows
    from bayou.models.rewrite import Structure

type _Known = dict[ProgramOptions, tuple[Structure, Program]]

# By model, and by all else that a program depends on: with what the model was made of then.
_programs: weakref.WeakKeyDictionary[pm.Model, _Known] = weakref.WeakKeyDictionary()


def compile_program(
    model: pm.Model,
    *,
    feeds_all_rows: bool = False,
    written: pm.Model | None = None,
    batching: tuple[int, str] | None = None,
    latent: LatentRows | None = None,
    graph_gradients: bool = False,
) -> Program:
    """Return the program of a model; the same one until the model's structure changes.

    Parameters
    ----------
    model : pymc.Model
        A model with continuous free variables alone.
    feeds_all_rows : bool, default False
        Whether its minibatches stand for all of their data.
    written : pymc.Model, optional
        The model as the user wrote it, if ``model`` is a rewrite of that.
    batching : tuple of int and str, optional
        The size of the batches that it was brought into, and their dim.
    latent : LatentRows, optional
        Its free variables of rows.
    graph_gradients : bool, default False
        Whether gradients are those that PyTensor derives, not JAX's own.

    Returns
    -------
    Program

    Raises
    ------
    TypeError
        If a free variable is discrete, a variable is simulated, JAX cannot compile an operation, or
        the model holds a minibatch that bayou cannot feed.
    ValueError
        If the model has no free variable, or takes a random variable of another model.
    """
    options = ProgramOptions(
        weakref.ref(written or model), feeds_all_rows, batching, latent, graph_gradients
    )
    return _program_of(model, options)


def compile_graph_gradients(model: pm.Model, program: Program) -> Program:
    """Return the program of a model with the gradients that PyTensor derives."""
    return _program_of(model, replace(program.options, graph_gradients=True))


def compile_like(model: pm.Model, program: Program) -> Program:
    """Return the program of a rewrite of the model of a program, with the options of that."""
    return _program_of(model, program.options)


def _program_of(model: pm.Model, options: ProgramOptions) -> Program:
    # Parts are compared by identity, which costs next to nothing beside a build.
    structure = structure_of(model)
    known = _programs.setdefault(model, {})
    if options in known:
        old_structure, program = known[options]
        if same_structure(old_structure, structure) and program.is_current():
            return program
    check_simulators(model)
    check_free_variables(model)
    program = _build(model, options)
    known[options] = (structure, program)
    return program


def check_free_variables(model: pm.Model) -> None:
    """Check that a model has free variables, and only continuous ones.

    Raises
    ------
    ValueError
        If it has none.
    TypeError
        If one is discrete.
    """
    if not model.free_RVs:
        raise ValueError(
            "`model` must have a free variable, got none.\n"
            "Hint: give a prior to at least one variable that is not observed."
        )
    discrete = [variable.name for variable in model.free_RVs if variable.dtype[0] not in "f"]
    if discrete:
        raise TypeError(
            f"`model` must have only continuous free variables, got discrete {discrete}.\n"
            "Hint: sum discrete variables out (pymc_extras.marginalize), or use pm.sample."
        )


def _build(model: pm.Model, options: ProgramOptions) -> Program:
    model = without_sparse(model)
    latent = options.latent
    latent_names = () if latent is None else latent.names
    variables = (*model.basic_RVs, *model.potentials)
    terms = terms_without_sparse(log_density_terms(model))
    terms = _scale_latent(terms, variables, latent)
    constrained = _constrained_variables(model)
    # Nothing in the density depends on the row numbers, but a fit takes latent variables by them.
    row_numbers = [] if latent is None else [latent.numbers]
    graph_inputs = find_inputs([*terms, *constrained.values(), *row_numbers])
    replacements = graph_inputs.replacements

    is_latent = [model.values_to_rvs[value].name in latent_names for value in model.value_vars]
    candidates = StartCandidates(model, jitter=False)

    def start(
        seed: int, attempt: int = 0
    ) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
        return _divide(candidates(seed, attempt=attempt), is_latent)

    values, latent_values = _divide(model.value_vars, is_latent)
    first, latent_first = start(0)

    # Deterministics of a batch are no result of a fit; those of all rows are, and so are variables
    # with a value for each row, whose bounds may be rows too.
    names = [
        name
        for name, variable in constrained.items()
        if options.feeds_all_rows or name in latent_names or not graph_inputs.vary(variable)
    ]
    of_rows = frozenset(name for name in names if graph_inputs.vary(constrained[name]))
    takes_rows = bool(of_rows)
    fed = graph_inputs.inputs[: len(graph_inputs.fed)]
    rest = graph_inputs.inputs[len(graph_inputs.fed) :]
    arguments = [*values, *fed, *rest, *latent_values]

    takes_gradients = [*values, *latent_values]
    by_name = {variable.name: term for variable, term in zip(variables, terms, strict=True)}
    function = compile_named(arguments, by_name, replacements, are_densities=True)
    if options.graph_gradients:
        function = with_graph_gradients(function, arguments, terms, replacements, takes_gradients)

    def compile_term(name: str) -> Callable[..., Sequence[jax.Array]]:
        return jax_function(arguments, [by_name[name]], replacements)

    def compile_terms(name: str | None) -> Callable[..., list[NDArray[np.floating]]]:
        asked = terms if name is None else [by_name[name]]
        return compile_interpreter(arguments, replaced(asked, replacements))

    return Program(
        options=options,
        graph_inputs=graph_inputs,
        layout=_layout(model, values, [value.shape for value in first]),
        # The leading axis of latent variables is that of the rows.
        latent_layout=_layout(model, latent_values, [value.shape[1:] for value in latent_first]),
        summands=tuple(
            _term(model, variable, term, latent_names)
            for variable, term in zip(variables, terms, strict=True)
        ),
        functions=ProgramFunctions(
            terms=function,
            compile_interpreter=compile_terms,
            compile_term=compile_term,
            constrain=compile_named(
                arguments if takes_rows else [*values, *rest, *latent_values],
                {name: constrained[name] for name in names},
                replacements,
            ),
            constrained_names=tuple(names),
            constrained_of_rows=of_rows,
            start=start,
            may_have_local_optima=cache(partial(may_have_local_optima, terms)),
            may_lose_gradients=cache(
                partial(gradients_may_be_lost, arguments, terms, replacements, takes_gradients)
            ),
        ),
    )


def _constrained_variables(model: pm.Model) -> dict[str, Variable]:
    """Return the free variables, in the space of the model, and the deterministics by name."""
    values = {value.name for value in model.value_vars}
    free = {variable.name for variable in model.free_RVs}
    return {
        variable.name: variable
        for variable in model.unobserved_value_vars
        # PyMC lists transformed values too. An untransformed one has the name of its variable.
        if variable.name not in values or variable.name in free
    }


def _term(model: pm.Model, variable: Variable, term: Variable, latent_names: Sequence[str]) -> Term:
    is_latent = variable.name in latent_names
    takes = takes_rows(term) or is_latent
    return Term(
        name=variable.name,
        takes_rows=takes,
        has_row_axis=takes and term.ndim > 0 and (is_latent or _is_of_rows(model, variable)),
        is_potential=variable in model.potentials,
    )


def _is_of_rows(model: pm.Model, variable: Variable) -> bool:
    """Return whether a variable that takes rows has a density for each of them."""
    if variable in model.observed_RVs:
        return is_fed(model.rvs_to_values[variable])
    return has_row_mark(variable)


def _divide[Item](items: Sequence[Item], is_latent: list[bool]) -> tuple[list[Item], list[Item]]:
    """Divide items of all variables into those of the position and of latent variables of rows."""
    in_position = [not flag for flag in is_latent]
    return list(compress(items, in_position)), list(compress(items, is_latent))


def _layout(
    model: pm.Model, values: Sequence[Variable], shapes: Sequence[tuple[int, ...]]
) -> Layout:
    logs = tuple(
        log_elements(model, value, shape) for value, shape in zip(values, shapes, strict=True)
    )
    return Layout(tuple(value.name for value in values), tuple(shapes), logs)


def _scale_latent(
    terms: list[Variable], variables: Sequence[Variable], latent: LatentRows | None
) -> list[Variable]:
    """Scale the densities of latent variables of rows from a batch to all rows."""
    if latent is None:
        return terms
    num_rows = NumRows(0)(storage_of(latent.numbers))
    return [
        term * (num_rows / term.shape[0]).astype(term.dtype)
        if variable.name in latent.names
        else term
        for variable, term in zip(variables, terms, strict=True)
    ]
