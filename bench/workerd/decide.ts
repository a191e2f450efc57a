/**
 * The decisions bench inside workerd: POST {"sized", "limits"} answers with the times of a case on the random model,
 * {"options", "limits"} with those of one question on the shipped model, a predicate where it has no options.
 */
import { decisionDefaults } from "../../engine/decide/decide.ts";
import type { Question } from "../../engine/decide/question.ts";
import { loadModel, type Model } from "../../engine/port/model.ts";
import { assetsFolder } from "../../worker/model-source.ts";
import { createWorkerBackend } from "../../worker/wasm-backend.ts";
import { deciderModel, type DecideCase } from "../decide-model.ts";
import { decideRun, timeDecision, type RunLimits } from "../decide-run.ts";

interface Asked {
  readonly sized?: DecideCase;
  readonly options?: number;
  readonly limits: RunLimits;
}

/** 30 tokens of the shipped model's. */
const INPUT =
  "I was charged twice for the same order last week and nobody has answered my messages since then, please give me my money back.";

let random: Promise<Model> | undefined;
let shipped: Promise<Model> | undefined;

export default {
  async fetch(request: Request, { ASSETS }: { ASSETS: Fetcher }): Promise<Response> {
    const { sized, limits, options = 0 } = (await request.json()) as Asked;
    if (sized !== undefined) return Response.json(await decideRun(await (random ??= deciderModel(createWorkerBackend)), sized, limits));
    const model = await (shipped ??= loadModel(assetsFolder(ASSETS, "decider"), createWorkerBackend));
    const texts = Array.from({ length: options }, (_, i) => ({ text: `reason number ${i}` }));
    const question: Question =
      options === 0
        ? { kind: "predicate", instructions: "The customer wants a refund." }
        : { kind: "choice", instructions: "What is it about?", options: texts };
    const run = await timeDecision(model, { input: INPUT, questions: [question] }, decisionDefaults(model.card), limits);
    return Response.json({
      model: model.card.id,
      options,
      form: model.decisions.name,
      inputTokens: model.text.encodePart(INPUT).length,
      ...run,
    });
  },
};
