/** POST /v1/embeddings: its shape and its executor, put together. */
import type { Handler } from "hono";
import { answerWhole, type Serving } from "../whole-answer.ts";
import { runEmbeddings } from "./execute.ts";
import { embeddingsObject, parseEmbeddings } from "./request.ts";

export function embeddingsHandler<Bindings extends object>(serving: Serving<Bindings>): Handler<{ Bindings: Bindings }> {
  return async (c) => {
    const work = { operation: "embeddings", parse: (text: string) => parseEmbeddings(JSON.parse(text)), run: runEmbeddings } as const;
    const { id, report } = await answerWhole(c, serving, work);
    return c.json(embeddingsObject(id, report));
  };
}
