/**
 * The two routes that decide: a body in their API's shape, the one executor, an answer in the same shape.
 */
import type { Handler, MiddlewareHandler } from "hono";
import { ApiError, toApiError } from "../errors.ts";
import { answerWhole, type Serving } from "../whole-answer.ts";
import { runDecision } from "./execute.ts";
import { parseDecisions } from "./openai.ts";
import type { ParsedDecision, WireDecision } from "./request.ts";
import { parseSent, writeJson, type SentJson } from "./sent-json.ts";
import { parseSystemOne } from "./systemone.ts";

/** An API's shape, and the status that its clients know for a body that is wrong. */
interface Shape {
  readonly parse: (sent: SentJson, model?: string) => ParsedDecision;
  readonly invalidStatus: 400 | 422;
}

export const SHAPES = {
  decisions: { parse: parseDecisions, invalidStatus: 400 },
  systemone: { parse: parseSystemOne, invalidStatus: 422 },
} as const satisfies Record<string, Shape>;

export function decisionHandler<Bindings extends object>(
  { parse, invalidStatus }: Shape,
  serving: Serving<Bindings>,
): Handler<{ Bindings: Bindings }> {
  return async (c) => {
    let parsed: ParsedDecision | undefined;
    const read = (text: string): WireDecision => (parsed = parse(parseSent(text))).request;
    try {
      const { id, report } = await answerWhole(c, serving, { operation: "decision", parse: read, run: runDecision });
      c.header("Content-Type", "application/json");
      return c.body(writeJson(parsed!.respond(id, report)));
    } catch (error) {
      throw inShape(error, parsed, invalidStatus);
    }
  };
}

/** An error of the caller's as the API's clients know it: by their status, and by their names of the fields. */
function inShape(error: unknown, parsed: ParsedDecision | undefined, invalidStatus: Shape["invalidStatus"]): unknown {
  const { status, code, message, param, cause } = toApiError(error);
  if (status !== 400) return error;
  return new ApiError(invalidStatus, code, message, param && (parsed?.rename?.(param) ?? param), { cause });
}

/** TypeSafe's clients tell this header's value in their errors. */
export function typeSafeRequestId(): MiddlewareHandler {
  return async (c, next) => {
    await next();
    c.res.headers.set("X-TypeSafe-Request-Id", c.get("requestId") as string);
  };
}
