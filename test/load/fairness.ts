/**
 * Whether callers without deadlines were served alike: over any stretch in which two of them both wait for work, what the
 * one got beyond the other stays bounded.
 */

/** What a request got of one call, and when that call ended. */
export interface Service {
  readonly id: number;
  readonly ms: number;
  readonly atMs: number;
}

/** A time in which a request of a flow was waiting or being served. */
export interface Stay {
  readonly flow: string;
  readonly id: number;
  readonly fromMs: number;
  readonly toMs: number;
}

interface Stretch {
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * What two flows may be apart, in milliseconds of work, beyond two calls of the longest kind: the claim that a flow keeps
 * while it does not ask (four quanta of 2 ms) and the quantum that another may be ahead.
 */
const APART_MS = 10;

/** @param longestMs of any call */
export function fairnessProblems(stays: readonly Stay[], services: readonly Service[], longestMs: number): string[] {
  const flowOf = new Map(stays.map(({ id, flow }) => [id, flow]));
  const mine = services.flatMap((service) => {
    const flow = flowOf.get(service.id);
    return flow === undefined ? [] : [{ ...service, flow }];
  });
  const flows = [...new Set(flowOf.values())];
  const bound = APART_MS + 2 * longestMs;
  const problems: string[] = [];
  for (const [i, a] of flows.entries())
    for (const b of flows.slice(i + 1))
      for (const { fromMs, toMs } of common(stretches(stays, a), stretches(stays, b))) {
        const apart = largestGap(mine, a, b, fromMs, toMs);
        if (apart > bound)
          problems.push(
            `${a} and ${b} were served ${apart.toFixed(1)} ms apart from ${fromMs.toFixed(1)} to ${toMs.toFixed(1)} ms; at most ${bound.toFixed(1)} is fair`,
          );
      }
  return problems;
}

/** Times in which a flow has at least one request that waits. */
function stretches(stays: readonly Stay[], flow: string): Stretch[] {
  const merged: { fromMs: number; toMs: number }[] = [];
  for (const { fromMs, toMs } of stays.filter((stay) => stay.flow === flow).toSorted((a, b) => a.fromMs - b.fromMs)) {
    const last = merged.at(-1);
    if (last !== undefined && fromMs <= last.toMs) last.toMs = Math.max(last.toMs, toMs);
    else merged.push({ fromMs, toMs });
  }
  return merged;
}

function common(a: readonly Stretch[], b: readonly Stretch[]): Stretch[] {
  return a.flatMap((one) =>
    b.flatMap((other) => {
      const [fromMs, toMs] = [Math.max(one.fromMs, other.fromMs), Math.min(one.toMs, other.toMs)];
      return fromMs < toMs ? [{ fromMs, toMs }] : [];
    }),
  );
}

/** The most that one of two flows got beyond the other over any part of a stretch. */
function largestGap(services: readonly (Service & { flow: string })[], a: string, b: string, fromMs: number, toMs: number): number {
  let [ahead, least, most] = [0, 0, 0];
  for (const { flow, ms, atMs } of services) {
    if (atMs <= fromMs || atMs > toMs || (flow !== a && flow !== b)) continue;
    ahead += flow === a ? ms : -ms;
    least = Math.min(least, ahead);
    most = Math.max(most, ahead);
  }
  return most - least;
}
