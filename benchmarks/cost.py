"""FLOP and bytes of one execution of a program, loops included: XLA's `cost_analysis` counts their inside once.

FLOP: two for each multiply-add of the convolutions and matrix products of the traced program. Bytes: what every
operation of the compiled program reads and writes outside of caches and registers, a fusion counted as one operation.
"""

import math
import re
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr

BYTES = {"pred": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "bf16": 2, "f16": 2, "s64": 8, "u64": 8, "f64": 8, "c64": 8}
FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all"}
TYPE = re.compile(r"(\w+)\[([\d,]*)\]")
HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
LINE = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = (.+?) ([\w\-]+)\((.*)$")
INSIDE = re.compile(r"(?:body|to_apply|true_computation|false_computation)=%?([\w.\-]+)")
TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')


def flops(jaxpr: Any) -> int:
    """FLOP of a jaxpr; loops of unknown length count once, of branches the costliest counts."""
    total = 0
    for equation in jaxpr.eqns:
        name, settings = equation.primitive.name, equation.params
        if name == "dot_general":
            (axes, _), _ = settings["dimension_numbers"]
            contracted = math.prod(equation.invars[0].aval.shape[axis] for axis in axes)
            total += 2 * equation.outvars[0].aval.size * contracted
        elif name == "conv_general_dilated":
            kernel, numbers = equation.invars[1].aval, settings["dimension_numbers"]
            taps = kernel.size // kernel.shape[numbers.rhs_spec[0]]  # of one output channel
            total += 2 * equation.outvars[0].aval.size * taps
        elif name == "cond":
            total += max(flops(branch.jaxpr) for branch in settings["branches"])
        else:
            inner = sum(flops(getattr(p, "jaxpr", p)) for p in settings.values() if isinstance(p, Jaxpr | ClosedJaxpr))
            total += inner * (settings["length"] if name == "scan" else 1)
    return total


def bytes_accessed(text: str) -> int:
    """Bytes of a compiled program, from `compiled.as_text()`; loops of unknown length count once."""
    computations: dict[str, list[tuple[str, str, str, str]]] = {}
    entry, current = "", []
    for line in text.splitlines():
        if head := HEAD.match(line):
            current = computations.setdefault(head[2], [])
            entry = head[2] if head[1] else entry
        elif found := LINE.match(line):
            current.append(found.groups())

    def total(name: str) -> int:
        sizes = {result: size(kind) for result, kind, _, _ in computations.get(name, ())}
        return sum(cost(sizes, *line) for line in computations.get(name, ()))

    def cost(sizes: dict[str, int], result: str, kind: str, operation: str, rest: str) -> int:
        if operation in ("while", "call", "conditional"):
            trips = TRIPS.search(rest)
            return sum(map(total, INSIDE.findall(rest))) * (int(trips[1]) if trips else 1)
        if operation in FREE:
            return 0
        written = sizes[result]
        read = [sizes[operand] for operand in re.findall(r"%([\w.\-]+)", rest) if operand in sizes]
        if "dynamic-update-slice" in f"{result} {operation}":  # in place: only the slice moves
            return 2 * sum(bytes for bytes in read if bytes != written)
        if "dynamic-slice" in f"{result} {operation}":
            return 2 * written
        return written + sum(read)

    return total(entry)


def size(kind: str) -> int:
    """Bytes of a type, as in "f32[2,3]{1,0}" or a tuple of such."""
    shapes = [(name, [int(length) for length in dims.split(",") if length]) for name, dims in TYPE.findall(kind)]
    return sum(BYTES.get(name, 4) * math.prod(dims) for name, dims in shapes)
