/**
 * Bindings of the packaged Workers: read when the Worker starts, or refused there by name.
 */
import { describe, expect, it } from "vitest";
import { parseApiKeys } from "../../worker/keys.ts";
import { readBindings } from "../../worker/bindings.ts";
import { ASSETS } from "./support.ts";

const open = { ASSETS, MODEL: "nano" };
const env = { ...open, OPEN_TO_ALL: "true" };
const DIGEST = "ab".repeat(32);
const RATE = { limit: async () => ({ success: true }) };

describe("the Worker's bindings", () => {
  it("are read where they are right", () => {
    expect(readBindings(env)).toEqual({ MODEL: "nano", LOG_WORK: false });
    expect(readBindings({ ...env, API_KEYS: " k1 , k2\n", ALLOWED_HOSTS: "localhost, 127.0.0.1", LOG_WORK: "true", MY_QUEUE: {} })).toEqual(
      {
        MODEL: "nano",
        API_KEYS: ["k1", "k2"],
        ALLOWED_HOSTS: ["localhost", "127.0.0.1"],
        LOG_WORK: true,
      },
    );
  });

  it("are refused where everyone could call and nobody said so", () => {
    expect(() => readBindings(open)).toThrow(/no API_KEYS, so everyone could call.*wrangler secret put API_KEYS.*OPEN_TO_ALL = "true"/s);
    expect(() => readBindings({ ...open, OPEN_TO_ALL: "false" })).toThrow(/no API_KEYS/);
    expect(readBindings({ ...open, API_KEYS: "k1" })).toMatchObject({ API_KEYS: ["k1"] });
    expect(readBindings({ ...open, OPEN_TO_ALL: true })).not.toHaveProperty("API_KEYS");
  });

  it("give keys by their digests, with ceilings and rates of their own, as JSON", () => {
    const keys = [{ sha256: DIGEST, name: "shop", budget: { iterations: 8 }, rate: "small" }, `sha256:${DIGEST.replace("a", "c")}`];
    const RATES = { small: { binding: "SLOWLY", requests: 5, periodSeconds: 10 } };
    for (const text of [JSON.stringify(keys), ` ${JSON.stringify(keys, null, 2)}\n`])
      expect(readBindings({ ...open, API_KEYS: text, RATES: JSON.stringify(RATES), SLOWLY: RATE })).toMatchObject({
        API_KEYS: keys,
        RATES: { small: { requests: 5, periodSeconds: 10, limiter: expect.any(Function) } },
      });
    expect(readBindings({ ...open, API_KEYS: `sha256:${DIGEST}, k2` })).toMatchObject({ API_KEYS: [`sha256:${DIGEST}`, "k2"] });
  });

  it.each([
    [{ API_KEYS: "[" }, /API_KEYS begins with \[ and is no JSON/],
    [{ API_KEYS: "[]" }, /API_KEYS holds no key/],
    [{ API_KEYS: '[{"sha256":"abc"}]' }, /API_KEYS has as key 1 of 1 one whose sha256 must be 64 hex digits/],
    [{ OPEN_TO_ALL: "yes" }, /OPEN_TO_ALL must be "true" or "false"/],
    [{ RATES: "fast" }, /RATES must be an object such as .* this text is no JSON/],
    [{ RATES: { default: { binding: "RATE", requests: 5 } }, RATE }, /RATES.default.periodSeconds is missing/],
    [
      { RATES: { default: { binding: "RATE", requests: 5, periodSeconds: 10 } } },
      /RATES.default.binding is "RATE", which is no rate limit/,
    ],
    [{ API_KEYS: "" }, /API_KEYS holds no key/],
    [{ API_KEYS: " , " }, /API_KEYS holds no key/],
    [{ API_KEYS: "k1,,k2" }, /API_KEYS has as key 2 of 3 an empty text/],
    [{ API_KEYS: "k1, k 2" }, /API_KEYS has as key 2 of 2 one that no caller can send/],
    [{ API_KEYS: "k1,k1" }, /API_KEYS has as key 2 of 2 the same as key 1/],
    [{ API_KEYS: ["k1"] }, /API_KEYS must be a text/],
    [{ API_KEY: "k1" }, /API_KEY is none that it knows \(did you mean API_KEYS\?\)/],
    [{ APIKEYS: "k1" }, /did you mean API_KEYS/],
    [{ api_keys: "k1" }, /did you mean API_KEYS/],
    [{ LOG_WORK: "yes" }, /LOG_WORK must be "true" or "false", not "yes"/],
    [{ LOG_WORKS: "true" }, /did you mean LOG_WORK/],
    [{ ASSETS: undefined }, /ASSETS is missing/],
    [{ ASSETS: "models" }, /ASSETS must be a binding to static assets/],
    [{ ANALYTICS: "completions" }, /ANALYTICS must be a binding to an Analytics Engine dataset/],
    [{ MODEL: "" }, /MODEL must be/],
    [{ MODEL: undefined }, /MODEL is missing/],
    [{ MODEL: "../secrets" }, /MODEL must be/],
    [{ MODEL: "a?b" }, /MODEL must be/],
    [{ MODEL: "https://evil.test" }, /MODEL must be/],
  ])("are refused where they are wrong: %j", (wrong, words) => {
    const attempt = () => readBindings({ ...env, ...wrong });
    expect(attempt).toThrow(TypeError);
    expect(attempt).toThrow(words);
  });
});

describe("keys as a text", () => {
  it("are separated by commas and trimmed", () => {
    expect(parseApiKeys("k1, k2", "--api-keys")).toEqual(["k1", "k2"]);
    expect(parseApiKeys("sk-A_b.c~d+e/f==", "--api-keys")).toEqual(["sk-A_b.c~d+e/f=="]);
  });

  it.each(["", ",", " ", "k1,", "a b", "k;1", 'k"1', "ключ", "k1, k1", "=k", "k1\tk2"])(
    "are refused by name where no caller could send them or one is there twice: %j",
    (text) => {
      expect(() => parseApiKeys(text, "--api-keys")).toThrow(
        expect.objectContaining({ code: "invalid_request", param: "--api-keys", message: expect.stringContaining("--api-keys") }),
      );
    },
  );
});
