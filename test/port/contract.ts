/**
 * The port's contract (engine/port/backend.ts) as tests over one implementation: what it refuses, and what holds besides.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { FathomError } from "../../engine/errors.ts";
import type { Row, Sequence } from "../../engine/port/backend.ts";
import { startState } from "../kernels/compute.ts";
import { expectClose } from "../wasm/compare.ts";
import type { Implementation } from "./implementations.ts";
import { MISUSES, type Misuse } from "./misuses.ts";
import { closeScene, endOf, makeScene, OPTIONS, type Ending, type PortBackend, type Scene } from "./scene.ts";

export function contract(implementation: Implementation): void {
  let backend: PortBackend;
  let stranger: PortBackend;
  beforeAll(async () => {
    backend = await implementation.create();
    stranger = await implementation.create();
  });
  afterAll(() => implementation.close?.());

  const lifeOf = async (misuse?: Misuse): Promise<Ending | "no such call"> => {
    const scene = await makeScene(backend, stranger);
    try {
      if (misuse !== undefined && (await refusal(misuse, scene)) === "no such call") return "no such call";
      return await endOf(scene);
    } finally {
      closeScene(scene, stranger, scene);
    }
  };

  describe("a refused call", () => {
    let undisturbed: Ending;
    beforeAll(async () => {
      undisturbed = (await lifeOf()) as Ending;
      undisturbed = (await lifeOf()) as Ending; // buffers that grow have grown now
    });

    it.for(MISUSES)("$name: $code, and nothing has changed", async (misuse, { skip }) => {
      const ending = await lifeOf(misuse);
      if (ending === "no such call") skip("this implementation has no such call");
      expect(ending).toEqual(undisturbed);
    });
  });

  describe("what holds besides", () => laws(() => backend, implementation.computes !== false));
}

/** Makes the call, which must be refused by name. */
async function refusal({ call, code }: Misuse, scene: Scene): Promise<"refused" | "no such call"> {
  let result: unknown;
  try {
    const pending = call(scene);
    if (pending === undefined && !isVoid(call)) return "no such call";
    result = await pending;
  } catch (error) {
    expect(error).toBeInstanceOf(FathomError);
    expect(error).toMatchObject({ code, message: expect.stringMatching(/^[A-Z].{20,}\.$/) });
    return "refused";
  }
  throw new Error(`not refused, but answered with ${String(result)}`);
}

/** Calls that return nothing also when they are not refused. */
function isVoid(call: Misuse["call"]): boolean {
  return /\.(iterate|truncate|closeSequence|release)\(/.test(String(call));
}

function laws(current: () => PortBackend, computes: boolean): void {
  const begin = async (sequence: Sequence, tokens: readonly number[]): Promise<Row[]> => {
    const { length } = sequence;
    return current().prelude(tokens.map((token, i) => ({ sequence, token, state: startState(32, length + i) })));
  };

  it("calls without rows do nothing", async () => {
    const backend = current();
    const { usedBytes } = backend.memory();
    expect(await backend.prelude([])).toEqual([]);
    await backend.iterate([]);
    expect(await backend.measure([])).toEqual([]);
    expect(await backend.readout([], [])).toEqual([]);
    if (backend.argmax !== undefined) expect(await backend.argmax([], [])).toEqual([]);
    if (backend.pressure !== undefined) expect(await backend.pressure([], new Float32Array(1))).toHaveLength(0);
    backend.release([]);
    expect(backend.memory().usedBytes).toBe(usedBytes);
  });

  it("closing and releasing twice is as good as once", async () => {
    const backend = current();
    const sequence = backend.openSequence(OPTIONS);
    const rows = await begin(sequence, [1, 2]);
    backend.release([rows[0]!, rows[0]!]);
    backend.release(rows);
    backend.release(rows);
    const again = backend.openSequence(OPTIONS);
    backend.closeSequence(sequence);
    const { usedBytes } = backend.memory();
    backend.closeSequence(sequence);
    backend.release(rows);
    expect(backend.memory().usedBytes).toBe(usedBytes);
    const [row] = await begin(again, [3]);
    await backend.iterate([row!]);
    expect(row!.iterations).toBe(1);
    backend.closeSequence(again);
  });

  it("inputs take the next positions of their sequences, in the order given", async () => {
    const backend = current();
    const [a, b] = [backend.openSequence(OPTIONS), backend.openSequence(OPTIONS)];
    const rows = await backend.prelude([a, b, a, a, b].map((sequence, token) => ({ sequence, token })));
    expect(rows.map((row) => [row.sequence === a ? "a" : "b", row.position, row.token, row.iterations])).toEqual([
      ["a", 0, 0, 0],
      ["b", 0, 1, 0],
      ["a", 1, 2, 0],
      ["a", 2, 3, 0],
      ["b", 1, 4, 0],
    ]);
    expect([a.length, b.length]).toEqual([3, 2]);
    backend.truncate(a, 7);
    expect(a.length).toBe(3);
    for (const sequence of [a, b]) backend.closeSequence(sequence);
  });

  it("a prompt's rows have room of their own until they are released, once", async () => {
    const backend = current();
    const sequence = backend.openSequence({ ...OPTIONS, rows: 1, prompt: 3 });
    const prompt = await begin(sequence, [1, 2, 3]);
    const [next] = await begin(sequence, [4]);
    await expect(begin(sequence, [5])).rejects.toMatchObject({ code: "invalid_request", param: "rows" });
    backend.release([...prompt, next!]);
    backend.truncate(sequence, 1);
    await expect(begin(sequence, [6, 7])).rejects.toMatchObject({ code: "invalid_request", param: "rows" });
    expect((await begin(sequence, [6]))[0]!.position).toBe(1);
    backend.closeSequence(sequence);
  });

  it("a sequence may run no iterations at all", async () => {
    const backend = current();
    const sequence = backend.openSequence({ ...OPTIONS, maxIterations: 0 });
    const rows = await begin(sequence, [1, 2]);
    await expect((async () => backend.iterate(rows))()).rejects.toMatchObject({ code: "invalid_request" });
    expect(await backend.readout(rows, [rows[1]!])).toHaveLength(1);
    backend.closeSequence(sequence);
  });

  if (computes) numberLaws(current, begin);
}

/** Laws about numbers, for what really computes. */
function numberLaws(current: () => PortBackend, begin: (sequence: Sequence, tokens: readonly number[]) => Promise<Row[]>): void {
  it("the logits of some tokens are those of all, bit for bit, in the order asked for", async () => {
    const backend = current();
    const sequence = backend.openSequence(OPTIONS);
    const rows = await begin(sequence, [1, 2, 3]);
    await backend.iterate(rows);
    const heads = [rows[2]!, rows[0]!];
    const all = await backend.readout(rows, heads);
    for (const tokens of [[5], [23, 0, 15, 16, 23], []])
      expect((await backend.readout(rows, heads, tokens)).map((logits) => [...logits])).toEqual(
        all.map((logits) => tokens.map((token) => logits[token]!)),
      );
    backend.closeSequence(sequence);
  });

  it("what is handed in and given out is copied", async () => {
    const backend = current();
    const sequence = backend.openSequence(OPTIONS);
    const state = startState(32, 5);
    const [row] = await backend.prelude([{ sequence, token: 1, state }]);
    state.fill(9);
    expect([...(await backend.latent(row!, "raw"))]).toEqual([...startState(32, 5)]);
    await backend.iterate([row!]);
    const [latent, [logits]] = [await backend.latent(row!, "raw"), await backend.readout([row!], [row!])];
    const kept = [[...latent], [...logits!]];
    latent.fill(0);
    logits!.fill(0);
    expect([[...(await backend.latent(row!, "raw"))], [...(await backend.readout([row!], [row!]))[0]!]]).toEqual(kept);
    backend.closeSequence(sequence);
  });

  it.each(["full", "latest-m2-compress-s2", "randomized"])("a row's result depends on no other sequence, under %s", async (cache) => {
    const backend = current();
    const options = { ...OPTIONS, maxIterations: 5, cache: parseCacheStrategy(cache) };
    const run = async (company: readonly Row[]): Promise<Float32Array> => {
      const sequence = backend.openSequence(options);
      const [first, second] = await begin(sequence, [7, 8]);
      for (const rows of [[first!, second!], [first!], [second!]]) await backend.iterate([...company, ...rows]);
      for (let t = 0; t < 2; t++) await backend.iterate([second!, ...company, first!]);
      const [logits] = await backend.readout([first!, second!, ...company], [second!]);
      backend.closeSequence(sequence);
      return logits!;
    };
    const alone = await run([]);
    const other = backend.openSequence(options);
    expectClose(await run(await begin(other, [2, 3, 4])), alone, 2e-5, "logits in company");
    backend.closeSequence(other);
  });

  it("what is cut off might never have been", async () => {
    const backend = current();
    const run = async (detour: boolean): Promise<Float32Array[]> => {
      const sequence = backend.openSequence({ ...OPTIONS, rows: 8, cache: parseCacheStrategy("latest-m2") });
      const rows = await begin(sequence, [1, 2]);
      await backend.iterate(rows);
      if (detour) {
        const wrong = await begin(sequence, [9, 9, 9]);
        for (let t = 0; t < 2; t++) await backend.iterate(wrong);
        await backend.readout(wrong, []);
        backend.release(wrong);
        backend.truncate(sequence, 2);
      }
      const next = await begin(sequence, [4, 5]);
      await backend.iterate(next);
      const logits = await backend.readout([...rows, ...next], next);
      backend.closeSequence(sequence);
      return logits;
    };
    const [straight, cut] = [await run(false), await run(true)];
    straight.forEach((logits, i) => expectClose(cut[i]!, logits, 2e-5, `logits ${i}`));
  });

  it("a row that has run no iteration feels no pressure, and attends to nothing", async ({ skip }) => {
    const backend = current();
    if (backend.pressure === undefined) return skip("this implementation does not report attention");
    for (let round = 0; round < 2; round++) {
      const sequence = backend.openSequence({ ...OPTIONS, attention: true });
      const rows = await begin(sequence, [1, 2, 3]);
      expect([...(await backend.pressure(rows, Float32Array.of(1, 1, 1)))]).toEqual([0, 0, 0]);
      await backend.iterate(rows);
      for (const value of await backend.pressure(rows, Float32Array.of(1, 1, 1, 99))) expect(value).toBeGreaterThan(0.5);
      backend.closeSequence(sequence);
    }
  });
}
