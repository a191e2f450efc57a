/**
 * The engine in a web page: a model folder and a Wasm build by URL, WebGPU where the browser has it, Wasm where it has
 * none or loses it. The playground's page imports it; a page of your own would have it bundled.
 */
import { decide, decisionDefaults, prepareDecision } from "../../engine/decide/decide.ts";
import type { Decision } from "../../engine/decide/decision.ts";
import type { DecisionRequest } from "../../engine/decide/question.ts";
import { NEVER_EXIT } from "../../engine/exit-rule.ts";
import { generate, type GeneratedToken } from "../../engine/decode/generate.ts";
import { loadModel, type Model } from "../../engine/port/model.ts";
import { TextStream } from "../../engine/model/text/text-stream.ts";
import { canKeepModels, opfsFolder, type DownloadProgress } from "../../folders/opfs.ts";
import { urlFolder } from "../../folders/url.ts";
import { browserDevice } from "../../kernels/browser.ts";
import { gpuFirst } from "../../kernels/index.ts";
import { browserWasm } from "../../wasm/browser.ts";

export interface EngineOptions {
  /** URL of a model folder, ending with a slash. */
  readonly model: string;
  /** URL of the folder that holds relaxed.wasm and simd.wasm, ending with a slash. */
  readonly wasm: string;
  /** Keep the model's files in the browser, so that they come over the network once. [default where the page can] */
  readonly keep?: boolean;
  /** Take a GPU that a CPU plays, too, though Wasm is faster. [default false] */
  readonly allowSoftware?: boolean;
  /** Gets a line on which backend runs, and why, how far a download is, and what is doubtful in the model's files. [default none] */
  readonly log?: (line: string) => void;
}

export interface Piece {
  /** Text that has become final; empty while a character is incomplete. */
  readonly text: string;
  readonly token: GeneratedToken;
}

/** A decision, had it been ended after some iterations. */
export interface DecisionStep {
  readonly decision: Decision;
  readonly ms: number;
}

export interface Engine {
  readonly model: Model;
  /**
   * Decides at one iteration, at two and so on up to `iterations`; the last step is under the card's exit rule, which says
   * where it would have stopped. [iterations=16]
   */
  decide(request: DecisionRequest, iterations?: number): AsyncGenerator<DecisionStep, void, undefined>;
  /** Answers one question, thinking at most `iterations` a token. [iterations=the model card's] */
  ask(question: string, iterations?: number): AsyncGenerator<Piece, void, undefined>;
}

/**
 * Loads a model.
 * @throws {FathomError} unavailable, or what is wrong with the model's files
 * @example
 * const engine = await openEngine({ model: "/models/nano/", wasm: "/wasm/" });
 * for await (const { text } of engine.ask("Start with 3. Add 4. Double it. Subtract 9. What is the last digit?")) output.append(text);
 */
export async function openEngine({
  model: url,
  wasm,
  keep = canKeepModels(),
  allowSoftware = false,
  log = () => undefined,
}: EngineOptions): Promise<Engine> {
  const fallback = browserWasm({ relaxed: `${wasm}relaxed.wasm`, simd: `${wasm}simd.wasm`, kv: "f32" }); // as the GPU keeps them, should it go away
  const gpuOptions = { allowSoftware, allowedBy: "?gpu=software in this page's address" };
  const folder = keep ? await opfsFolder(url, { notice: log, progress: tenths(log) }) : urlFolder(url, { notice: log });
  const model = await loadModel(folder, gpuFirst(await browserDevice(), fallback, log, gpuOptions));
  return {
    model,
    ask: (question, iterations) => ask(model, question, iterations),
    decide: (request, iterations) => decideByDepth(model, request, iterations),
  };
}

/** A line for every tenth of a download. */
function tenths(log: (line: string) => void): (progress: DownloadProgress) => void {
  let told = -1;
  return ({ doneBytes, totalBytes }) => {
    const tenth = Math.floor((10 * doneBytes) / totalBytes);
    if (tenth <= told) return;
    told = tenth;
    log(`The model is downloaded once: ${(doneBytes / 1e6).toFixed(1)} of ${(totalBytes / 1e6).toFixed(1)} MB.`);
  };
}

async function* decideByDepth(model: Model, request: DecisionRequest, most = 16): AsyncGenerator<DecisionStep, void, undefined> {
  const prepared = prepareDecision(model, request);
  const { exit } = decisionDefaults(model.card);
  const depths = Array.from({ length: most }, (_, i) => ({ iterations: i + 1, exit: NEVER_EXIT }));
  for (const thinking of [...depths, { iterations: most, exit }]) {
    const startMs = performance.now();
    const decision = await decide(prepared, thinking);
    yield { decision, ms: performance.now() - startMs };
    await breathe();
  }
}

async function* ask(model: Model, question: string, iterations = model.card.iterations): AsyncGenerator<Piece, void, undefined> {
  const { card, config, text, backend } = model;
  const prompt = text.encodeChat([{ role: "user", content: question }]);
  const maxTokens = Math.min(card.maxCompletionTokens, config.contextLength - prompt.length + 1);
  const stopTokens = new Set(config.eosTokens);
  const stream = new TextStream(text);
  const options = { prompt, maxTokens, iterations, exit: card.exitRule, cache: card.cacheStrategy, stopTokens, breathe };
  for await (const token of generate(backend, options)) {
    const whole = stopTokens.has(token.token) ? "" : stream.push(token.token);
    yield { text: token.finish === undefined ? whole : whole + stream.flush(), token };
  }
}

/** Lets the page paint. */
function breathe(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
