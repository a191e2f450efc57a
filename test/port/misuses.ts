/**
 * Calls that the port refuses: what is wrong with each, and the error's name. One list for all implementations.
 */
import type { FathomErrorCode } from "../../engine/errors.ts";
import type { BranchOptions, Row, RowInput, SequenceOptions } from "../../engine/port/backend.ts";
import { OPTIONS, type Scene } from "./scene.ts";

export interface Misuse {
  readonly name: string;
  readonly code: FathomErrorCode;
  /** undefined: this implementation has no such call. */
  call(scene: Scene): unknown;
}

const misuse = (name: string, call: Misuse["call"], code: FathomErrorCode = "invalid_request"): Misuse => ({ name, call, code });

function opening(what: string, options: Partial<SequenceOptions>, code?: FathomErrorCode): Misuse {
  return misuse(`openSequence with ${what}`, ({ backend }) => backend.openSequence({ ...OPTIONS, ...options }), code);
}

const OPENINGS: readonly Misuse[] = [
  opening("no capacity", { capacity: 0, rows: 1 }),
  opening("half a position", { capacity: 2.5 }),
  opening("a capacity that is no number", { capacity: NaN }),
  opening("more positions than the context has", { capacity: 33 }, "context_overflow"),
  opening("iterations below zero", { maxIterations: -1 }),
  opening("half an iteration", { maxIterations: 1.5 }),
  opening("endless iterations", { maxIterations: Infinity }),
  opening("no rows", { rows: 0 }),
  opening("more rows than positions", { rows: 9 }),
  opening("half a prompt", { prompt: 0.5 }),
  opening("a prompt longer than the sequence", { prompt: 9 }),
];

const CHAIN = {
  token: 1,
  maxTokens: 2,
  exit: { criterion: "none", threshold: 0 },
  stopTokens: new Set<number>(),
  warmStart: "off",
  initialState: () => undefined,
} as const;

function branching(what: string, options: Partial<BranchOptions>, code?: FathomErrorCode): Misuse {
  return misuse(`branch with ${what}`, ({ backend, family }) => backend.branch(family.branch, { capacity: 4, ...options }), code);
}

const BRANCHES: readonly Misuse[] = [
  branching("no capacity", { capacity: 0 }),
  branching("half a position", { capacity: 1.5 }),
  branching("more positions than the context has behind its parent", { capacity: 31 }, "context_overflow"),
  branching("no rows", { rows: 0 }),
  branching("more rows than positions of its own", { rows: 5 }),
  branching("a prompt longer than itself", { prompt: 5 }),
  misuse("branch of a closed sequence", ({ backend, closed }) => backend.branch(closed.sequence, { capacity: 1 })),
  misuse("branch of another backend's sequence", ({ backend, foreign }) => backend.branch(foreign.sequence, { capacity: 1 })),
  misuse("closeSequence of a sequence with branches", ({ backend, family }) => backend.closeSequence(family.parent)),
  misuse("truncate of a sequence with branches", ({ backend, family }) => backend.truncate(family.parent, 0)),
  misuse("truncate of a branch to less than its parent has", ({ backend, family }) => backend.truncate(family.branch, 0)),
  misuse("prelude of a sequence with branches", ({ backend, family }) => backend.prelude([{ sequence: family.parent, token: 1 }])),
  misuse("prelude of a branch and its parent", ({ backend, family }) =>
    backend.prelude([family.branch, family.parent].map((sequence) => ({ sequence, token: 1 }))),
  ),
  misuse(
    "prelude of more tokens than a branch has positions for",
    ({ backend, family }) => backend.prelude([1, 2, 3].map((token) => ({ sequence: family.branch, token }))),
    "context_overflow",
  ),
  misuse("prelude of more rows in flight than a branch was opened for", ({ backend, family }) =>
    backend.prelude([1, 2].map((token) => ({ sequence: family.branch, token }))),
  ),
  misuse("openChain at a sequence with branches", ({ backend, family }) => backend.openChain?.({ ...CHAIN, row: family.rows[0] })),
];

function entering(what: string, inputs: (scene: Scene) => RowInput[], code?: FathomErrorCode): Misuse {
  return misuse(`prelude with ${what}`, (scene) => scene.backend.prelude(inputs(scene)), code);
}

const state = (length: number, value = 1): Float32Array => new Float32Array(length).fill(value);

const INPUTS: readonly Misuse[] = [
  entering("a token below zero", ({ sequence }) => [{ sequence, token: -1 }], "token_out_of_range"),
  entering("a token behind the vocabulary", ({ sequence }) => [{ sequence, token: 24 }], "token_out_of_range"),
  entering("half a token", ({ sequence }) => [{ sequence, token: 1.5 }], "token_out_of_range"),
  entering("a token that is no number", ({ sequence }) => [{ sequence, token: NaN }], "token_out_of_range"),
  entering("good tokens and a bad one", ({ sequence }) => [1, 2, 3, 99].map((token) => ({ sequence, token })), "token_out_of_range"),
  entering(
    "good tokens of one sequence and a bad one of another",
    ({ sequence, other }) => [
      { sequence, token: 1 },
      { sequence: other.sequence, token: 2 },
      { sequence: other.sequence, token: 24 },
    ],
    "token_out_of_range",
  ),
  entering(
    "more tokens than the sequence has positions for",
    ({ sequence }) => [1, 2, 3, 4, 5].map((token) => ({ sequence, token })),
    "context_overflow",
  ),
  entering("more rows in flight than the sequence was opened for", ({ sequence }) => [1, 2, 3].map((token) => ({ sequence, token }))),
  entering("a state that is too short", ({ sequence }) => [{ sequence, token: 1, state: state(31) }]),
  entering("a state that is too long", ({ sequence }) => [{ sequence, token: 1, state: state(33) }]),
  entering("an empty state", ({ sequence }) => [
    { sequence, token: 1 },
    { sequence, token: 1, state: state(0) },
  ]),
  entering("a state of NaN", ({ sequence }) => [{ sequence, token: 1, state: state(32, NaN) }]),
  entering("an infinite state", ({ sequence }) => [{ sequence, token: 1, state: state(32, -Infinity) }]),
  entering("a closed sequence", ({ closed }) => [{ sequence: closed.sequence, token: 1 }]),
  entering("another backend's sequence", ({ foreign }) => [{ sequence: foreign.sequence, token: 1 }]),
  entering("its own and another backend's sequence", ({ sequence, foreign }) =>
    [sequence, sequence, foreign.sequence].map((s) => ({ sequence: s, token: 1 })),
  ),
];

/** Rows that no call takes. */
const BAD_ROWS: readonly [what: string, rows: (scene: Scene) => Row[]][] = [
  ["a released row", ({ released }) => [released]],
  ["a good row and a released one", ({ rows, released }) => [rows[1], released]],
  ["a closed sequence's row", ({ closed }) => [closed.row]],
  ["another backend's row", ({ foreign }) => [foreign.row]],
  ["its own and another backend's row", ({ rows, foreign }) => [rows[1], rows[2], foreign.row]],
  ["a row twice", ({ rows }) => [rows[1], rows[2], rows[1]]],
  ["the copy of a row", ({ rows }) => [{ ...rows[1], sequence: rows[1].sequence, position: 1, token: 1, iterations: 0 }]],
];

/** Calls that take rows. */
const ROW_CALLS: readonly [name: string, call: (scene: Scene, rows: readonly Row[]) => unknown][] = [
  ["iterate", ({ backend }, rows) => backend.iterate(rows)],
  ["measure", ({ backend }, rows) => backend.measure(rows)],
  ["readout", ({ backend }, rows) => backend.readout(rows, [])],
  ["argmax", ({ backend }, rows) => backend.argmax?.(rows, [])],
  ["pressure", ({ backend }, rows) => backend.pressure?.(rows, new Float32Array(8))],
  ["attention", ({ backend }, rows) => backend.attention?.(rows)],
];

const ROWS: readonly Misuse[] = ROW_CALLS.flatMap(([name, call]) =>
  BAD_ROWS.map(([what, rows]) => misuse(`${name} of ${what}`, (scene) => call(scene, rows(scene)))),
);

/** Calls that take one row. */
const ONE_ROW: readonly Misuse[] = BAD_ROWS.filter(([what]) => !what.includes("and") && !what.includes("twice")).flatMap(([what, rows]) => [
  misuse(`latent of ${what}`, (scene) => scene.backend.latent(rows(scene)[0]!, "raw")),
  misuse(`normalised latent of ${what}`, (scene) => scene.backend.latent(rows(scene)[0]!, "normalised")),
  misuse(`embedded of ${what}`, (scene) => scene.backend.embedded?.(rows(scene)[0]!)),
  misuse(`setEmbedded of ${what}`, (scene) => scene.backend.setEmbedded?.(rows(scene)[0]!, state(32))),
  misuse(`headInput of ${what}`, (scene) => scene.backend.headInput?.(rows(scene)[0]!)),
  misuse(`openChain at ${what}`, (scene) => scene.backend.openChain?.({ ...CHAIN, row: rows(scene)[0]! })),
]);

const DEPTH: readonly Misuse[] = [
  misuse("iterate of a row that has run all its iterations", ({ backend, rows }) => backend.iterate([rows[0]])),
  misuse("iterate of rows of which the last has run all its iterations", ({ backend, rows }) =>
    backend.iterate([rows[1], rows[2], rows[0]]),
  ),
  misuse("iterate of a row that does not find its keys", ({ backend, strict }) => backend.iterate([strict.rows[1]]), "missing_cache"),
  misuse(
    "iterate of rows of which the last does not find its keys",
    ({ backend, rows, strict }) => backend.iterate([rows[1], rows[2], strict.rows[1]]),
    "missing_cache",
  ),
];

const READOUTS: readonly Misuse[] = (["readout", "argmax"] as const).flatMap((call) => [
  misuse(`${call} with a head that is not among the rows`, ({ backend, rows }) => backend[call]?.([rows[0], rows[1]], [rows[2]])),
  misuse(`${call} with a released head`, ({ backend, rows, released }) => backend[call]?.([rows[0]], [released])),
  misuse(`${call} with another backend's head`, ({ backend, rows, foreign }) => backend[call]?.([rows[0]], [foreign.row])),
  misuse(`${call} with a head twice`, ({ backend, rows }) => backend[call]?.([rows[0], rows[1]], [rows[1], rows[1]])),
  misuse(`${call} with heads and no rows`, ({ backend, rows }) => backend[call]?.([], [rows[0]])),
]);

const TOKENS: readonly Misuse[] = [-1, 24, 1.5, NaN].map((token) =>
  misuse(
    `readout of the logits of token ${token}`,
    ({ backend, rows }) => backend.readout([rows[0]], [rows[0]], [1, token]),
    "token_out_of_range",
  ),
);

const ATTENTION: readonly Misuse[] = [
  misuse("pressure where attention is not kept", ({ backend, other }) => backend.pressure?.([other.row], new Float32Array(8))),
  misuse("pressure of what did not move far enough", ({ backend, rows }) => backend.pressure?.(rows, new Float32Array(2))),
  misuse("attention where it is not kept", ({ backend, other }) => backend.attention?.([other.row])),
];

const ENDS: readonly Misuse[] = [
  misuse("truncate behind which rows are in flight", ({ backend, sequence }) => backend.truncate(sequence, 2)),
  misuse("truncate to nothing while rows are in flight", ({ backend, sequence }) => backend.truncate(sequence, 0)),
  misuse("truncate below zero", ({ backend, sequence }) => backend.truncate(sequence, -1)),
  misuse("truncate in the middle of a position", ({ backend, sequence }) => backend.truncate(sequence, 3.5)),
  misuse("truncate to no number", ({ backend, sequence }) => backend.truncate(sequence, NaN)),
  misuse("truncate of a closed sequence", ({ backend, closed }) => backend.truncate(closed.sequence, 0)),
  misuse("truncate of another backend's sequence", ({ backend, foreign }) => backend.truncate(foreign.sequence, 0)),
  misuse("closeSequence of another backend's sequence", ({ backend, foreign }) => backend.closeSequence(foreign.sequence)),
  misuse("release of another backend's row", ({ backend, foreign }) => backend.release([foreign.row])),
  misuse("release of its own and another backend's row", ({ backend, rows, foreign }) => backend.release([...rows, foreign.row])),
];

const INSPECTION: readonly Misuse[] = [
  misuse("setEmbedded of another width", ({ backend, rows }) => backend.setEmbedded?.(rows[1], state(31))),
  misuse("setEmbedded of NaN", ({ backend, rows }) => backend.setEmbedded?.(rows[1], state(32, NaN))),
  misuse("headInput of a row that was no head", ({ backend, rows }) => backend.headInput?.(rows[1])),
  misuse("cached of a closed sequence", ({ backend, closed }) => backend.cached?.(closed.sequence, 0, 0)),
  misuse("cachedSlots of another backend's sequence", ({ backend, foreign }) => backend.cachedSlots?.(foreign.sequence)),
  misuse("cached of a slot that was never written", ({ backend, sequence }) => backend.cached?.(sequence, 3, 1), "missing_cache"),
  misuse("cached of a position that there is not", ({ backend, sequence }) => backend.cached?.(sequence, 0, 4), "missing_cache"),
  misuse("openChain at a row that is not its sequence's last", ({ backend, rows }) => backend.openChain?.({ ...CHAIN, row: rows[1] })),
  misuse("a call wider than the backend takes", ({ backend, rows }) =>
    Number.isFinite(backend.maxRows) ? backend.measure(Array.from({ length: backend.maxRows + 1 }, () => rows[0])) : undefined,
  ),
];

export const MISUSES: readonly Misuse[] = [
  ...OPENINGS,
  ...BRANCHES,
  ...INPUTS,
  ...ROWS,
  ...ONE_ROW,
  ...DEPTH,
  ...READOUTS,
  ...TOKENS,
  ...ATTENTION,
  ...ENDS,
  ...INSPECTION,
];
