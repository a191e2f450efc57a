/**
 * Vectors of options in a memory with a limit: the ledger counts them, they give way before a request is refused, they go
 * with their model, and where there is no room for any the answers are the same.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { decide, prepareDecision, type Question } from "../../engine/decide/index.ts";
import { FathomError } from "../../engine/errors.ts";
import { NEVER_EXIT } from "../../engine/exit-rule.ts";
import { withFallback } from "../../engine/failover/index.ts";
import type { BackendFactory, Model } from "../../engine/port/index.ts";
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import { createNodeWasmBackend, readWasmModule } from "../../wasm/node.ts";
import { sharedWasm } from "../../wasm/shared.ts";
import { MATCH, smallModel } from "./models.ts";

const MIB = 2 ** 20;
const OPTIONS = Array.from({ length: 200 }, (_, i) => ({ text: `reason ${i}` }));
const QUESTION: Question = { kind: "choice", instructions: "Which?", options: OPTIONS };
const VECTOR_BYTES = 4 * MATCH.size;
const ALL_BYTES = OPTIONS.reduce((sum, { text }) => sum + VECTOR_BYTES + 2 * text.length, 0);
const CACHE = parseCacheStrategy("latest-m2");

/** Weights of its own, so that no vector is kept from another test. */
const model = (createBackend: BackendFactory): Promise<Model> => smallModel("branches", createBackend, {}, { ...MATCH });

const inWasm =
  (limitBytes: number): BackendFactory =>
  (config, load) =>
    createNodeWasmBackend(config, load, { limitBytes });

async function answersOf(of: Model): Promise<object> {
  return (await decide(prepareDecision(of, { input: "Input.", questions: [QUESTION] }), { iterations: 2, exit: NEVER_EXIT })).answers;
}

const optionsOf = ({ backend }: Model): number => backend.memory().owners["options"] ?? 0;

describe("vectors of options", () => {
  let expected: object;
  beforeAll(async () => {
    expected = await answersOf(await model(inWasm(8 * MIB)));
  });

  it("count in the ledger, once", async () => {
    const asked = await model(inWasm(8 * MIB));
    const before = asked.backend.memory();
    expect(await answersOf(asked)).toEqual(expected);
    expect(await answersOf(asked)).toEqual(expected);
    const { usedBytes, owners, limitBytes } = asked.backend.memory();
    expect(owners["options"]).toBe(ALL_BYTES);
    expect(usedBytes).toBe(before.usedBytes + ALL_BYTES);
    expect(limitBytes).toBe(before.limitBytes);
  });

  it("give way to a sequence that needs their room, as far as it does", async () => {
    const asked = await model(inWasm(8 * MIB));
    await answersOf(asked);
    const { backend } = asked;
    const open = (capacity: number) => backend.openSequence({ capacity, maxIterations: 2, cache: CACHE });
    const bytesOf = (capacity: number) => backend.sequenceBytes({ capacity, maxIterations: 2, cache: CACHE });
    const freeBytes = (): number => backend.memory().limitBytes - backend.memory().usedBytes;
    const sequences: ReturnType<typeof open>[] = [];
    while (freeBytes() >= bytesOf(512)) sequences.push(open(512));
    let capacity = 1;
    while (bytesOf(capacity) <= freeBytes()) capacity++;
    sequences.push(open(capacity));
    expect(optionsOf(asked)).toBeGreaterThan(0);
    expect(optionsOf(asked)).toBeLessThan(ALL_BYTES);
    expect(freeBytes()).toBeGreaterThanOrEqual(0);
    for (const sequence of sequences) backend.closeSequence(sequence);
    expect(await answersOf(asked)).toEqual(expected);
    expect(optionsOf(asked)).toBe(ALL_BYTES);
  });

  it("are kept only as far as there is room", async () => {
    const asked = await model(inWasm(8 * MIB));
    const { backend } = asked;
    const held: ReturnType<typeof backend.openSequence>[] = [];
    const options = { capacity: 64, maxIterations: 2, cache: CACHE };
    try {
      for (;;) held.push(backend.openSequence(options));
    } catch (error) {
      expect(error).toBeInstanceOf(FathomError);
    }
    let answers: object | undefined;
    while (answers === undefined) {
      backend.closeSequence(held.pop()!);
      answers = await answersOf(asked).catch(() => undefined);
    }
    expect(answers).toEqual(expected);
    const { usedBytes, limitBytes } = backend.memory();
    expect(usedBytes).toBeLessThanOrEqual(limitBytes);
  });

  it("go with their model out of a memory that models share", async () => {
    const memory = sharedWasm({ module: await readWasmModule(), limitBytes: 16 * MIB });
    const before = memory.usedBytes;
    const place = memory.place(() => false);
    const asked = await model(place.createBackend);
    const loaded = place.usedBytes;
    expect(await answersOf(asked)).toEqual(expected);
    expect(place.usedBytes).toBe(loaded + ALL_BYTES);
    expect(memory.usedBytes).toBe(before + loaded + ALL_BYTES);
    place.close();
    expect(memory.usedBytes).toBe(before);
  });

  it("count where a fallback takes over", async () => {
    let isDead = false;
    const dying: BackendFactory = async (config, load) => {
      const primary = await createReferenceBackend(config, load);
      return new Proxy(primary, {
        get(target, key: keyof typeof primary) {
          if (key === "readout" && isDead) throw new FathomError("unavailable", "The device broke.");
          const value = target[key];
          return typeof value === "function" ? value.bind(target) : value;
        },
      });
    };
    const asked = await model(withFallback(dying, inWasm(8 * MIB), () => undefined));
    await answersOf(asked);
    isDead = true;
    await answersOf(asked);
    expect(asked.backend.name).toBe("wasm");
    expect(optionsOf(asked)).toBe(ALL_BYTES);
  });
});
