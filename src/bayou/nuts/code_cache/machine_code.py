"""Machine code of Numba's C functions as bytes, and back, in this process or in a later one.

Code runs in an engine of its own, also in the process that compiled it: in Numba's engine, parts
that were compiled before take the place of its own, and round otherwise. So a seed has the same
draws in each process.
"""

from __future__ import annotations

import ctypes
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import llvmlite.binding as llvm
from numba.core.registry import cpu_target
from numba.core.runtime import rtsys

from bayou.nuts.code_cache.library_symbols import add_symbols

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, eq=False)
class MachineFunction:
    """A C function, which lives as long as this.

    Attributes
    ----------
    engine : llvmlite ExecutionEngine
        What holds its code.
    address : int
        Where its code is.
    num_sizes : int
        The number of its leading arguments that are sizes; pointers follow, up to ``num_pointers``.
    """

    engine: Any
    address: int
    num_sizes: int
    num_pointers: int

    @cached_property
    def ctypes(self) -> Any:
        """The function for `ctypes`."""
        pointers = [ctypes.POINTER(ctypes.c_double)] * (self.num_pointers - 1)
        sizes = [ctypes.c_uint64] * self.num_sizes
        table = ctypes.POINTER(ctypes.c_void_p)
        return ctypes.CFUNCTYPE(ctypes.c_int64, *sizes, *pointers, table)(self.address)


def pack_functions(functions: Sequence[Any]) -> bytes | None:
    """Return the machine code of C functions of Numba; None if it only runs in this process.

    Parameters
    ----------
    functions : sequence of numba CFunc
    """
    entries, codes = [], []
    for function in functions:
        library = function._library
        module = library._final_module
        # Addresses of this process, or numbers that are elsewhere.
        if library.has_dynamic_globals or any(
            variable.is_declaration for variable in module.global_variables
        ):
            return None
        needed = [declared.name for declared in module.functions if declared.is_declaration]
        needed = [name for name in needed if not name.startswith("llvm.")]
        _, _, (code, _) = library.serialize_using_object_code()
        arguments = [str(argument) for argument in function._sig.args]
        entries.append(
            {
                "name": function.native_name,
                "needed": needed,
                "length": len(code),
                "num_sizes": arguments.count("uint64"),
                "num_pointers": len(arguments) - arguments.count("uint64"),
            }
        )
        codes.append(code)
    return json.dumps(entries).encode() + b"\n" + b"".join(codes)


def load_functions(content: bytes) -> tuple[MachineFunction, ...] | None:
    """Return the C functions of packed code; None if this process lacks what they call."""
    header, _, rest = content.partition(b"\n")
    entries = json.loads(header)
    # Numba's memory management; LLVM would end the process where a name is missing.
    rtsys.initialize(cpu_target.target_context)
    add_symbols()
    needed = {name for entry in entries for name in entry["needed"]}
    if any(llvm.address_of_symbol(name) is None for name in needed):
        return None
    functions = []
    for entry in entries:
        code, rest = rest[: entry["length"]], rest[entry["length"] :]
        target = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine()
        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        address = engine.get_function_address(entry["name"])
        functions.append(
            MachineFunction(engine, address, entry["num_sizes"], entry["num_pointers"])
        )
    return tuple(functions)
