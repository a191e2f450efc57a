/**
 * A tree of token runs, computed as a family of branches, or, where it is a single line, as one plain sequence: the same
 * calls in the same order, so that their numbers can be compared.
 */
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import type { Row, Sequence } from "../../engine/port/backend.ts";
import { startState } from "../kernels/compute.ts";
import type { PortBackend } from "./scene.ts";

/** Tokens behind those of the node above, each with the iterations that it runs. */
export interface Node {
  readonly name: string;
  readonly tokens: readonly number[];
  readonly depths: readonly number[];
  readonly branches?: readonly Node[];
}

export interface RunOptions {
  readonly cache: string;
  /** after: every node is finished before those below begin. beside: all nodes' rows iterate in the same calls. */
  readonly mode: "after" | "beside";
  /** One sequence for all nodes, which are a line. [default false: a branch for each] */
  readonly isPlain?: boolean;
  /** Rows of a call in reverse. [default false] */
  readonly isBackward?: boolean;
}

/** All that comes out of a node: states, movements, pressures, attention, logits. */
export interface Outcome {
  readonly numbers: readonly (readonly number[])[];
}

const CAPACITY = 16;
const ITERATIONS = 5;

/** The node of a name, with the way to it from the root and nothing beside. */
export function lineTo(root: Node, name: string): Node {
  const below = root.branches?.find((branch) => namesOf(branch).includes(name));
  if (root.name === name || below === undefined) return { ...root, branches: [] };
  return { ...root, branches: [lineTo(below, name)] };
}

export function namesOf(root: Node): string[] {
  return [root.name, ...(root.branches ?? []).flatMap(namesOf)];
}

/** A node with its sequence and rows. */
interface Begun {
  readonly node: Node;
  readonly sequence: Sequence;
  readonly rows: readonly Row[];
}

export async function runTree(backend: PortBackend, root: Node, run: RunOptions): Promise<Map<string, Outcome>> {
  const outcomes = new Map<string, Outcome>();
  const sequence = openRoot(backend, run);
  await runBelow(backend, root, sequence, run, outcomes);
  backend.closeSequence(sequence);
  return outcomes;
}

/** As `runTree`, with the root's sequence left open. */
export async function runAndKeep(backend: PortBackend, root: Node, run: RunOptions): Promise<Sequence> {
  const sequence = openRoot(backend, run);
  await runBelow(backend, root, sequence, run, new Map());
  return sequence;
}

function openRoot(backend: PortBackend, { cache }: RunOptions): Sequence {
  const attention = backend.pressure !== undefined;
  return backend.openSequence({ capacity: CAPACITY, maxIterations: ITERATIONS, cache: parseCacheStrategy(cache), attention });
}

async function runBelow(
  backend: PortBackend,
  root: Node,
  sequence: Sequence,
  run: RunOptions,
  outcomes: Map<string, Outcome>,
): Promise<void> {
  const opened: Sequence[] = [];
  if (run.mode === "after") await runAfter(backend, root, sequence, run, outcomes, opened);
  else {
    const begun: Begun[] = [];
    await begin(backend, root, sequence, run, opened, begun);
    await finish(backend, begun, run, outcomes);
  }
  for (const branch of opened.toReversed()) backend.closeSequence(branch);
}

async function runAfter(
  backend: PortBackend,
  node: Node,
  sequence: Sequence,
  run: RunOptions,
  outcomes: Map<string, Outcome>,
  opened: Sequence[],
): Promise<void> {
  await finish(backend, [{ node, sequence, rows: await enter(backend, node, sequence) }], run, outcomes);
  for (const branch of node.branches ?? [])
    await runAfter(backend, branch, openBelow(backend, branch, sequence, run, opened), run, outcomes, opened);
}

async function begin(
  backend: PortBackend,
  node: Node,
  sequence: Sequence,
  run: RunOptions,
  opened: Sequence[],
  begun: Begun[],
): Promise<void> {
  begun.push({ node, sequence, rows: await enter(backend, node, sequence) });
  for (const branch of node.branches ?? [])
    await begin(backend, branch, openBelow(backend, branch, sequence, run, opened), run, opened, begun);
}

function openBelow(backend: PortBackend, node: Node, parent: Sequence, { isPlain }: RunOptions, opened: Sequence[]): Sequence {
  if (isPlain === true) return parent;
  const branch = backend.branch(parent, { capacity: node.tokens.length, attention: backend.pressure !== undefined });
  opened.push(branch);
  return branch;
}

function enter(backend: PortBackend, { tokens }: Node, sequence: Sequence): Promise<Row[]> | Row[] {
  const { length } = sequence;
  return backend.prelude(tokens.map((token, i) => ({ sequence, token, state: startState(backend.config.width, length + i) })));
}

/** Runs every row as deep as its node says, reads all out, and lets them go. */
async function finish(
  backend: PortBackend,
  begun: readonly Begun[],
  { isBackward }: RunOptions,
  outcomes: Map<string, Outcome>,
): Promise<void> {
  const all = begun.flatMap(({ node, rows }) => rows.map((row, i) => ({ row, depth: node.depths[i]! })));
  const inOrder = (rows: Row[]): Row[] => (isBackward === true ? rows.toReversed() : rows);
  for (let t = 0; t < ITERATIONS; t++) await backend.iterate(inOrder(all.filter(({ depth }) => depth > t).map(({ row }) => row)));
  const rows = inOrder(all.map(({ row }) => row));
  const logits = await backend.readout(rows, rows);
  for (const { node, rows: own } of begun) {
    const numbers = own.map((row) => [...logits[rows.indexOf(row)]!]);
    for (const row of own) numbers.push([...(await backend.latent(row, "raw"))]);
    for (const { distance, norm, previousNorm, dot } of await backend.measure(own)) numbers.push([distance, norm, previousNorm, dot]);
    if (backend.pressure !== undefined) numbers.push([...(await backend.pressure(own, moved(own)))]);
    if (backend.attention !== undefined) for (const weights of await backend.attention(own)) numbers.push([...weights]);
    outcomes.set(node.name, { numbers });
  }
  backend.release(rows);
}

function moved(rows: readonly Row[]): Float32Array {
  return Float32Array.from({ length: Math.max(...rows.map(({ position }) => position)) + 1 }, (_, p) => 1 + (p % 3));
}
