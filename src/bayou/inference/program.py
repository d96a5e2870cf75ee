"""A PyMC model as pure JAX functions of a position and of the rows that feed it.

Containers become inputs, so that new data are new arguments and compile nothing as long as their
shapes stay; transforms, Jacobians and the scaling by total_size are PyMC's own. PyTensor's and
PyMC's internals that this takes are touched in this file alone.
"""

from __future__ import annotations

import hashlib
import operator
import weakref
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import pytensor.tensor as pt
from pymc.data import MinibatchOp
from pytensor.compile.mode import JAX as JAX_MODE
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors, walk
from pytensor.link.jax.dispatch import jax_funcify
from pytensor.printing import debugprint
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.random.op import RandomVariable

from bayou.containers.generator import GeneratorOp
from bayou.containers.resident import resident_of
from bayou.containers.rows import SliceOp
from bayou.inference.start import interpreted, start_function

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pymc as pm
    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    from bayou.sampling.axes import AxisSample

# Arrays of NumPy or JAX, in the order of a program's inputs.
type Inputs = tuple[Any, ...]


@dataclass(frozen=True)
class Layout:
    """Where each free variable lies in the flat position."""

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    logs: tuple[bool, ...]

    @property
    def is_log(self) -> NDArray[np.bool_]:
        """Tell which elements are logs of what the model speaks of, shape (size,)."""
        return np.repeat(np.array(self.logs, dtype=bool), self.sizes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of elements of each variable."""
        return tuple(int(np.prod(shape)) for shape in self.shapes)

    @property
    def size(self) -> int:
        """The length of the position."""
        return sum(self.sizes)

    def split(self, position: Any) -> list[Any]:
        """Cut a flat position, shape (..., size), into the variables, shapes (..., *shape)."""
        edges = np.cumsum(self.sizes)[:-1]
        return [
            position[..., end - size : end].reshape((*position.shape[:-1], *shape))
            for end, size, shape in zip([*edges, self.size], self.sizes, self.shapes, strict=True)
        ]


@dataclass(frozen=True, eq=False)
class Program:
    """A model as JAX functions; ``inputs`` are the arrays of ``fed``, then those of ``data``.

    Attributes
    ----------
    layout : Layout
        The free variables, transformed to the real line, within the flat position.
    fed : tuple of TensorVariable
        What changes from step to step: minibatches, those sampled alike side by side, and
        generators.
    data : tuple of SharedVariable
        What stays through a fit: the values of the containers.
    density : callable
        (position of shape (size,), inputs) -> log density, Jacobians and scaling included; as a
        third argument takes weights of shape (num_rows,), by which each row counts.
    takes_weights : bool
        Whether rows enter in the leading axis of what observes them alone, so that it can do so.
    potentials_of_rows : tuple of str
        The potentials that take fed rows: of one batch, scaled by hand if at all.
    terms : callable
        (position, inputs) -> dict of name -> log density of each variable, unsummed.
    interpreted_terms : callable
        As ``terms``, without a compiler, on arrays of NumPy.
    constrain : callable
        (position, data) -> dict of name -> value, in the space of the model, for the free variables
        and the deterministics that depend on no fed rows.
    point : callable
        seed -> the values of the free variables at the start, in the order of the layout.
    lengths : tuple of (SharedVariable, int)
        The whole numbers that are held as constants.
    fingerprint : str
        Differs between models, whatever their data.
    compiled : dict
        Functions compiled for this program, kept by those who compile them.
    """

    layout: Layout
    fed: tuple[TensorVariable, ...]
    data: tuple[SharedVariable, ...]
    density: Callable[..., jax.Array]
    takes_weights: bool
    potentials_of_rows: tuple[str, ...]
    terms: Callable[[jax.Array, Inputs], dict[str, jax.Array]]
    interpreted_terms: Callable[[NDArray[Any], Inputs], dict[str, NDArray[Any]]]
    constrain: Callable[[jax.Array, Inputs], dict[str, jax.Array]]
    point: Callable[[int], list[NDArray[Any]]]
    lengths: tuple[tuple[SharedVariable, int], ...]
    fingerprint: str
    compiled: dict[Any, Callable[..., Any]] = field(default_factory=dict, repr=False)

    def is_current(self) -> bool:
        """Tell whether the lengths that it was built with are still those of the model."""
        lengths = all(int(variable.get_value()) == value for variable, value in self.lengths)
        if not lengths:
            return False
        return tuple(value.shape for value in self.point(0)) == self.layout.shapes

    def start(self, seed: int) -> NDArray[Any]:
        """Return a position to start from, shape (size,)."""
        return np.concatenate([np.ravel(value) for value in self.point(seed)])

    def data_values(self) -> Inputs:
        """Return the present values of the data containers."""
        return tuple(jax.numpy.asarray(variable.get_value(borrow=True)) for variable in self.data)


_programs: weakref.WeakKeyDictionary[pm.Model, tuple[tuple[Any, ...], Program]] = (
    weakref.WeakKeyDictionary()
)


def compile_program(model: pm.Model) -> Program:
    """Return the program of a model; the same one until the model's structure changes.

    Parameters
    ----------
    model : pymc.Model
        A model with continuous free variables alone.

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
    sources = _sources(model)
    known = _programs.get(model)
    if (
        known is not None
        and len(known[0]) == len(sources)
        and all(map(_same, known[0], sources))
        and known[1].is_current()
    ):
        return known[1]
    _check_free_variables(model)
    program = _build(model)
    _programs[model] = (sources, program)
    return program


def _sources(model: pm.Model) -> tuple[Any, ...]:
    """List what a program is made from."""
    variables = (*model.basic_RVs, *model.potentials, *model.deterministics)
    values = (
        part
        for variable in variables
        for part in (
            model.rvs_to_values.get(variable),
            model.rvs_to_transforms.get(variable),
            model.rvs_to_initial_values.get(variable),
        )
    )
    return (*variables, *values)


def _fingerprint(terms: Sequence[Variable], values: Sequence[Variable]) -> str:
    text = debugprint(terms, file="str", print_type=True)
    names = [value.name for value in values]
    return hashlib.sha256(f"{names}\n{text}".encode()).hexdigest()[:32]


def _is_log(model: pm.Model, value: Variable) -> bool:
    transform = model.rvs_to_transforms[model.values_to_rvs[value]]
    return getattr(transform, "name", None) == "log"


def _same(old: Any, new: Any) -> bool:
    return old is new or (isinstance(old, float | int | str) and old == new)


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


def _build(model: pm.Model) -> Program:
    each = _terms(model)
    constrained = {
        variable.name: variable
        for variable in model.unobserved_value_vars
        if variable.name not in {value.name for value in model.value_vars}
        or variable.name in {free.name for free in model.free_RVs}
    }
    roots = _roots([*each, *constrained.values()])
    fixed = {root: pt.constant(root.get_value()) for root in roots if _fixed(root)}
    places = _placeholders([root for root in roots if root not in fixed])
    firsts = {place: root for root, place in reversed(places.items())}
    fed = _grouped([root for root in reversed(firsts.values()) if _changes(root)])
    data = tuple(root for root in reversed(firsts.values()) if not _changes(root))
    replacements = places | fixed
    values = list(model.value_vars)
    inputs = [places[root] for root in (*fed, *data)]
    point = start_function(model, jitter=False)
    layout = Layout(
        tuple(value.name for value in values),
        tuple(value.shape for value in point(0)),
        tuple(_is_log(model, value) for value in values),
    )
    names = [
        name
        for name, variable in constrained.items()
        if not _depends_on(variable, set(places) - set(data))
    ]
    terms = jax_function(values + inputs, each, replacements)
    constrain = jax_function(
        values + inputs[len(fed) :], [constrained[name] for name in names], replacements
    )
    term_names = [variable.name for variable in (*model.basic_RVs, *model.potentials)]
    fed_terms = [any(map(_changes, _roots([term]))) for term in each]
    of_rows = _terms_of_rows(model, each, fed_terms)

    def density(position: jax.Array, rows: Inputs, weights: Any = None) -> jax.Array:
        found = terms(*layout.split(position), *rows)
        if weights is not None:
            assert of_rows is not None
            found = [
                weights @ term if is_of_rows else term
                for term, is_of_rows in zip(found, of_rows, strict=True)
            ]
        return reduce(operator.add, map(jax.numpy.sum, found))

    def interpreted_terms(position: NDArray[Any], rows: Inputs) -> dict[str, NDArray[Any]]:
        evaluate = interpreted(values + inputs, _replaced(each, replacements))
        with np.errstate(all="ignore"):
            found = evaluate(*layout.split(position), *map(np.asarray, rows))
        return dict(zip(term_names, found, strict=True))

    return Program(
        layout=layout,
        fed=fed,
        data=tuple(root.owner.inputs[0] if root.owner else root for root in data),
        density=density,
        takes_weights=of_rows is not None,
        potentials_of_rows=tuple(
            name
            for name, is_fed in zip(term_names, fed_terms, strict=True)
            if is_fed and name in {potential.name for potential in model.potentials}
        ),
        terms=lambda position, rows: dict(
            zip(term_names, terms(*layout.split(position), *rows), strict=True)
        ),
        interpreted_terms=interpreted_terms,
        constrain=lambda position, rows: dict(
            zip(names, constrain(*layout.split(position), *rows), strict=True)
        ),
        point=point,
        lengths=tuple((root, int(root.get_value())) for root in fixed),
        fingerprint=_fingerprint(each, values),
    )


def _terms_of_rows(
    model: pm.Model, terms: Sequence[Variable], fed: list[bool]
) -> list[bool] | None:
    """Tell which terms have a value for each row fed; None if another one depends on rows too."""
    variables = (*model.basic_RVs, *model.potentials)
    observing = [
        variable in model.observed_RVs and term.ndim > 0 and is_fed(model.rvs_to_values[variable])
        for variable, term in zip(variables, terms, strict=True)
    ]
    return observing if fed == observing else None


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


def _roots(graphs: Sequence[Variable]) -> list[Variable]:
    """Find what feeds the graphs: slices, generators and shared values, clones of each included."""

    def inputs_of(variable: Variable) -> list[Variable]:
        return [] if variable.owner is None or _is_fed(variable) else variable.owner.inputs

    roots = []
    for variable in walk(list(graphs), inputs_of, bfs=False):
        if _is_fed(variable) or isinstance(variable, SharedVariable):
            roots.append(variable)
        elif variable.owner is not None and isinstance(variable.owner.op, MinibatchOp):
            raise TypeError(
                f"`model` must hold minibatches of bayou, got pm.Minibatch {variable}.\n"
                "Hint: make it with by.Minibatch(data, batch_size)."
            )
    return roots


def _placeholders(roots: Sequence[Variable]) -> dict[Variable, Variable]:
    """Give each root a variable in its place; clones of one slice share theirs."""
    by_node: dict[Any, Variable] = {}
    places = {}
    for root in roots:
        node = (root.owner.op, *root.owner.inputs) if root.owner else root
        places[root] = by_node.setdefault(node, root.type(name=root.name))
    return places


def _grouped(roots: list[TensorVariable]) -> tuple[TensorVariable, ...]:
    """Bring the roots that are sampled alike together, each group where its first root was."""
    groups: dict[Any, list[TensorVariable]] = {}
    for root in roots:
        groups.setdefault(group_of(root), []).append(root)
    return tuple(root for group in groups.values() for root in group)


def sampling_of(variable: TensorVariable) -> tuple[AxisSample, ...]:
    """Return how the axes of a minibatch are sampled; nothing for a generator."""
    return getattr(variable.owner.op, "samples", ())


def group_of(variable: TensorVariable) -> Any:
    """Return what variables that are fed the same rows by one feed have in common."""
    samples = sampling_of(variable)
    if not samples:
        return id(variable)
    resident = resident_of(storage_of(variable))
    return samples, None if resident is None else id(resident.column.source)


def storage_of(variable: TensorVariable) -> SharedVariable:
    """Return the data that a minibatch is a slice of; of a generator, its first item."""
    return variable.owner.inputs[0]


def is_fed(variable: Variable) -> bool:
    """Tell whether a variable, or what it is a cast of, is a minibatch or a generator of bayou."""
    while variable.owner is not None and isinstance(variable.owner.op, Elemwise):
        variable = variable.owner.inputs[0]
    return _is_fed(variable)


def _is_fed(variable: Variable) -> bool:
    return variable.owner is not None and isinstance(variable.owner.op, SliceOp | GeneratorOp)


def _changes(variable: Variable) -> bool:
    """Tell whether a root changes from step to step; a slice of no axis is all of its data."""
    return _is_fed(variable) and getattr(variable.owner.op, "samples", None) != ()


def _fixed(variable: Variable) -> bool:
    """Whole numbers without axes are lengths and sizes, which JAX needs while it compiles."""
    return (
        isinstance(variable, SharedVariable)
        and variable.type.ndim == 0
        and variable.type.dtype.startswith(("int", "uint"))
    )


def _depends_on(variable: Variable, others: set[Variable]) -> bool:
    return any(ancestor in others for ancestor in ancestors([variable]))


def jax_function(
    inputs: Sequence[Variable],
    outputs: Sequence[Variable],
    replacements: dict[Variable, Variable],
) -> Callable[..., Sequence[jax.Array]]:
    """Turn graphs into a JAX function; without parameter checks, the impossible is nan or -inf."""
    graph = FunctionGraph(list(inputs), _replaced(outputs, replacements), clone=True)
    JAX_MODE.including("local_remove_check_parameter").optimizer.rewrite(graph)
    return jax_funcify(graph)  # type: ignore[no-any-return]


def _replaced(
    outputs: Sequence[Variable], replacements: dict[Variable, Variable]
) -> list[Variable]:
    return clone_replace(list(outputs), replacements, rebuild_strict=False)  # type: ignore[no-any-return]
