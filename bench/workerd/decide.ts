/**
 * The decisions bench inside workerd: POST {"sized", "limits"} answers with the times of a case on the random model,
 * without `sized` with those of one predicate on the shipped model.
 */
import { decisionDefaults } from "../../engine/decide/decide.ts";
import { loadModel, type Model } from "../../engine/port/model.ts";
import { assetsFolder } from "../../worker/model-source.ts";
import { createWorkerBackend } from "../../worker/wasm-backend.ts";
import { deciderModel, type DecideCase } from "../decide-model.ts";
import { decideRun, timeDecision, type RunLimits } from "../decide-run.ts";

interface Asked {
  readonly sized?: DecideCase;
  readonly limits: RunLimits;
}

/** 30 tokens of the shipped model's. */
const INPUT = "Question: Ada lies. Bo says Ada lies. Cem says Bo tells the truth. Does Cem tell the truth?";

let random: Promise<Model> | undefined;
let shipped: Promise<Model> | undefined;

export default {
  async fetch(request: Request, { ASSETS }: { ASSETS: Fetcher }): Promise<Response> {
    const { sized, limits } = (await request.json()) as Asked;
    if (sized !== undefined) return Response.json(await decideRun(await (random ??= deciderModel(createWorkerBackend)), sized, limits));
    const model = await (shipped ??= loadModel(assetsFolder(ASSETS, "nano"), createWorkerBackend));
    const question = { kind: "predicate", instructions: "" } as const;
    const run = await timeDecision(model, { input: INPUT, questions: [question] }, decisionDefaults(model.card), limits);
    return Response.json({ model: model.card.id, form: model.decisions.name, inputTokens: model.text.encodePart(INPUT).length, ...run });
  },
};
