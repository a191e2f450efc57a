/**
 * The paths of the HTTP API, as OpenAPI writes them: what goes in, what comes back, with which headers. Not here: the
 * schemas of bodies (schemas.ts).
 */
import type { Schema } from "./schemas.ts";

const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });
const json = (name: string): Schema => ({ "application/json": { schema: ref(name) } });

const REFUSALS: Readonly<Record<string, string>> = {
  400: "The request is wrong; `error.param` names the field.",
  401: "No key, or one that is not valid here.",
  403: "This host name or origin is not let in.",
  404: "There is no such model.",
  413: "The body is larger than the deployment takes.",
  415: "The body is not application/json.",
  422: "The budget cannot be met; `error.minimum` is the least that would do.",
  429: "More requests than the key's rate allows; `Retry-After` says when to come again.",
  500: "A failure of the model or the server; its log knows the `x-request-id`.",
  503: "No room, no time or no model now; `Retry-After` says when to come again.",
};

const RETRY = { "Retry-After": { description: "Seconds.", schema: { type: "integer" } } };
const ANSWERED = {
  "Server-Timing": { description: "Milliseconds of the whole answer, estimated where the clock stands still.", schema: { type: "string" } },
  "Preference-Applied": { description: "What of the header Prefer was heeded.", schema: { type: "string" } },
};

function refusals(...statuses: readonly number[]): Schema {
  return Object.fromEntries(
    statuses.map((status) => [
      status,
      { description: REFUSALS[status], content: json("ErrorObject"), ...((status === 429 || status === 503) && { headers: RETRY }) },
    ]),
  );
}

const ASKED = [400, 401, 403, 404, 413, 415, 422, 429, 500, 503];
const READ = [401, 403, 404, 500, 503];

const BUDGET_HEADERS = ["Budget", "Wait"].map((name) => ({ $ref: `#/components/parameters/${name}` }));

export const PARAMETERS = {
  Budget: {
    name: "X-Budget",
    in: "header",
    description:
      "The body's `budget`, for callers that cannot touch the body: a structured dictionary (RFC 9651). The smaller of the two counts.",
    schema: { type: "string" },
    example: "latency-ms=150, iterations=16",
  },
  Wait: {
    name: "Prefer",
    in: "header",
    description: "`wait=N` lowers the time for the response to N seconds (RFC 7240).",
    schema: { type: "string" },
    example: "wait=2",
  },
};

interface Posted {
  readonly id: string;
  readonly summary: string;
  readonly body: string;
  readonly answer: string;
  readonly example: object;
  readonly tag: string;
  /** The event of a stream, where there is one. */
  readonly event?: string;
}

function posted({ id, summary, body, answer, example, tag, event }: Posted): Schema {
  return {
    post: {
      operationId: id,
      summary,
      tags: [tag],
      security: [{ key: [] }, {}],
      parameters: BUDGET_HEADERS,
      requestBody: { required: true, content: { "application/json": { schema: ref(body), example } } },
      responses: {
        200: {
          description: event === undefined ? "The answer." : "The answer; with `stream: true` server-sent events, the last of them [DONE].",
          headers: ANSWERED,
          content: {
            ...json(answer),
            ...(event !== undefined && { "text/event-stream": { "x-event": ref(event) } }),
          },
        },
        ...refusals(...ASKED),
      },
    },
  };
}

const QUESTION = "Question: Ada lies. Bo says Ada lies. Does Bo tell the truth?";
const model = "nano";
const budget = { iterations: 16 };

export const PATHS: Readonly<Record<string, Schema>> = {
  "/v1/chat/completions": posted({
    id: "createChatCompletion",
    summary: "Answer messages, as OpenAI's API does",
    tag: "completions",
    body: "ChatBody",
    answer: "ChatObject",
    event: "ChunkObject",
    example: { model, messages: [{ role: "user", content: QUESTION }], budget },
  }),
  "/v1/completions": posted({
    id: "createCompletion",
    summary: "Continue a text, as OpenAI's API does",
    tag: "completions",
    body: "TextBody",
    answer: "TextObject",
    event: "TextChunkObject",
    example: { model, prompt: QUESTION, budget },
  }),
  "/v1/embeddings": posted({
    id: "createEmbeddings",
    summary: "Vectors of texts, as OpenAI's API gives them, of models that have them",
    tag: "decisions",
    body: "EmbeddingsBody",
    answer: "EmbeddingsObject",
    example: { model: "decider", input: ["I lost my card"] },
  }),
  "/v1/decisions": posted({
    id: "createDecision",
    summary: "Probabilities to typed questions about an input, in the shape of OpenAI's API",
    tag: "decisions",
    body: "DecisionsBody",
    answer: "DecisionsObject",
    example: {
      model: "decider",
      input: "I lost my card",
      questions: [{ type: "choice", instructions: "What is it about?", choices: [{ value: "lost card" }, { value: "exchange rate" }] }],
    },
  }),
  "/v1/systemone": posted({
    id: "createSystemOne",
    summary: "The same in the shape of TypeSafe's API; a wrong body is 422 there",
    tag: "decisions",
    body: "SystemOneBody",
    answer: "SystemOneObject",
    example: {
      model: "decider",
      state: "I lost my card",
      questions: { about: { type: "choice", criteria: { "lost card": null, "exchange rate": null } } },
    },
  }),
  "/v1/models": {
    get: {
      operationId: "listModels",
      summary: "The models that can be asked",
      tags: ["models"],
      security: [{ key: [] }, {}],
      responses: { 200: { description: "The models.", content: json("ModelListObject") }, ...refusals(...READ.filter((s) => s !== 404)) },
    },
  },
  "/v1/models/{id}": {
    get: {
      operationId: "getModel",
      summary: "A model's card: all that is needed to choose a budget knowingly",
      tags: ["models"],
      security: [{ key: [] }, {}],
      parameters: [{ name: "id", in: "path", required: true, schema: { type: "string" }, example: model }],
      responses: { 200: { description: "The card.", content: json("ModelCardObject") }, ...refusals(...READ) },
    },
  },
  "/health": {
    get: {
      operationId: "health",
      summary: "That the process answers, and how each model stands",
      tags: ["operations"],
      security: [],
      responses: { 200: { description: "It answers.", content: json("HealthObject") }, ...refusals(403, 500) },
    },
  },
  "/ready": {
    get: {
      operationId: "ready",
      summary: "Whether every model can answer; begins loads that are due",
      tags: ["operations"],
      security: [],
      responses: {
        200: { description: "All can.", content: json("HealthObject") },
        503: { description: "Not yet.", headers: RETRY, content: json("HealthObject") },
        ...refusals(403, 500),
      },
    },
  },
};
