"""A Python iterator as a PyTensor variable: each evaluation of a graph takes the next item.

An item is copied once, so that no compiled function writes into memory that the iterator owns. The
first item is kept, since it gives the dtype and rank of the variable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import numpy as np
from pymc.data import MinibatchOp
from pytensor.compile.sharedvalue import shared
from pytensor.configdefaults import config
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.tensor.type import TensorType
from pytensor.tensor.variable import TensorVariable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike
    from pytensor.graph.basic import Variable
    from pytensor.graph.fg import FunctionGraph
    from pytensor.graph.op import OutputStorageType

    from bayou.containers.variables.dims import Numbers


class GeneratorAdapter:
    """An iterator of arrays of one dtype and rank, which are read from its first item.

    Iterating over the adapter gives all items in order, the first one included, each as a copy. Two
    adapters are equal only if they are the same object. An adapter pickles, with its position, if
    its iterator does.

    Parameters
    ----------
    generator : iterator of array_like
        Yields arrays, lists or numbers. Floats are cast to ``pytensor.config.floatX``; integers and
        booleans keep their dtype. The lengths of the axes may change from item to item.
    argument : str, default "generator"
        The argument that the iterator was passed as, for errors.

    Attributes
    ----------
    tensortype : pytensor.tensor.TensorType
        The type of an item: its dtype and rank, with all lengths unknown.
    first : ndarray
        The first item.
    generator : iterator of array_like
        The iterator, from its second item on.
    num_items : int
        The number of items that were taken.

    Raises
    ------
    TypeError
        If ``generator`` is no iterator or its items are no numbers. Later, from ``next``, if an
        item has another dtype or rank than the first.
    ValueError
        If ``generator`` yields nothing.

    Notes
    -----
    After the ``GeneratorAdapter`` of PyMC3.

    Examples
    --------
    >>> adapter = by.GeneratorAdapter(iter([[1, 2], [3, 4, 5]]))
    >>> adapter.tensortype.dtype, adapter.tensortype.ndim
    ('int64', 1)
    >>> [len(item) for item in adapter]
    [2, 3]
    """

    # The argument that the iterator was passed as, for errors.
    argument = "generator"

    def __init__(self, generator: Iterator[ArrayLike], *, argument: str = "generator") -> None:
        self.argument = argument
        if not hasattr(generator, "__next__"):
            raise TypeError(
                f"`{argument}` must be an iterator, got {type(generator).__name__}.\n"
                "Hint: call a generator function, or pass iter(items)."
            )
        try:
            first = _as_array(next(generator))
        except StopIteration:
            raise ValueError(
                f"`{argument}` must yield at least one item, got none.\n"
                "Hint: the first item gives the dtype and the rank; was the iterator used before?"
            ) from None
        self.generator = generator
        self.num_items = 0
        # The dtype before the cast to floatX: later items must have it too.
        self.item_dtype = first.dtype
        self.tensortype = TensorType(_tensor_dtype(first.dtype), shape=(None,) * first.ndim)
        self.first: Numbers = first.astype(self.tensortype.dtype)

    def __iter__(self) -> GeneratorAdapter:
        return self

    def __next__(self) -> Numbers:
        item = self.first if self.num_items == 0 else self._check(next(self.generator))
        self.num_items += 1
        return item.astype(self.tensortype.dtype)

    def _check(self, item: ArrayLike) -> Numbers:
        array = _as_array(item, self.item_dtype)
        if (array.dtype, array.ndim) != (self.item_dtype, self.first.ndim):
            raise TypeError(
                f"`{self.argument}` must yield items of one dtype and rank: item "
                f"{self.num_items + 1} has dtype {array.dtype} and rank {array.ndim}, item 1 has "
                f"dtype {self.item_dtype} and rank {self.first.ndim}.\n"
                f"Hint: yield numpy.asarray(item, dtype={self.item_dtype.name!r}) of one rank."
            )
        return array


class NextItem(Op):
    """The next item of an adapter, or a default after the last: no inputs, one output."""

    def __init__(self, adapter: GeneratorAdapter) -> None:
        # Without `__props__`, an operation equals itself alone: PyTensor merges the uses of one
        # variable, and never two generators.
        self.adapter = adapter
        self.default: Numbers | None = None
        self.itypes: list[TensorType] = []
        self.otypes = [adapter.tensortype]

    def perform(
        self, node: Apply[NextItem], inputs: Sequence[object], output_storage: OutputStorageType
    ) -> None:
        """Evaluate the operation."""
        output_storage[0][0] = self.take()

    def take(self) -> Numbers:
        """Return the next item, or the default after the last.

        Raises
        ------
        StopIteration
            After the last item, without a default.
        """
        try:
            return next(self.adapter)
        except StopIteration:
            if self.default is None:
                raise
            # A copy, as with every item: a compiled function may write into its inputs.
            return self.default.copy()

    def do_constant_folding(self, fgraph: FunctionGraph, node: Apply[NextItem]) -> bool:
        """Return False: an operation without inputs would pass for a constant."""
        return False


class GeneratorVariable(TensorVariable):
    """The next item of an iterator, as a variable that any PyTensor expression takes."""

    op: GeneratorOp

    def set_gen(self, gen: Iterator[ArrayLike]) -> None:
        """Replace the iterator.

        Parameters
        ----------
        gen : iterator of array_like
            Yields items of the same dtype and rank.

        Raises
        ------
        TypeError
            If ``gen`` is no iterator, or its first item has another dtype or rank. The old iterator
            stays then.
        """
        self.op.set_gen(gen)

    def set_default(self, value: ArrayLike | None) -> None:
        """Set the value of the variable once the iterator has ended.

        Parameters
        ----------
        value : array_like or None
            A value of the same dtype and rank. None makes the end a StopIteration again.

        Raises
        ------
        ValueError
            If ``value`` has another dtype or rank. The old default stays then.
        """
        self.op.set_default(value)

    def clone(self, **kwargs: object) -> GeneratorVariable:
        """Return a variable of the same type and iterator that depends on nothing.

        Parameters
        ----------
        **kwargs
            ``name``, the name of the copy; by default the same.
        """
        variable: GeneratorVariable = super().clone(**kwargs)
        variable.op = self.op
        return variable


class GeneratorOp(MinibatchOp):
    """An operation that yields the items of an iterator, opaque to PyMC.

    Call it without arguments for its variable. PyMC stores the input of a ``MinibatchOp`` as the
    observed data of a result; here that is the first item, so that storing takes no item.

    Parameters
    ----------
    adapter : GeneratorAdapter
        The iterator and the type of its items.
    default : array_like, optional
        The value once the iterator has ended. By default that raises StopIteration.
    """

    def __init__(self, adapter: GeneratorAdapter, default: ArrayLike | None = None) -> None:
        self.next_item = NextItem(adapter)
        super().__init__([adapter.tensortype()], [self.next_item()])
        self.first = shared(adapter.first, shape=adapter.tensortype.shape)
        self.set_default(default)

    @property
    def adapter(self) -> GeneratorAdapter:
        """The adapter of the current iterator."""
        return self.next_item.adapter

    def __call__(self) -> GeneratorVariable:
        """Return the variable, whose value is the next item at each evaluation."""
        return super().__call__(self.first)  # type: ignore[no-any-return]

    def make_node(self, *inputs: Variable) -> Apply[GeneratorOp]:
        """Apply the operation to the variable that holds the first item."""
        node: Apply[GeneratorOp] = super().make_node(*inputs)
        variable = GeneratorVariable(self.output_types[0], None, name="generator")
        variable.op = self
        # As in PyMC3, where code reads the shape of an item off it.
        variable.tag.test_value = self.adapter.first
        return Apply(self, node.inputs, [variable])

    def infer_shape(self, node: Apply[GeneratorOp], shapes: object) -> NoReturn:
        """Raise, so that PyTensor evaluates the item: inferring a shape would take a second one."""
        raise NotImplementedError

    def set_gen(self, gen: Iterator[ArrayLike]) -> None:
        """Replace the iterator, as :meth:`GeneratorVariable.set_gen` does."""
        adapter = _adapter(gen)
        old, new = self.adapter.tensortype, adapter.tensortype
        if new != old:
            raise TypeError(
                f"`gen` must yield items of dtype {old.dtype} and rank {old.ndim} like the "
                f"iterator before it, got dtype {new.dtype} and rank {new.ndim}.\n"
                "Hint: make a new variable with by.generator for items of another type."
            )
        self.next_item.adapter = adapter
        self.first.set_value(adapter.first)

    def set_default(self, value: ArrayLike | None) -> None:
        """Set or remove the default, as :meth:`GeneratorVariable.set_default` does."""
        if value is None:
            self.next_item.default = None
            return
        expected = self.adapter.tensortype
        array = _as_array(value, np.dtype(expected.dtype))
        if (_tensor_dtype(array.dtype), array.ndim) != (expected.dtype, expected.ndim):
            raise ValueError(
                f"`default` must have dtype {expected.dtype} and rank {expected.ndim} like the "
                f"items, got dtype {array.dtype} and rank {array.ndim}.\n"
                "Hint: pass one item, or None for a StopIteration at the end."
            )
        self.next_item.default = array.astype(expected.dtype)


def generator(gen: Iterator[ArrayLike], default: ArrayLike | None = None) -> GeneratorVariable:
    """Return a variable whose value is the next item of an iterator, at each evaluation.

    All uses of the variable in one compiled function see the same item. As ``observed=`` it needs
    ``total_size``, which scales the log-likelihood of an item to all of the data.

    Parameters
    ----------
    gen : iterator of array_like
        Yields items of one dtype and rank, of any lengths, as for :class:`GeneratorAdapter`. An
        iterable such as a list is passed as ``iter(items)``.
    default : array_like, optional
        The value after the iterator has ended. By default, evaluations then raise StopIteration.

    Returns
    -------
    GeneratorVariable
        Its ``set_gen(gen)`` replaces the iterator, and ``set_default(value)`` the default.

    Raises
    ------
    TypeError
        If ``gen`` is not an iterator, or its items are not numbers.
    ValueError
        If ``gen`` yields nothing, or ``default`` has another dtype or rank than the items.

    See Also
    --------
    bayou.Minibatch : Random rows of data that are in memory or in a source.

    Notes
    -----
    Modelled on the ``generator`` of PyMC3.

    Examples
    --------
    Two items, then the default:

    >>> batches = (np.full(3, step) for step in range(1, 3))
    >>> double = 2 * by.generator(batches, default=np.zeros(3, dtype=int))
    >>> [double.eval().tolist() for _ in range(3)]
    [[2, 2, 2], [4, 4, 4], [0, 0, 0]]
    """
    return GeneratorOp(_adapter(gen), default)()


def _adapter(gen: Iterator[ArrayLike]) -> GeneratorAdapter:
    return gen if isinstance(gen, GeneratorAdapter) else GeneratorAdapter(gen, argument="gen")


def _tensor_dtype(dtype: np.dtype) -> str:
    return config.floatX if dtype.kind == "f" else dtype.name


def _as_array(item: ArrayLike, expected: np.dtype | None = None) -> Numbers:
    """Return an item as an array.

    A list or a number has no dtype of its own: it becomes ``expected`` if that is exact, so that
    an iterator may yield [1.5] after [1.0, 2], or 2 after 1.5.
    """
    array = np.asarray(item)
    if array.dtype.kind not in "biufc" or np.ma.isMaskedArray(item):
        raise TypeError(
            "The items of a `generator` and its `default` must be numbers, got "
            f"{type(item).__name__} of dtype {array.dtype}.\n"
            "Hint: encode text and dates as numbers, and fill or drop masked values."
        )
    untyped = not hasattr(item, "dtype")
    # np.can_cast goes by the dtypes; whether a large integer survives, only its value tells.
    if untyped and expected is not None and np.can_cast(array.dtype, expected):
        with np.errstate(invalid="ignore"):
            cast = array.astype(expected)
            return cast if (cast.astype(array.dtype) == array).all() else array
    return array
