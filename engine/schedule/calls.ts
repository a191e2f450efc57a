/**
 * Makes one call of the backend from portions of jobs, and gives each job its part of what came back.
 */
import type { Backend, MaybePromise, Row, RowInput } from "../port/backend.ts";
import { logitsOf } from "../port/measure.ts";
import type { Job, JobKind, Portion } from "./job.ts";

/** Runs the portions, all of one kind, in one call. */
export const RUN: Readonly<Record<JobKind, (backend: Backend, portions: readonly Portion[]) => MaybePromise<void>>> = {
  async prelude(backend, portions) {
    const rows = await backend.prelude(portions.flatMap(({ job, from, to }) => job.rows.slice(from, to) as RowInput[]));
    let at = 0;
    for (const { job, from, to } of portions) {
      job.made.push(...rows.slice(at, at + to - from));
      at += to - from;
    }
  },
  iterate: (backend, portions) => backend.iterate(portions.flatMap(({ job, from, to }) => job.rows.slice(from, to) as Row[])),
  async readout(backend, portions) {
    const { rows, heads, owners } = headsOf(portions);
    const tokens = wantedBy(portions);
    const logits = await backend.readout(rows, heads, tokens);
    heads.forEach((head, i) => owners[i]!.logits.set(head, entriesFor(owners[i]!, logits[i]!, tokens)));
  },
  async argmax(backend, portions) {
    const { rows, heads, owners } = headsOf(portions);
    const tokens = await backend.argmax!(rows, heads);
    heads.forEach((head, i) => owners[i]!.tokens.set(head, tokens[i]!));
  },
};

/** The tokens whose logits any job of a call wants; undefined = all. */
function wantedBy(portions: readonly Portion[]): readonly number[] | undefined {
  const [first] = portions;
  if (portions.every(({ job }) => job.only === first!.job.only)) return first!.job.only;
  if (portions.some(({ job }) => job.only === undefined)) return undefined;
  return [...new Set(portions.flatMap(({ job }) => job.only!))];
}

/** A job's part of what a call brought for `tokens`. */
function entriesFor({ only }: Job, logits: Float32Array, tokens: readonly number[] | undefined): Float32Array {
  return only === undefined || only === tokens
    ? logits
    : logitsOf(logits, tokens === undefined ? only : only.map((t) => tokens.indexOf(t)));
}

/** Rows of the portions, the heads among them, and whose those are. */
function headsOf(portions: readonly Portion[]): { readonly rows: Row[]; readonly heads: Row[]; readonly owners: Job[] } {
  const [rows, heads, owners]: [Row[], Row[], Job[]] = [[], [], []];
  for (const { job, from, to } of portions) {
    const part = job.rows.slice(from, to) as Row[];
    rows.push(...part);
    for (const head of job.heads)
      if (part.includes(head)) {
        heads.push(head);
        owners.push(job);
      }
  }
  return { rows, heads, owners };
}
