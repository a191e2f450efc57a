/**
 * Answers under load beside those that the same requests, with the same grant, get from the same server when nobody else
 * asks anything.
 */
import { uniform } from "../engine/random.ts";
import { ask, type Asked } from "./load-client.ts";

export interface Comparison {
  /** Answers that were asked for again. */
  readonly compared: number;
  /** Those of them with the same text. */
  readonly same: number;
  /** Those whose text differs though neither answer was cut short for want of time. */
  readonly changed: number;
  /** Right answers under load, and alone. */
  readonly right: number;
  readonly rightAlone: number;
}

/** Answers of a row that are compared; some seconds. */
const MOST = 300;

/** @param answers that came with status 200 */
export async function sameAlone(url: URL, answers: readonly Asked[], seed: number): Promise<Comparison> {
  const drawn = answers
    .map((answer, i) => ({ answer, order: uniform(seed, 1 << 20, i) }))
    .toSorted((a, b) => a.order - b.order)
    .slice(0, MOST);
  let [same, changed, right, rightAlone, compared] = [0, 0, 0, 0, 0];
  for (const { answer } of drawn) {
    const alone = await ask(url, answer);
    if (alone.status !== 200) continue;
    compared++;
    right += Number(answer.isRight);
    rightAlone += Number(alone.isRight);
    if (alone.text === answer.text) same++;
    else if (!isCut(answer) && !isCut(alone)) changed++;
  }
  return { compared, same, changed, right, rightAlone };
}

function isCut({ limitedBy }: Asked): boolean {
  return limitedBy === "latency" || limitedBy === "ceiling";
}
