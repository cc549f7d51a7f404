"""The controller of ENAS: an LSTM that writes an architecture, one decision after the other.

    p(mix) = product over decisions of p(decision | all decisions before)

Pham, Guan, Zoph, Le and Dean, "Efficient Neural Architecture Search via Parameter Sharing", ICML 2018,
arXiv:1802.03268, section 2.4; melodyguan/enas `micro_controller.py`. Cell by cell and node by node: the sources of the
node's edges, by attention over the nodes before, where the cell keeps fewer than there are; then the operation of
every edge. Sources are chosen in ascending order and without repetition, so that a mix is one sequence of decisions
and its probability is exact; the original may choose the same source twice.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnas.architectures.topology import Cell, Space
from dnas.search import relax
from dnas.search.hypergrad import Policy
from dnas.types import Alphas, Clock, EvaluationMix, InitialAlphas, Mix, Relaxation, Tree


class Settings(NamedTuple):
    """Of the LSTM; its logits are bounded as in Bello et al. 2017, arXiv:1611.09940."""

    hidden: int = 64
    """Its width."""
    tanh: float = 1.1
    """Logits are tanh(logits) times this."""
    operations_tanh_reduce: float = 2.5
    """Those of operations are divided by this as well."""


class Question(NamedTuple):
    """A decision."""

    number: int
    kind: str
    """Of the cell."""
    edges: Any
    """To choose from; for an operation the one edge, possibly traced."""
    slot: int
    """Which of the node's choices it is; for an operation -1."""


Decide = Callable[[jax.Array, Question], jax.Array]  # logits [N] -> which of them


class Written(NamedTuple):
    """An architecture."""

    mix: Mix
    log_probability: jax.Array
    """Of its decisions."""
    entropy: jax.Array
    """The sum of their entropies."""


def initial(settings: Settings) -> InitialAlphas:
    """Parameters uniform in +-0.1, and a baseline of zero; the config's `initial_scale` is not used."""

    def alphas(space: Space, key: jax.Array, config: Any) -> Alphas:
        hidden, operations = settings.hidden, max(cell.mix_shape[1] for cell in space.cells.values())
        shapes = {
            "start": (hidden,),
            "lstm": (2 * hidden, 4 * hidden),
            "operation": (operations, hidden),
            "to_operation": (hidden, operations),
            "source_key": (hidden, hidden),
            "source_query": (hidden, hidden),
            "to_source": (hidden,),
        }
        keys = jax.random.split(key, len(shapes))
        controller = {
            name: jax.random.uniform(k, shape, minval=-0.1, maxval=0.1)
            for k, (name, shape) in zip(keys, shapes.items(), strict=True)
        }
        return {"controller": controller, "baseline": jnp.zeros(())}

    return alphas


def sample(space: Space, settings: Settings) -> Relaxation:
    """An architecture drawn from the controller, as a one-hot mix."""

    def relaxation(alphas: Alphas, key: jax.Array, clock: Clock) -> Mix:
        def decide(logits, question):
            return jax.random.categorical(jax.random.fold_in(key, question.number), logits)

        return jax.lax.stop_gradient(write(alphas["controller"], space, settings, decide).mix)

    return relaxation


def likeliest(space: Space, settings: Settings) -> EvaluationMix:
    """The architecture of the likeliest decisions, each given those before."""

    def evaluation_mix(alphas: Alphas, clock: Clock) -> Mix:
        return write(alphas["controller"], space, settings, lambda logits, _: logits.argmax()).mix

    return evaluation_mix


def policy(space: Space, settings: Settings) -> Policy:
    """(alphas, mix) -> log-probability of writing this mix, and the entropy of the decisions on the way."""

    def evaluate(alphas: Alphas, mix: Mix) -> tuple[jax.Array, jax.Array]:
        def decide(logits, question):
            rows = mix[question.kind][jnp.asarray(question.edges)]
            if question.slot < 0:
                return rows[: len(logits)].argmax()
            return (jnp.cumsum(rows.max(-1) > 0) == question.slot + 1).argmax()

        written = write(alphas["controller"], space, settings, decide)
        return written.log_probability, written.entropy

    return evaluate


def write(parameters: Tree, space: Space, settings: Settings, decide: Decide) -> Written:
    """Write an architecture, every decision by `decide`."""
    writer, mix = _Writer(parameters, settings, decide), {}
    for kind in sorted(space.cells):
        mix[kind] = _cell(writer, kind, space.cells[kind])
    return Written(mix, writer.log_probability, writer.entropy)


class _Writer:
    """The LSTM and what it has decided so far."""

    def __init__(self, parameters: Tree, settings: Settings, decide: Decide):
        self.parameters, self.settings, self.decide = parameters, settings, decide
        self.input = parameters["start"]
        self.cell = self.output = jnp.zeros_like(self.input)
        self.log_probability = self.entropy = jnp.zeros((), self.input.dtype)
        self.count = 0

    def step(self) -> jax.Array:
        """One step of the LSTM (gates: input, forget, output, candidate; no biases) -> its output [hidden]."""
        gates = jnp.concatenate([self.input, self.output]) @ self.parameters["lstm"]
        i, f, o, g = jnp.split(gates, 4)
        self.cell = jax.nn.sigmoid(f) * self.cell + jax.nn.sigmoid(i) * jnp.tanh(g)
        self.output = jax.nn.sigmoid(o) * jnp.tanh(self.cell)
        return self.output

    def choose(self, logits: jax.Array, allowed: jax.Array, kind: str, edges: Any, slot: int) -> jax.Array:
        """Decide among what is allowed, and count its probability."""
        logits = jnp.where(allowed, logits, -jnp.inf)
        choice = self.decide(logits, Question(self.count, kind, edges, slot))
        log_p = jax.nn.log_softmax(logits)
        self.count += 1
        self.log_probability += log_p[choice]
        self.entropy -= jnp.where(allowed, jnp.exp(log_p) * jnp.where(allowed, log_p, 0), 0).sum()
        return choice

    def source(self, anchors: list[jax.Array], keys: list[jax.Array], last, left: int, kind, edges, slot) -> jax.Array:
        """One of the incoming edges after the last one chosen, so that `left` more can follow."""
        query = self.step() @ self.parameters["source_query"]
        logits = jnp.tanh(jnp.stack(keys) + query) @ self.parameters["to_source"]
        position = jnp.arange(len(keys))
        allowed = (position > last) & (position < len(keys) - left)
        choice = self.choose(self.settings.tanh * jnp.tanh(logits), allowed, kind, edges, slot)
        self.input = jnp.stack(anchors)[choice]
        return choice

    def operation(self, kind: str, edge, allowed: jax.Array) -> jax.Array:
        """The operation of an edge, `allowed` [O]."""
        logits = (self.step() @ self.parameters["to_operation"])[: len(allowed)]
        scale = self.settings.tanh / self.settings.operations_tanh_reduce
        choice = self.choose(scale * jnp.tanh(logits), allowed, kind, edge, -1)
        self.input = self.parameters["operation"][choice]
        return choice


def _cell(writer: _Writer, kind: str, cell: Cell) -> jax.Array:
    """The mix [E, O] of one cell."""
    parameters = writer.parameters
    anchors, keys = list[jax.Array](), list[jax.Array]()

    def complete(is_input: bool) -> None:
        """A node is complete: what its readers see of it. The LSTM goes on from the start symbol."""
        output = writer.step()
        keys.append(output @ parameters["source_key"])
        anchors.append(jnp.zeros_like(output) if is_input else output)
        writer.input = parameters["start"]

    for _ in range(cell.inputs):
        complete(is_input=True)
    allowed = jnp.asarray(relax.allowed_operations(cell))
    mix = jnp.zeros(cell.mix_shape, writer.output.dtype)
    for node in cell.computed:
        incoming = np.array(cell.incoming(node))
        chosen = list(incoming)
        if cell.kept is not None and cell.kept < len(incoming):
            sources = [cell.edges[e][1] for e in incoming]
            last, chosen = jnp.int32(-1), []
            for slot in range(cell.kept):
                seen = [anchors[s] for s in sources], [keys[s] for s in sources]
                last = writer.source(*seen, last, cell.kept - slot - 1, kind, incoming, slot)
                chosen.append(jnp.asarray(incoming)[last])
        for edge in chosen:
            mix = mix.at[edge, writer.operation(kind, edge, allowed[edge])].set(1)
        complete(is_input=False)
    return mix
