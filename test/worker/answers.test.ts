/**
 * Answers through the OpenAI SDK: the same words and the same costs plain and streamed, and what shapes them.
 */
import { describe, expect, it } from "vitest";
import type { ChatCompletion, ChatCompletionChunk } from "openai/resources/chat/completions";
import { app, chat, endless, engineAnswer, LIAR, MODEL, nano, openai, post, timeless, worker } from "./support.ts";

interface Costs {
  usage: { completion_tokens: number; iterations: { total: number; mean: number; max: number; saved: number } };
  budget: {
    granted: { iterations: number; max_completion_tokens: number; exit: { criterion: string; threshold: number; min_iterations: number } };
    exits: { converged: number; capped: number };
  };
}

const client = openai(worker);
const messages = [{ role: "user", content: LIAR }] as const;

async function ask(body: object): Promise<ChatCompletion & Costs> {
  const response = await post(worker, "/v1/chat/completions", chat(body));
  expect(response.status, await response.clone().text()).toBe(200);
  return response.json();
}

describe("a chat answer", () => {
  it("is what the engine says, without the space before it", async () => {
    const completion = await client.chat.completions.create({ model: MODEL, messages: [...messages] });
    const own = await engineAnswer(nano, LIAR);
    expect(completion.choices[0]!.message).toMatchObject({ role: "assistant", content: own.text.trimStart() });
    expect(completion.choices[0]!.finish_reason).toBe("stop");
    expect(completion.object).toBe("chat.completion");
    expect(completion.id).toMatch(/^chatcmpl-/);
  });

  it("is right about an easy question", async () => {
    const completion = await client.chat.completions.create({ model: MODEL, messages: [...messages] });
    expect(completion.choices[0]!.message.content).toBe("Yes");
  });

  it("costs the prompt's tokens, its own and their iterations", async () => {
    const { usage, budget } = await ask({});
    const own = await engineAnswer(nano, LIAR);
    const total = own.iterations.reduce((a, b) => a + b, 0);
    const limit = nano.card.iterations;
    const promptTokens = nano.text.encodeChat(messages).length;
    expect(usage).toEqual({
      prompt_tokens_details: { cached_tokens: 0 },
      prompt_tokens: promptTokens,
      completion_tokens: own.iterations.length,
      total_tokens: promptTokens + own.iterations.length,
      completion_tokens_details: { reasoning_tokens: 0 },
      iterations: {
        total,
        mean: total / own.iterations.length,
        max: Math.max(...own.iterations),
        saved: limit * own.iterations.length - total,
      },
      work_units: expect.any(Number),
      cost_usd: expect.any(Number),
    });
    expect(budget.exits.converged + budget.exits.capped).toBe(usage.completion_tokens);
  });

  it("takes messages as text parts, and other roles before the user's", async () => {
    const plain = await ask({});
    const parts = await ask({
      messages: [
        { role: "developer", content: "Be brief." },
        {
          role: "user",
          content: [
            { type: "text", text: LIAR.slice(0, 10) },
            { type: "text", text: LIAR.slice(10) },
          ],
        },
      ],
    });
    expect(parts.choices[0]!.message.content).toBe(plain.choices[0]!.message.content);
  });
});

describe("a streamed answer", () => {
  const streamed = async (body: object): Promise<ChatCompletionChunk[]> => {
    const chunks: ChatCompletionChunk[] = [];
    const stream = await client.chat.completions.create({
      model: MODEL,
      messages: [...messages],
      ...body,
      stream: true,
      stream_options: { include_usage: true },
    });
    for await (const chunk of stream) chunks.push(chunk);
    return chunks;
  };

  it("has the words, the finish reason and the costs of the plain one", async () => {
    const plain = await ask({});
    const chunks = await streamed({});
    expect(chunks.map((c) => c.choices[0]?.delta.content ?? "").join("")).toBe(plain.choices[0]!.message.content);
    expect(chunks.at(-2)!.choices[0]!.finish_reason).toBe(plain.choices[0]!.finish_reason);
    const last = chunks.at(-1)! as ChatCompletionChunk & Costs;
    expect(last.choices).toEqual([]);
    expect(last.usage).toEqual(plain.usage);
    expect(timeless(last.budget)).toEqual(timeless(plain.budget));
  });

  it("names the role first, and gives all its chunks one id", async () => {
    const chunks = await streamed({});
    expect(chunks[0]!.choices[0]!.delta).toMatchObject({ role: "assistant", content: "" });
    expect(new Set(chunks.map((c) => c.id)).size).toBe(1);
    expect(chunks.slice(0, -1).every((c) => c.usage === null)).toBe(true);
  });
});

describe("a text completion", () => {
  const prompt = `${LIAR}\nAnswer:`;

  it("goes on after the prompt, its first space included, plain as streamed", async () => {
    const plain = await client.completions.create({ model: MODEL, prompt, max_tokens: 4 });
    let text = "";
    for await (const chunk of await client.completions.create({ model: MODEL, prompt, max_tokens: 4, stream: true }))
      text += chunk.choices[0]?.text ?? "";
    expect(plain.object).toBe("text_completion");
    expect(plain.choices[0]!.text).toMatch(/^ \S/);
    expect(text).toBe(plain.choices[0]!.text);
  });

  it("takes a text, a list of one, token ids, or a list of one such list", async () => {
    const ids = nano.text.encode(prompt);
    const texts = [];
    for (const given of [prompt, [prompt], ids, [ids]] as const) {
      const { choices } = await client.completions.create({ model: MODEL, prompt: given as string });
      texts.push(choices[0]!.text);
    }
    expect(new Set(texts).size).toBe(1);
  });
});

describe("the number of iterations", () => {
  it("is the card's, unless the request says otherwise", async () => {
    const { budget } = await ask({});
    const { criterion, threshold, wake, minIterations } = nano.card.exit;
    expect(budget.granted).toEqual({
      iterations: nano.card.iterations,
      max_completion_tokens: nano.card.maxCompletionTokens,
      exit: { criterion, threshold, ...(wake !== undefined && { wake }), min_iterations: minIterations },
      on_exhausted: "degrade",
    });
  });

  it("comes from reasoning_effort by the card's map", async () => {
    for (const [effort, iterations] of Object.entries(nano.card.effort))
      expect((await ask({ reasoning_effort: effort })).budget.granted.iterations).toBe(iterations);
  });

  it("is budget.iterations, and a token takes exactly that many when it never exits early", async () => {
    const { usage, budget } = await ask({ budget: { iterations: 3, exit: { threshold: 0 } } });
    expect(usage.iterations).toEqual({ total: 3 * usage.completion_tokens, mean: 3, max: 3, saved: 0 });
    expect(budget.exits).toEqual({ converged: 0, capped: usage.completion_tokens });
  });

  it("is the smaller of effort and budget.iterations", async () => {
    const { effort } = nano.card;
    expect((await ask({ reasoning_effort: "low", budget: { iterations: effort.low + 1 } })).budget.granted.iterations).toBe(effort.low);
    expect((await ask({ reasoning_effort: "low", budget: { iterations: 1 } })).budget.granted.iterations).toBe(1);
  });

  it("stays below the deployment's ceiling, which the answer shows", async () => {
    const response = await post(
      app({ limits: { maxIterations: 2, maxCompletionTokens: 1 } }),
      "/v1/chat/completions",
      chat({ budget: { iterations: 5 }, max_completion_tokens: 50 }),
    );
    const { usage, budget } = (await response.json()) as Costs;
    expect(budget.granted).toMatchObject({ iterations: 2, max_completion_tokens: 1 });
    expect(usage.iterations.max).toBeLessThanOrEqual(2);
    expect(usage.completion_tokens).toBe(1);
  });
});

describe("an exit rule", () => {
  it("ends tokens early: a looser threshold saves more", async () => {
    const iterations = nano.card.maxIterations;
    const strict = await ask({ budget: { iterations, exit: { criterion: "latent-diff", threshold: 0.01 } } });
    const loose = await ask({ budget: { iterations, exit: { criterion: "latent-diff", threshold: 0.5 } } });
    expect(loose.usage.iterations.mean).toBeLessThan(strict.usage.iterations.mean);
    expect(loose.budget.exits.converged).toBe(loose.usage.completion_tokens);
  });

  it("waits for min_iterations", async () => {
    const { usage } = await ask({ budget: { iterations: 8, exit: { criterion: "latent-diff", threshold: 1000, min_iterations: 4 } } });
    expect(usage.iterations.mean).toBe(5);
  });

  it("without a threshold has its criterion's own", async () => {
    const { budget } = await ask({ budget: { exit: { criterion: "argmax-stability" } } });
    expect(budget.granted.exit).toMatchObject({ criterion: "argmax-stability", threshold: 5 });
  });
});

describe("the end of an answer", () => {
  const call = app({ model: endless });
  const complete = async (body: object) => {
    const response = await post(call, "/v1/completions", { model: MODEL, prompt: LIAR, max_tokens: 12, ...body });
    return (await response.json()) as { choices: { text: string; finish_reason: string }[]; usage: Costs["usage"] };
  };

  it("is the length limit, by either name, the smaller of both", async () => {
    for (const limit of [{ max_tokens: 2 }, { max_completion_tokens: 2 }, { max_tokens: 2, max_completion_tokens: 9 }]) {
      const { choices, usage } = await complete({ max_tokens: undefined, ...limit });
      expect(choices[0]!.finish_reason).toBe("length");
      expect(usage.completion_tokens).toBe(2);
    }
  });

  it("is a stop string, which is left out, plain as streamed", async () => {
    const { choices } = await complete({});
    const whole = choices[0]!.text;
    const stop = whole.slice(whole.length / 2, whole.length / 2 + 2);
    const expected = whole.slice(0, whole.indexOf(stop));
    for (const given of [stop, ["never there", stop]]) {
      const { choices } = await complete({ stop: given });
      expect(choices[0]).toMatchObject({ text: expected, finish_reason: "stop" });
      let text = "";
      for await (const chunk of await openai(call).completions.create({
        model: MODEL,
        prompt: LIAR,
        max_tokens: 12,
        stop: given,
        stream: true,
      }))
        text += chunk.choices[0]?.text ?? "";
      expect(text).toBe(expected);
    }
  });
});

describe("sampling", () => {
  const sampled = async (body: object) => {
    const response = await post(app({ model: endless }), "/v1/completions", { model: MODEL, prompt: "Question:", max_tokens: 12, ...body });
    return ((await response.json()) as { choices: { text: string }[] }).choices[0]!.text;
  };

  it("is greedy by default, so that answers can be reproduced", async () => {
    expect(await sampled({})).toBe(await sampled({}));
    expect(await sampled({})).toBe(await sampled({ temperature: 0, seed: 7 }));
  });

  it("with a temperature follows its seed", async () => {
    const [first, again, other] = [
      await sampled({ temperature: 2, seed: 1 }),
      await sampled({ temperature: 2, seed: 1 }),
      await sampled({ temperature: 2, seed: 2 }),
    ];
    expect(again).toBe(first);
    expect(other).not.toBe(first);
  });

  it("with a temperature and no seed differs from call to call", async () => {
    expect(await sampled({ temperature: 2 })).not.toBe(await sampled({ temperature: 2 }));
  });
});

describe("parameters that do not change an answer", () => {
  it("are accepted: descriptions of the request, and neutral values", async () => {
    const plain = await ask({});
    const decorated = await ask({
      user: "u",
      metadata: { a: "b" },
      store: false,
      n: 1,
      tools: [],
      response_format: { type: "text" },
      logprobs: false,
      stop: null,
      presence_penalty: 0,
    });
    expect(decorated.choices).toEqual(plain.choices);
  });

  it("are accepted: what other servers' clients send unasked, at values that say nothing", async () => {
    const unasked = { top_k: -1, min_p: 0, repetition_penalty: 1, cache_prompt: true, skip_special_tokens: true, stop_token_ids: [] };
    expect((await ask(unasked)).choices).toEqual((await ask({})).choices);
  });

  it("are accepted as null: what is not said, in every optional field", async () => {
    const nothing = Object.fromEntries(
      ["max_tokens", "max_completion_tokens", "temperature", "top_p", "seed", "stop", "stream", "stream_options", "reasoning_effort"].map(
        (field) => [field, null],
      ),
    );
    const exit = { criterion: null, threshold: null, wake: null, min_iterations: null };
    const budget = { latency_ms: null, cost_usd: null, iterations: null, total_iterations: null, on_exhausted: null };
    const plain = await ask({});
    for (const body of [nothing, { budget: null }, { budget: { ...budget, exit: null } }, { budget: { ...budget, exit } }])
      expect(timeless((await ask(body)).budget)).toEqual(timeless(plain.budget));
    const streamed = await post(worker, "/v1/chat/completions", chat({ stream: true, stream_options: { include_usage: null } }));
    expect(await streamed.text()).not.toContain("usage");
  });

  it("are accepted in messages, so that an answer can be sent back as it came", async () => {
    const { message } = (await ask({})).choices[0]!;
    const sentBack = { ...message, name: null, tool_calls: [], function_call: null, audio: null, annotations: [] };
    const part = { type: "text", text: LIAR, cache_control: { type: "ephemeral" } };
    const { steps: _refusesHistories, ...codec } = nano.text;
    const text = { ...codec, encodeChat: (history: readonly { content: string }[]) => nano.text.encode(history.at(-1)!.content) };
    const conversing = app({ model: { ...nano, text } });
    const history = [...messages, sentBack, { role: "user", content: [part] }];
    const response = await post(conversing, "/v1/chat/completions", chat({ messages: history }));
    expect(response.status, await response.clone().text()).toBe(200);
  });
});
