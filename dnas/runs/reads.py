"""What a function's code reads of its surroundings, from its bytecode."""

import dis
import inspect
import itertools
import types
from functools import cache

from dnas.runs.known import Chain, Unknown

DOORS = {  # attributes from which everything can be reached
    *("__globals__", "__builtins__", "__subclasses__", "__loader__", "__spec__", "__self__", "__import__"),
    *("f_globals", "f_locals", "f_builtins", "f_back", "gi_frame", "cr_frame", "ag_frame", "tb_frame"),
}


@cache
def reads(code: types.CodeType) -> tuple[tuple[str, str, Chain], ...]:
    """What code, and the code inside it, reads of its surroundings: where from, by which name, and how far through it.

    From a "cell" of its closure, a "global", an "import", or from its first argument, "self". Errors: `Unknown`.
    """
    texts = {constant for constant in code.co_consts if type(constant) is str}
    for door in sorted(DOORS & (texts | set(code.co_names))):
        raise Unknown(f"{door} leads to everything")
    found: set[tuple[str, str, Chain]] = set()
    first = code.co_varnames[0] if code.co_argcount else ""
    cells = {*code.co_cellvars, *code.co_freevars}
    lines = [line for line in dis.get_instructions(code) if line.opname != "EXTENDED_ARG"]
    for i, line in enumerate(lines):
        names = line.argval if isinstance(line.argval, tuple) else (line.argval,)
        after = list(itertools.takewhile(lambda one: one.opname in ("LOAD_ATTR", "LOAD_METHOD"), lines[i + 1 :]))
        chain = tuple(one.argval for one in after)
        if line.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"):
            if (code.co_name, line.argval) != ("__hash__", "hash"):  # there, it only finds things in tables
                found.add(("global", line.argval, chain))
        elif line.opname == "IMPORT_NAME":
            found |= _imports(line.argval, lines[i - 2 : i], lines[i + 1 :])
        elif "DEREF" in line.opname and line.argval in code.co_freevars:
            found.add(("cell", line.argval, chain))
        elif first in names and ("DEREF" if first in cells else "FAST") in line.opname:
            follower = lines[i + 1].opname if i + 1 < len(lines) else ""
            if follower not in ("STORE_ATTR", "DELETE_ATTR"):
                precise = names[-1] == first and line.opname.startswith("LOAD")
                found.add(("self", first, chain if precise else ()))
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            for where, name, read in reads(inner):
                if where in ("global", "import") or where == "cell" and name in code.co_freevars:
                    found.add((where, name, read))
                elif where == "cell" and name == first:
                    found.add(("self", name, read))
    if {"super", "locals", "vars"} & set(code.co_names):  # which read `self` unseen
        found.add(("self", first, ()))
    return tuple(sorted(found))


def _imports(name: str, before: list[dis.Instruction], after: list[dis.Instruction]) -> set[tuple[str, str, Chain]]:
    """What an import statement takes from a module: some names, or the module."""
    if before and before[0].argval:
        raise Unknown(f"a relative import, {name}")
    taken = set[tuple[str, str, Chain]]()
    for line in after:
        if line.opname == "IMPORT_FROM":
            taken.add(("import", name, (line.argval,)))
        elif not taken or not line.opname.startswith("STORE"):
            break
    return taken or {("import", name, ())}


def parameters(code: types.CodeType) -> int:
    """How many parameters a function has, `*args` and `**options` counted as one."""
    variable = code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
    return code.co_argcount + code.co_kwonlyargcount + variable
