/**
 * Beginnings of prompts from one request to the next, on the wire: the same answers, what was taken over said and not
 * billed; who may share, and how a deployment switches it off.
 */
import { describe, expect, it } from "vitest";
import { hostClock } from "../../worker/host.ts";
import { sharedBy } from "../../worker/schedulers.ts";
import { app, endless, MODEL, nano, openai, post, SERVER, type Call } from "./support.ts";

const TEXT = "/v1/completions";
const LONG = "Start with 3. Add 4. Double it. Subtract 9. Add 7. ".repeat(4);

interface Answered {
  choices: { text: string }[];
  usage: { prompt_tokens: number; work_units: number; prompt_tokens_details: { cached_tokens: number } };
}

const text = (body: object = {}): object => ({ model: MODEL, prompt: LONG, max_tokens: 5, temperature: 1.5, seed: 3, ...body });
const ask = async (call: Call, body: object): Promise<Answered> => (await post(call, TEXT, body)).json();
const cached = ({ usage }: Answered): number => usage.prompt_tokens_details.cached_tokens;

const { prefixes } = sharedBy(endless, hostClock);

/** An app whose model has kept nothing yet. */
function cold(options: Parameters<typeof app>[0] = {}): Call {
  prefixes.clear();
  expect(endless.backend.memory().owners["prefixes"] ?? 0).toBe(0);
  return app({ model: endless, ...options });
}

describe("a prompt that begins as an earlier one", () => {
  it("is answered with the same bits, and billed for what it computes", async () => {
    const off = cold({ prefixCache: { maxBytes: 0 } });
    const bodies = [text(), text({ prompt: `${LONG}Halve it.` }), text({ n: 3 }), text({ reasoning_effort: "low" })];
    const plain: Answered[] = [];
    for (const body of bodies) plain.push(await ask(off, body), await ask(off, body));
    expect(plain.map(cached)).toEqual(plain.map(() => 0));
    const on = cold();
    await ask(on, text({ seed: 99 }));
    for (const [i, body] of bodies.entries()) {
      const warm = await ask(on, body);
      expect(warm.choices).toEqual(plain[2 * i]!.choices);
      if (i === 3) continue; // another limit of iterations, which this prompt may not have kept to
      expect(cached(warm)).toBeGreaterThan(64);
      expect(warm.usage.prompt_tokens).toBe(plain[2 * i]!.usage.prompt_tokens);
      expect(warm.usage.work_units).toBeLessThan(plain[2 * i]!.usage.work_units);
    }
  });

  it("computes its last token itself, and says so to OpenAI's client", async () => {
    const call = cold();
    const messages = [
      { role: "system" as const, content: LONG },
      { role: "user" as const, content: "Ada lies. Does Ada lie?" },
    ];
    const create = () => openai(call).chat.completions.create({ model: MODEL, messages, max_tokens: 3 });
    const [first, second] = [await create(), await create()];
    expect(first.usage!.prompt_tokens_details).toEqual({ cached_tokens: 0 });
    expect(second.usage!.prompt_tokens_details).toEqual({ cached_tokens: second.usage!.prompt_tokens - 1 });
    expect(second.choices).toEqual(first.choices);
  });

  it("takes nothing over where the budget may run out: no answer depends on who asked before", async () => {
    const call = cold();
    await ask(call, text());
    const tight = { budget: { cost_usd: 0.000001 } };
    const warm = await ask(call, text(tight));
    const alone = await ask(cold(), text(tight));
    expect(cached(warm)).toBe(0);
    expect([warm.choices, warm.usage]).toEqual([alone.choices, alone.usage]);
  });

  it("shares with its own prompt_cache_key, and with its own bearer key where the deployment asks for it", async () => {
    const call = cold();
    const keys = [undefined, "a", "b", "a", undefined];
    const hits: boolean[] = [];
    for (const key of keys) hits.push(cached(await ask(call, text(key === undefined ? {} : { prompt_cache_key: key }))) > 0);
    expect(hits).toEqual([false, false, false, true, true]);

    const byKey = cold({ prefixCache: { byKey: true }, apiKeys: ["one", "two"] });
    const asked = async (key: string): Promise<boolean> => {
      const headers = { "content-type": "application/json", authorization: `Bearer ${key}` };
      const response = await byKey(`${SERVER}${TEXT}`, { method: "POST", headers, body: JSON.stringify(text()) });
      return cached((await response.json()) as Answered) > 0;
    };
    expect([await asked("one"), await asked("two"), await asked("one")]).toEqual([false, false, true]);
  });
});

describe("a deployment's prefixCache", () => {
  it("is checked by name", () => {
    expect(() => app({ model: nano, prefixCache: { maxBytes: -1 } })).toThrow(/prefixCache\.maxBytes/);
    expect(() => app({ model: nano, prefixCache: { bytes: 1 } as never })).toThrow(/prefixCache\.bytes/);
  });

  it("bounds what is kept, in bytes and in tokens", async () => {
    await ask(cold({ prefixCache: { maxBytes: 1000 } }), text());
    expect(prefixes.size).toBe(0);
    const short = cold({ prefixCache: { minTokens: 4 } });
    await ask(short, text({ prompt: "Start with 3. Add 4." }));
    expect(cached(await ask(short, text({ prompt: "Start with 3. Add 4." })))).toBeGreaterThanOrEqual(4);
  });
});
