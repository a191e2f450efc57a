/**
 * Models that decide: small random ones, and the reference model in branch form, where it is.
 */
import { existsSync, readFileSync } from "node:fs";
import { diskFolder } from "../../cli/files.ts";
import { defaultCard, type CardJson } from "../../engine/model/card.ts";
import { parseConfig, type ModelConfig } from "../../engine/model/config.ts";
import { convertingSink, planConversion, type TargetFormat } from "../../engine/model/convert.ts";
import { readWeights, WEIGHTS, type ModelFolder } from "../../engine/model/folder.ts";
import { loadModel, type Backend, type BackendFactory, type Model } from "../../engine/port/index.ts";
import { source } from "../engine/files.ts";

export * from "./small.ts";

/** Where the reference model in branch form lies; it is not shipped. */
export const DECIDER = new URL("../../../shared/reference/decider/", import.meta.url).pathname;
export const hasDecider = existsSync(`${DECIDER}model.safetensors`);

export interface ReferenceCase {
  readonly input: string;
  readonly instructions: string;
  readonly type: "choice" | "predicate";
  readonly options: readonly string[] | null;
  readonly shared: readonly number[];
  readonly branches: readonly (readonly number[])[];
  /** By iterations. */
  readonly fit: Readonly<Record<string, readonly number[]>>;
}

/** The card that its markers ask for. */
function deciderCard(config: ModelConfig): CardJson {
  const markers = { begin: "<|begin_text|>", question: "<|question|>", option: "<|option|>", fits: "<|fits|>", yes: "<|yes|>" };
  const decisions = {
    form: "branches" as const,
    markers,
    temperatures: {},
    iterations: 16,
    exit: { criterion: "latent-diff" as const, threshold: 0.03, minIterations: 0 },
  };
  return { ...defaultCard("decider", config), iterations: 16, maxIterations: 64, decisions };
}

export function referenceCases(): readonly ReferenceCase[] {
  return (JSON.parse(readFileSync(`${DECIDER}decisions.json`, "utf8")) as { cases: ReferenceCase[] }).cases;
}

/** Loads it with a card of its form. @param format of its weights [default as they are, f32] */
export async function loadDecider<B extends Backend>(createBackend: BackendFactory<B>, format: TargetFormat = "f32"): Promise<Model<B>> {
  const folder = diskFolder(DECIDER);
  const config = parseConfig(JSON.parse(readFileSync(`${DECIDER}config.json`, "utf8")));
  const weights = format === "f32" ? undefined : await converted(folder, config, format);
  return loadModel(
    {
      name: "decider",
      readText: async (file) => (file === "card.json" ? JSON.stringify(deciderCard(config)) : folder.readText(file)),
      open: async (file) => (file === WEIGHTS && weights !== undefined ? source(weights) : folder.open(file)),
    },
    createBackend,
  );
}

async function converted(folder: ModelFolder, config: ModelConfig, format: TargetFormat): Promise<Uint8Array> {
  const plan = planConversion(config, format);
  const file = new Uint8Array(plan.header.length + plan.dataBytes);
  file.set(plan.header);
  const sink = convertingSink(plan, ({ begin }, bytes, at) => file.set(bytes, plan.header.length + begin + at));
  await readWeights(folder, config, sink);
  return file;
}
