/**
 * A deployment's options: each is what its documentation says or is refused by name, when the app is created where
 * that can be known, else by refusing the request. None opens a door or lifts a ceiling.
 */
import { HTTPException } from "hono/http-exception";
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createApp } from "../../worker/app.ts";
import { BREATH_LIMIT_MS, DECISION_LIMIT_MS } from "../../worker/callbacks.ts";
import { once } from "../../worker/model-source.ts";
import { createEntrypoint } from "../../worker/rpc.ts";
import { app, chat, endless, nano, post, SERVER, type Call } from "./support.ts";

const CHAT = "/v1/chat/completions";
const lying = (value: unknown) => value as never;

const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
beforeEach(() => log.mockClear());
afterAll(() => log.mockRestore());
afterEach(() => vi.useRealTimers());

function withKey(call: Call, body: object = {}, authorization = "Bearer key"): Promise<Response> {
  const headers = { authorization, "content-type": "application/json" };
  return call(`${SERVER}${CHAT}`, { method: "POST", headers, body: JSON.stringify(chat(body)) });
}

const price = { name: "test", usdPerRequest: 0, usdPerMs: 1 };
const throwing = {
  get apiKeys(): never {
    throw new Error("no secrets today");
  },
};

/** Options, and what the refusal says of them. */
const WRONG: readonly [options: unknown, words: RegExp][] = [
  [undefined, /must be an object, not undefined/],
  [null, /not null/],
  [[], /not a list/],
  [Promise.resolve({ model: nano }), /not a Promise \(await it first\)/],
  [{}, /model/],
  [{ model: nano, apiKey: ["key"] }, /apiKey is no option \(did you mean apiKeys\?\)/],
  [{ model: nano, api_keys: ["key"] }, /api_keys is no option \(did you mean apiKeys\?\)/],
  [{ model: nano, maxIterations: 4 }, /maxIterations is no option \(did you mean limits\.maxIterations\?\)/],
  [{ model: nano, key_budget: () => undefined }, /did you mean keyBudget/],
  [{ model: nano, limits: { max_iterations: 4 } }, /limits\.max_iterations is no option \(did you mean limits\.maxIterations\?\)/],
  [{ model: nano, limits: { latency_ms: 100 } }, /limits\.latency_ms is no option \(did you mean limits\.budget\.latencyMs\?\)/],
  [{ model: nano, limits: { budget: { latency_ms: 100 } } }, /limits\.budget\.latency_ms .*limits\.budget\.latencyMs/],
  [{ model: nano, limits: { budget: { latencyMs: NaN } } }, /limits\.budget\.latencyMs must be .*not NaN/],
  [{ model: nano, limits: { budget: { costUsd: "1" } } }, /limits\.budget\.costUsd must be/],
  [{ model: nano, limits: { budget: { exit: { criterion: "boredom", threshold: 1 } } } }, /exit\.criterion must be one of/],
  [{ model: nano, limits: { maxIterations: "4" } }, /limits\.maxIterations must be .*not "4"/],
  [{ model: nano, limits: { maxIterations: NaN } }, /limits\.maxIterations must be .*not NaN/],
  [{ model: nano, limits: { maxIterations: 0 } }, /limits\.maxIterations/],
  [{ model: nano, limits: { maxIterations: Promise.resolve(4) } }, /not a Promise/],
  [{ model: nano, limits: { maxCompletionTokens: -1 } }, /limits\.maxCompletionTokens/],
  [{ model: nano, limits: { maxBodyBytes: NaN } }, /limits\.maxBodyBytes/],
  [{ model: nano, limits: { maxBodyBytes: null } }, /limits\.maxBodyBytes .*not null/],
  [{ model: nano, limits: "none" }, /limits must be an object/],
  [{ model: nano, limits: new Map([["maxIterations", 4]]) }, /limits must be an object, not a Map/],
  [{ model: nano, apiKeys: "secret" }, /apiKeys must be a list of keys, or a function that knows them, not a text/],
  [{ model: nano, apiKeys: [] }, /apiKeys holds no key/],
  [{ model: nano, apiKeys: null }, /apiKeys .*not null/],
  [{ model: nano, apiKeys: [""] }, /apiKeys has as key 1 of 1 an empty text/],
  [{ model: nano, apiKeys: ["key", undefined] }, /key 2 of 2 no text/],
  [{ model: nano, apiKeys: [() => true] }, /key 1 of 1 no text but a function/],
  [{ model: nano, apiKeys: ["a key"] }, /key 1 of 1 one that no caller can send/],
  [{ model: nano, apiKeys: ["schlüssel"] }, /no caller can send/],
  [{ model: nano, apiKeys: ["a=b"] }, /no caller can send/],
  [{ model: nano, apiKeys: ["key", "other", "key"] }, /key 3 of 3 the same as key 1/],
  [{ model: nano, apiKeys: ["k".repeat(5000)] }, /5000 characters/],
  [{ model: nano, apiKeys: Promise.resolve(["key"]) }, /apiKeys .*not a Promise/],
  [{ model: nano, apiKeys: new Set(["key"]) }, /apiKeys .*not a Set/],
  [{ model: nano, keyBudget: { iterations: 2 } }, /keyBudget must be a function, not an object/],
  [{ model: nano, onCompletion: "log" }, /onCompletion must be a function/],
  [{ model: nano, onError: 1 }, /onError must be a function/],
  [{ model: nano, breathe: 5 }, /breathe must be a function/],
  [{ model: nano, clock: 5 }, /clock must be a clock/],
  [{ model: nano, clock: { now: 5 } }, /clock must be a clock/],
  [{ model: nano, clock: { now: () => 0, moves: "yes" } }, /clock must be a clock/],
  [{ model: nano, price: { ...price, usdPerMs: NaN } }, /price\.usdPerMs must be .*not NaN/],
  [{ model: nano, price: { ...price, usdPerMs: -1 } }, /price\.usdPerMs/],
  [{ model: nano, price: { ...price, usd_per_ms: 1 } }, /price\.usd_per_ms is no option \(did you mean price\.usdPerMs\?\)/],
  [{ model: nano, price: { name: "test" } }, /price\.usdPerRequest is missing/],
  [{ model: nano, cors: true }, /cors must be an object/],
  [{ model: nano, cors: {} }, /cors\.origin/],
  [{ model: nano, cors: { origin: undefined } }, /cors\.origin/],
  [{ model: nano, cors: { origins: ["https://shop.test"] } }, /cors\.origins is no option \(did you mean cors\.origin\?\)/],
  [{ model: nano, cors: { origin: "https://shop.test/" } }, /cors\.origin must be/],
  [{ model: nano, cors: { origin: "https://*.shop.test" } }, /cors\.origin must be/],
  [{ model: nano, cors: { origin: ["https://shop.test", "*"] } }, /cors\.origin must be/],
  [{ model: nano, cors: { origin: [] } }, /cors\.origin must be/],
  [{ model: nano, cors: { origin: "*", credentials: true } }, /cors .*credentials/],
  [{ model: nano, allowedHosts: "localhost" }, /allowedHosts must be a list/],
  [{ model: nano, allowedHosts: [] }, /allowedHosts must be a list/],
  [{ model: nano, allowedHosts: ["http://localhost:80"] }, /allowedHosts/],
  [{ model: "nano" }, /model must be a loaded model or a function that gives one/],
  [{ model: {} }, /model must be a loaded model/],
  [{ model: Promise.resolve(nano) }, /model must be .*not a Promise \(await it first\)/],
  [{ models: {} }, /model/],
  [{ models: { small: undefined } }, /models\.small/],
  [{ models: new Map([["small", nano]]) }, /models must be an object, not a Map/],
  [{ models: JSON.parse('{"__proto__": 1}') }, /models\.__proto__/],
  [{ model: nano, [Symbol.toStringTag]: "Options" }, /not a Options/],
  [Object.create({ model: nano, apiKey: ["key"] }), /apiKey is no option/],
  [Object.assign(Object.create(throwing), { model: nano }), /apiKeys cannot be read: no secrets today/],
  [Object.defineProperty({ model: nano }, "apiKey", { value: ["key"], enumerable: false }), /apiKey is no option/],
];

describe("a wrong option", () => {
  it.each(WRONG)("closes the door before anything is served: %#", (options, words) => {
    const attempt = () => createApp(lying(options));
    expect(attempt).toThrow(TypeError);
    expect(attempt).toThrow(words);
    const entrypoint = () => createEntrypoint(lying(options));
    expect(entrypoint).toThrow(TypeError);
    expect(entrypoint).toThrow(/^createEntrypoint/);
  });

  it("never shows a key in its message", () => {
    for (const apiKeys of ["s3cret", ["s3cret", "s3cret"], ["s3cret !"], [["s3cret"]], { key: "s3cret" }])
      try {
        createApp(lying({ model: nano, apiKeys }));
        expect.unreachable();
      } catch (error) {
        expect((error as Error).message).toContain("apiKeys");
        expect((error as Error).message).not.toContain("s3cret");
      }
  });
});

describe("a right option", () => {
  it("may come without a prototype, from one, by a getter or through a proxy, and counts", async () => {
    const options = { model: nano, apiKeys: ["key"] };
    const shapes = [
      Object.assign(Object.create(null), options),
      Object.create(options),
      Object.defineProperty({ model: nano }, "apiKeys", { get: () => ["key"] }),
      new Proxy(options, {}),
      new Proxy({ model: nano }, { get: (target, name) => Reflect.get(name === "apiKeys" ? options : target, name) }),
      new (class {
        model = nano;
        get apiKeys() {
          return ["key"];
        }
      })(),
    ];
    for (const shape of shapes) {
      const call: Call = async (input, init) => createApp(shape as typeof options).request(input as string, init);
      expect((await call(`${SERVER}/v1/models`)).status).toBe(401);
      expect((await call(`${SERVER}/v1/models`, { headers: { authorization: "Bearer key" } })).status).toBe(200);
    }
  });

  it("is read once: what a getter gives later or a list becomes changes nothing", async () => {
    const keys = ["key"];
    let reads = 0;
    const options = {
      model: nano,
      get apiKeys() {
        reads++;
        return reads === 1 ? keys : undefined;
      },
    };
    const created = createApp(options);
    keys.push("intruder");
    expect(reads).toBe(1);
    expect((await created.request(`${SERVER}/v1/models`)).status).toBe(401);
    expect((await created.request(`${SERVER}/v1/models`, { headers: { authorization: "Bearer intruder" } })).status).toBe(401);
  });

  it("that is undefined is as left out", async () => {
    const limits = { maxBodyBytes: undefined, maxIterations: undefined, maxCompletionTokens: undefined, budget: undefined };
    const call = app({ limits, cors: undefined, price: undefined, clock: undefined, keyBudget: undefined, onCompletion: undefined });
    expect((await post(call, CHAT, chat())).status).toBe(200);
    expect((await post(call, CHAT, chat({ messages: [{ role: "user", content: "a".repeat(2e6) }] }))).status).toBe(413);
  });
});

describe("a verifier of keys", () => {
  it.each([["no"], [1], [{}], [[]], [undefined], [null], ["true"], [new Boolean(true)], [() => true]])(
    "that gives %j refuses with 500, and the log says why",
    async (given) => {
      for (const apiKeys of [() => given, async () => given]) {
        const response = await withKey(app({ apiKeys: lying(apiKeys) }));
        expect(response.status).toBe(500);
        expect(await response.text()).not.toContain("apiKeys");
      }
      expect(log).toHaveBeenCalledTimes(2);
      expect(String(log.mock.calls[0]!.at(-1))).toContain("apiKeys");
    },
  );

  it("that throws or rejects refuses with 500", async () => {
    const boom = new Error("database");
    for (const apiKeys of [
      () => {
        throw boom;
      },
      () => Promise.reject(boom),
    ])
      // prettier-ignore
      expect((await withKey(app({ apiKeys }))).status).toBe(500);
    expect(log).toHaveBeenCalledTimes(2);
  });

  it("may answer with an HTTPException of its own", async () => {
    const limited = app({ apiKeys: () => { throw new HTTPException(429, { message: "Slow down." }); } }); // prettier-ignore
    expect((await withKey(limited)).status).toBe(429);
  });

  it("that never settles refuses in the end", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const pending = withKey(app({ apiKeys: () => new Promise(() => undefined) }));
    await vi.advanceTimersByTimeAsync(DECISION_LIMIT_MS + 1);
    expect((await pending).status).toBe(500);
  });

  it("lets in on true alone, and says 401 on false", async () => {
    const call = app({ apiKeys: async (key) => key === "key" });
    expect((await withKey(call)).status).toBe(200);
    expect((await withKey(call, {}, "Bearer other")).status).toBe(401);
  });
});

describe("the budget of a key", () => {
  const granted = async (response: Response) => ((await response.json()) as any).budget.granted;

  it("counts when it comes as a promise, too", async () => {
    const call = app({ keyBudget: async () => ({ iterations: 2 }) });
    expect(await granted(await withKey(call, { budget: { iterations: 9 } }))).toMatchObject({ iterations: 2 });
  });

  it("counts for the very key that opens, however the header is written", async () => {
    const call = app({ apiKeys: ["key"], keyBudget: (key) => (key === "key" ? { iterations: 2 } : undefined) });
    for (const authorization of ["Bearer key", "bearer   key", "BEARER \tkey", "Bearer key  "])
      expect(await granted(await withKey(call, { budget: { iterations: 9 } }, authorization))).toMatchObject({ iterations: 2 });
  });

  it.each([
    [{ latency_ms: 100 }, "keyBudget: latency_ms is no option (did you mean latencyMs?)"],
    [{ iterations: "2" }, "keyBudget: iterations must be"],
    [{ iterations: NaN }, "keyBudget: iterations must be"],
    [{ iterations: Promise.resolve(2) }, "keyBudget: iterations must be"],
    [{ exit: "none" }, "keyBudget: exit must be an object"],
    [null, "keyBudget: what it was given must be an object"],
    [4, "keyBudget: what it was given must be an object"],
    ["none", "keyBudget"],
    [[], "keyBudget"],
  ])("that is %j refuses with 500, and the log says why", async (given, words) => {
    for (const keyBudget of [() => given, async () => given])
      expect((await withKey(app({ keyBudget: lying(keyBudget) }))).status).toBe(500);
    expect(String((log.mock.calls[0]!.at(-1) as Error).message)).toContain(words);
  });

  it("that cannot be had refuses with 500", async () => {
    const boom = new Error("database");
    for (const keyBudget of [
      () => {
        throw boom;
      },
      () => Promise.reject(boom),
    ])
      // prettier-ignore
      expect((await withKey(app({ keyBudget }))).status).toBe(500);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const pending = withKey(app({ keyBudget: () => new Promise(() => undefined) }));
    await vi.advanceTimersByTimeAsync(DECISION_LIMIT_MS + 1);
    expect((await pending).status).toBe(500);
  });
});

describe("the function of a model", () => {
  it.each([[undefined], [{}], ["nano"], [{ ...nano, card: undefined }]])("that gives no model is 503: %#", async (given) => {
    expect((await post(app({ model: lying(async () => given) }), CHAT, chat())).status).toBe(503);
    expect(String(log.mock.calls[0]!.at(-1))).toContain("must give a loaded model");
  });
});

describe("a clock", () => {
  it.each([
    [
      "throws",
      () => {
        throw new Error("broken");
      },
    ],
    ["gives NaN", () => NaN],
    ["gives a text", () => "noon"],
    ["gives a promise", async () => 5],
    [
      "runs backwards",
      (
        (at) => () =>
          (at -= 1000)
      )(1e9),
    ],
  ])("that %s holds no answer up and lifts no ceiling", async (_what, now) => {
    // prettier-ignore
    const call = app({ clock: { now: lying(now), moves: true }, limits: { maxIterations: 3 } });
    const response = await post(call, CHAT, chat({ budget: { latency_ms: 5000, iterations: 9 } }));
    expect(response.status).toBe(200);
    const { budget } = (await response.json()) as any;
    expect(budget.granted.iterations).toBe(3);
    expect(budget.latency_ms).toBeGreaterThanOrEqual(0);
  });
});

describe("breathe", () => {
  const breaths: readonly [string, () => unknown][] = [
    ["throws", () => { throw new Error("no air"); }],
    ["rejects", () => Promise.reject(new Error("no air"))],
    ["gives nothing", () => undefined],
  ]; // prettier-ignore
  it.each(breaths)("that %s ends no answer", async (_what, breathe) => {
    const response = await post(app({ model: endless, breathe: lying(breathe) }), CHAT, chat({ max_tokens: 4 }));
    expect(response.status).toBe(200);
    expect(((await response.json()) as any).usage.completion_tokens).toBe(4);
    expect(log.mock.calls.length).toBe(_what === "gives nothing" ? 0 : 1);
  });

  it("that never returns holds an answer up once, and no longer than its limit", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    let breaths = 0;
    const breathe = () => new Promise<void>(() => void breaths++);
    const pending = post(app({ model: endless, breathe }), CHAT, chat({ max_tokens: 4 }));
    await vi.waitFor(() => expect(breaths).toBe(1));
    await vi.advanceTimersByTimeAsync(BREATH_LIMIT_MS + 1);
    vi.useRealTimers();
    expect((await pending).status).toBe(200);
    expect(breaths).toBe(1);
  });
});

describe("cors.origin", () => {
  const preflight = { method: "OPTIONS", headers: { origin: "https://shop.test", "access-control-request-method": "POST" } };
  const allowed = async (origin: unknown) =>
    (await app({ cors: { origin: lying(origin) } })(`${SERVER}${CHAT}`, preflight)).headers.get("access-control-allow-origin");

  it("as a function lets in what it gives", async () => {
    expect(await allowed((o: string) => o)).toBe("https://shop.test");
    expect(await allowed(async (o: string) => o)).toBe("https://shop.test");
    expect(await allowed(() => undefined)).toBeNull();
    expect(log).not.toHaveBeenCalled();
  });

  it("as a function that gives nonsense, throws or rejects lets nobody in", async () => {
    const boom = new Error("boom");
    const wrong = [() => true, () => ({}), () => "yes", async () => 1, () => { throw boom; }, () => Promise.reject(boom)]; // prettier-ignore
    for (const origin of wrong) expect(await allowed(origin)).toBeNull();
    expect(log).toHaveBeenCalledTimes(wrong.length);
  });
});

describe("once", () => {
  it.each([
    [[undefined], /must be a function, not undefined/],
    [[nano], /must be a function, not an object/],
    [[async () => nano, { timeLimit: 5 }], /timeLimit is no option \(did you mean timeLimitMs\?\)/],
    [[async () => nano, { time_limit_ms: 5 }], /did you mean timeLimitMs/],
    [[async () => nano, { timeLimitMs: "5" }], /timeLimitMs must be a number/],
    [[async () => nano, null], /must be an object, not null/],
  ])("refuses what is no load, and options of other names: %#", (given, words) => {
    const attempt = () => (once as (...args: unknown[]) => unknown)(...given);
    expect(attempt).toThrow(TypeError);
    expect(attempt).toThrow(words);
  });
});
