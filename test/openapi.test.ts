/** The OpenAPI document is that of today's sources, is one, and says what the server does. */
import { readFileSync } from "node:fs";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { beforeAll, describe, expect, it } from "vitest";
import { loadNodeModel } from "../cli/models.ts";
import { FILE, openApi } from "../docs/openapi/document.ts";
import { createApp } from "../worker/app.ts";

interface Operation {
  readonly requestBody?: {
    readonly content: { readonly "application/json": { readonly schema: { readonly $ref: string }; example: object } };
  };
  readonly responses: Readonly<Record<string, { readonly content: Readonly<Record<string, { schema: { $ref: string } }>> }>>;
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<"get" | "post", Operation>>>>;
  readonly components: { readonly schemas: object };
}

const text = readFileSync(FILE, "utf8");
const document = JSON.parse(text) as Document;
const ajv = new Ajv2020({ strict: false, allErrors: true });
ajv.addSchema(document, "openapi.json");

function validatorOf(reference: string): ValidateFunction {
  return ajv.getSchema(`openapi.json${reference}`)!;
}

/** What a schema says against a value; none where it follows it. */
function against(reference: string, value: unknown): string[] {
  const validate = validatorOf(reference);
  validate(value);
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}

describe("openapi.json", () => {
  it("is that of today's sources; npm run docs:openapi writes it", { timeout: 60_000 }, () => {
    const today = openApi();
    expect(JSON.parse(text)).toEqual(JSON.parse(today)); // says what differs
    expect(text).toBe(today);
  });

  it("is a valid OpenAPI document", async () => {
    const validator = new Validator();
    expect(await validator.validate(JSON.parse(text))).toMatchObject({ valid: true });
    expect(validator.version).toBe("3.1");
  });
});

describe("the server, beside openapi.json", { timeout: 60_000 }, () => {
  let app: ReturnType<typeof createApp>;
  beforeAll(async () => {
    const models = { nano: await loadNodeModel("nano", "wasm"), decider: await loadNodeModel("models/decider", "wasm") };
    app = createApp({ models, limits: { maxBodyBytes: 4096 } });
  }, 60_000);

  function request(method: string, path: string, body?: unknown): Promise<Response> {
    const headers = { "content-type": "application/json" };
    return Promise.resolve(app.request(path, { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) }));
  }

  it("has the same routes", () => {
    const served = app.routes.filter(({ method, path }) => ["GET", "POST"].includes(method) && !path.includes("*"));
    const here = new Set(served.map(({ method, path }) => `${method} ${path.replace(/:(\w+)/, "{$1}")}`));
    const there = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect([...here].toSorted()).toEqual(there.toSorted());
  });

  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );

  it.each(operations)("answers $method $path as it says", async ({ method, path, operation }) => {
    const example = operation.requestBody?.content["application/json"].example;
    const body = operation.requestBody?.content["application/json"].schema.$ref;
    if (body !== undefined) expect(against(body, example), "the example").toEqual([]);
    for (const model of ["nano", "decider"]) {
      const response = await request(method, path.replace("{id}", model), example);
      expect(response.status).toBe(200);
      const { schema } = operation.responses[200]!.content["application/json"]!;
      expect(against(schema.$ref, await response.json()), `the answer of ${model}`).toEqual([]);
    }
  });

  it.each(["/v1/chat/completions", "/v1/completions"])("streams the events that it says at %s", async (path) => {
    const { requestBody, responses } = document.paths[path]!.post;
    const body = { ...requestBody!.content["application/json"].example, stream: true, stream_options: { include_usage: true } };
    const events = (await (await request("POST", path, body)).text()).split("\n\n").filter((event) => event !== "");
    expect(events.at(-1)).toBe("data: [DONE]");
    const { "x-event": event } = responses[200]!.content["text/event-stream"] as unknown as { "x-event": { $ref: string } };
    for (const data of events.slice(0, -1).map((each) => JSON.parse(each.slice("data: ".length)) as unknown))
      expect(against(event.$ref, data), JSON.stringify(data)).toEqual([]);
  });

  const messages = [{ role: "user", content: "Hello" }];
  const predicate = { type: "predicate", instructions: "x" };
  it.each([
    ["/v1/chat/completions", { model: "nano" }, 400],
    ["/v1/chat/completions", { model: "nano", messages, temperature: 3 }, 400],
    ["/v1/chat/completions", { model: "nano", messages, max_tokens: 0 }, 400],
    ["/v1/chat/completions", { model: "nano", messages, stop: ["a", "b", "c", "d", "e"] }, 400],
    ["/v1/chat/completions", { model: "nano", messages, tools: [{}] }, 400],
    ["/v1/chat/completions", { model: "nano", messages, iterations: 3 }, 400],
    ["/v1/chat/completions", { model: "nano", messages, budget: { latency: 3 } }, 400],
    ["/v1/chat/completions", { model: "nano", messages, budget: { iterations: 0.5 } }, 400],
    ["/v1/chat/completions", { model: "nano", messages, reasoning_effort: "huge" }, 400],
    ["/v1/completions", { model: "nano", prompt: ["a", "b"] }, 400],
    ["/v1/completions", { model: "nano", prompt: [-1] }, 400],
    ["/v1/embeddings", { model: "decider", input: "a", encoding_format: "hex" }, 400],
    ["/v1/embeddings", { model: "decider", input: 7 }, 400],
    ["/v1/decisions", { model: "decider", input: "a", questions: [] }, 400],
    ["/v1/decisions", { model: "decider", input: "a", questions: [{ ...predicate, kind: "x" }] }, 400],
    ["/v1/decisions", { model: "decider", input: "a", questions: [{ type: "choice", instructions: "x", choices: [{ value: "a" }] }] }, 400],
    ["/v1/decisions", { model: "decider", input: [{ role: "judge", content: "a" }], questions: [predicate] }, 400],
    ["/v1/decisions", { model: "decider", input: "a", questions: [predicate], abstain: { fit: 2 } }, 400],
    ["/v1/systemone", { model: "decider", state: 7, questions: { a: { type: "noul" } } }, 422],
    ["/v1/systemone", { model: "decider", state: "a", questions: { a: { type: "score", criteria: ["one"] } } }, 422],
  ] as const)("refuses at %s what it says is wrong: %j", async (path, body, status) => {
    const { requestBody, responses } = document.paths[path]!.post;
    expect(against(requestBody!.content["application/json"].schema.$ref, body)).not.toEqual([]);
    const response = await request("POST", path, body);
    expect(response.status).toBe(status);
    expect(against(responses[status]!.content["application/json"]!.schema.$ref, await response.json())).toEqual([]);
  });

  it("has every status that refusals have", async () => {
    const refused = [
      await request("POST", "/v1/chat/completions", { model: "none", messages }),
      await request("POST", "/v1/chat/completions", { model: "nano", messages, budget: { latency_ms: 0.0001 } }),
      await request("POST", "/v1/chat/completions", { model: "nano", messages, user: "x".repeat(5000) }),
      await app.request("/v1/chat/completions", { method: "POST", body: "x" }),
    ];
    const { responses } = document.paths["/v1/chat/completions"]!.post;
    for (const response of refused) {
      expect(Object.keys(responses)).toContain(`${response.status}`);
      expect(against("#/components/schemas/ErrorObject", await response.json())).toEqual([]);
    }
    expect(refused.map(({ status }) => status)).toEqual([404, 422, 413, 415]);
  });
});
