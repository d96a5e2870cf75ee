"""A Python iterator as a PyTensor variable: each evaluation takes the next item.

An evaluation costs the item and one copy of it, so that nobody writes into the iterator's memory;
the first item is kept, since it gives the type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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

    from numpy.typing import ArrayLike, NDArray


class GeneratorAdapter:
    """An iterator of arrays of one dtype and rank, its type read off the first item.

    The order is kept and the first item is not lost. Two adapters are equal only if they are the
    same object. An adapter pickles, position included, if its iterator does.

    Parameters
    ----------
    generator : iterator of array_like
        Yields arrays, lists or numbers. Floats are cast to ``pytensor.config.floatX``, integers
        and booleans keep their dtype; the lengths of the axes may change from item to item.

    Attributes
    ----------
    tensortype : pytensor.tensor.TensorType
        The type of an item, all lengths unknown.
    first : ndarray
        The first item.

    Raises
    ------
    TypeError
        If ``generator`` is no iterator or its items are no numbers; later on, from ``next``, if
        the dtype or the rank of an item differs from those of the first.
    ValueError
        If ``generator`` yields nothing.

    Notes
    -----
    Brings back the GeneratorAdapter of PyMC3.

    Examples
    --------
    >>> adapter = by.GeneratorAdapter(iter([[1, 2], [3, 4, 5]]))
    >>> adapter.tensortype.dtype, adapter.tensortype.ndim
    ('int64', 1)
    >>> [len(item) for item in adapter]
    [2, 3]
    """

    def __init__(self, generator: Iterator[ArrayLike]) -> None:
        if not hasattr(generator, "__next__"):
            raise TypeError(
                f"`generator` must be an iterator, got {type(generator).__name__}.\n"
                "Hint: call a generator function, or pass iter(items)."
            )
        try:
            first = _as_array(next(generator))
        except StopIteration:
            raise ValueError(
                "`generator` must yield at least one item, got none.\n"
                "Hint: the first item gives the dtype and the rank; was the iterator used before?"
            ) from None
        self.generator = generator
        self.num_items = 0
        self.item_dtype = first.dtype
        self.tensortype = TensorType(_tensor_dtype(first.dtype), shape=(None,) * first.ndim)
        self.first: NDArray[Any] = first.astype(self.tensortype.dtype)

    def __iter__(self) -> GeneratorAdapter:
        return self

    def __next__(self) -> NDArray[Any]:
        item = self.first if self.num_items == 0 else self._check(next(self.generator))
        self.num_items += 1
        return item.astype(self.tensortype.dtype)

    def _check(self, item: ArrayLike) -> NDArray[Any]:
        array = _as_array(item, self.item_dtype)
        if (array.dtype, array.ndim) != (self.item_dtype, self.first.ndim):
            raise TypeError(
                f"`generator` must yield items of one dtype and rank: item {self.num_items + 1} "
                f"has dtype {array.dtype} and rank {array.ndim}, item 1 has dtype "
                f"{self.item_dtype} and rank {self.first.ndim}.\n"
                f"Hint: yield numpy.asarray(item, dtype={self.item_dtype.name!r}) of one rank."
            )
        return array


class NextItem(Op):
    """Takes the next item of an adapter, at the end the default: no inputs, one output."""

    def __init__(self, adapter: GeneratorAdapter) -> None:
        self.adapter = adapter
        self.default: NDArray[Any] | None = None
        self.itypes: list[Any] = []
        self.otypes = [adapter.tensortype]

    def perform(
        self, node: Apply[Any], inputs: Sequence[Any], output_storage: list[list[Any]]
    ) -> None:
        """Evaluate the operation."""
        output_storage[0][0] = self.take()

    def take(self) -> NDArray[Any]:
        """Return the next item, the default after the last, or raise StopIteration."""
        try:
            return next(self.adapter)
        except StopIteration:
            if self.default is None:
                raise
            return self.default.copy()

    def do_constant_folding(self, fgraph: Any, node: Apply[Any]) -> bool:
        """Refuse to be folded: an operation without inputs looks constant."""
        return False


class GeneratorVariable(TensorVariable[Any, Any]):
    """The next item of an iterator, as a variable that any PyTensor expression takes."""

    op: GeneratorOp

    def set_gen(self, gen: Iterator[ArrayLike]) -> None:
        """Take the items of another iterator from now on.

        Parameters
        ----------
        gen : iterator of array_like
            Yields items of the same dtype and rank.

        Raises
        ------
        TypeError
            If ``gen`` is no iterator, or the dtype or the rank of its first item differs; the old
            iterator stays.
        """
        self.op.set_gen(gen)

    def set_default(self, value: ArrayLike | None) -> None:
        """Yield a value once the iterator has ended.

        Parameters
        ----------
        value : array_like or None
            A value of the same dtype and rank; None brings StopIteration back.

        Raises
        ------
        ValueError
            If the dtype or the rank of ``value`` differs; the old default stays.
        """
        self.op.set_default(value)

    def clone(self, **kwargs: Any) -> GeneratorVariable:
        """Return a variable of the same iterator, without an owner, its tags copied.

        Parameters
        ----------
        **kwargs
            ``name``, the name of the copy; by default the same.
        """
        variable: GeneratorVariable = super().clone(**kwargs)
        variable.op = self.op
        return variable


class GeneratorOp(MinibatchOp):
    """Items of an iterator, opaque to PyMC: call it without arguments to get the variable.

    PyMC reads the observed data of a model off the input of an operation of this kind. That input
    is the first item, so storing results takes no item from the iterator.

    Parameters
    ----------
    adapter : GeneratorAdapter
        Where the items come from.
    default : array_like, optional
        Yielded once the iterator has ended; by default that is a StopIteration.
    """

    def __init__(self, adapter: GeneratorAdapter, default: ArrayLike | None = None) -> None:
        self.next_item = NextItem(adapter)
        super().__init__([adapter.tensortype()], [self.next_item()])
        self.first = shared(adapter.first, shape=adapter.tensortype.shape)
        self.set_default(default)

    @property
    def adapter(self) -> GeneratorAdapter:
        """The adapter that the items come from now."""
        return self.next_item.adapter

    def __call__(self) -> GeneratorVariable:
        """Return a variable that yields the next item at each evaluation."""
        return super().__call__(self.first)  # type: ignore[no-any-return]

    def make_node(self, *inputs: Any) -> Apply[Any]:
        """Apply the operation to the variable that holds the first item."""
        node: Apply[Any] = super().make_node(*inputs)
        variable = GeneratorVariable(self.output_types[0], None, name="generator")
        variable.op = self
        variable.tag.test_value = self.adapter.first
        return Apply(self, node.inputs, [variable])

    def infer_shape(self, node: Apply[Any], shapes: Any) -> Any:
        """Leave the shape to the item: inferring it would take a second one."""
        raise NotImplementedError

    def set_gen(self, gen: Iterator[ArrayLike]) -> None:
        """Take the items of another iterator, see :meth:`GeneratorVariable.set_gen`."""
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
        """Set or remove the default, see :meth:`GeneratorVariable.set_default`."""
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
    """Return a variable that yields the next item of an iterator at each evaluation.

    Two uses of the variable in one compiled function see the same item. As ``observed`` it needs
    ``total_size``, which scales the log-likelihood of an item to all of the data.

    Parameters
    ----------
    gen : iterator of array_like
        Yields items of one dtype and rank, of any lengths: see :class:`GeneratorAdapter`.
    default : array_like, optional
        What to yield once the iterator has ended; without it, evaluating raises StopIteration.

    Returns
    -------
    GeneratorVariable
        A variable with ``set_gen(gen)`` and ``set_default(value)``.

    Raises
    ------
    TypeError
        If ``gen`` is no iterator or its items are no numbers.
    ValueError
        If ``gen`` yields nothing, or the dtype or the rank of ``default`` differs.

    Notes
    -----
    Brings back the generator of PyMC3.

    Examples
    --------
    >>> batches = (np.full(3, step) for step in range(2))
    >>> double = 2 * by.generator(batches, default=np.zeros(3, dtype=int))
    >>> [double.eval().tolist() for _ in range(3)]
    [[0, 0, 0], [2, 2, 2], [0, 0, 0]]
    """
    return GeneratorOp(_adapter(gen), default)()


def _adapter(gen: Iterator[ArrayLike]) -> GeneratorAdapter:
    return gen if isinstance(gen, GeneratorAdapter) else GeneratorAdapter(gen)


def _tensor_dtype(dtype: np.dtype[Any]) -> str:
    return config.floatX if dtype.kind == "f" else dtype.name


def _as_array(item: ArrayLike, expected: np.dtype[Any] | None = None) -> NDArray[Any]:
    """Return an item as an array; Python's own numbers become ``expected`` where that is exact."""
    array = np.asarray(item)
    if array.dtype.kind not in "biufc" or np.ma.isMaskedArray(item):
        raise TypeError(
            "The items of a `generator` and its `default` must be numbers, got "
            f"{type(item).__name__} of dtype {array.dtype}.\n"
            "Hint: encode text and dates as numbers, and fill or drop masked values."
        )
    untyped = not hasattr(item, "dtype")
    if untyped and expected is not None and np.can_cast(array.dtype, expected):
        with np.errstate(invalid="ignore"):
            cast = array.astype(expected)
            return cast if (cast.astype(array.dtype) == array).all() else array
    return array
