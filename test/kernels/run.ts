/**
 * npm run check:webgpu -- --prompts N --seed S: the shipped model's tokens on WebGPU, made on the device, beside the Wasm
 * backend's, on problems of every form and level of its eval set, with its card's settings; each answer, and on past its
 * end to the card's length. Ends with `N passed, M failed`; a prompt passes with the same tokens, or where they part at a
 * tie, which is shown.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { diskFolder } from "../../cli/files.ts";
import { evalFiles, readProblems, type Problem } from "../../cli/eval-score.ts";
import { generate, type GenerateOptions } from "../../engine/decode/generate.ts";
import { loadModel } from "../../engine/port/model.ts";
import { uniform } from "../../engine/random.ts";
import { createWebGpuBackend } from "../../kernels/index.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";
import type { KvFormat } from "../../wasm/sequence.ts";
import { collect } from "./compute.ts";
import { compareTokens, TIE, type Made, type Parting } from "./agreement.ts";
import { deviceOrSoftware } from "./software.ts";

const { values } = parseArgs({
  options: {
    prompts: { type: "string", default: "200" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    "step-by-step": { type: "boolean", default: false },
  },
});
const [prompts, seed] = [Number(values.prompts), Number(values.seed)];
if (!(Number.isInteger(prompts) && prompts > 0 && Number.isInteger(seed))) {
  console.error("usage: npm run check:webgpu -- [--prompts N] [--seed S] [--step-by-step]");
  process.exit(2);
}

const { device, languageFeatures, close } = await deviceOrSoftware();
const path = fileURLToPath(new URL("../../models/nano", import.meta.url));
const folder = diskFolder(path);
const wasm = (kv: KvFormat) => loadModel(folder, (config, load) => createNodeWasmBackend(config, load, { kv }));
const gpu = await loadModel(folder, createWebGpuBackend(device, { languageFeatures, fusedCore: !values["step-by-step"] }));
const others = { f32: await wasm("f32"), int8: await wasm("int8") };
const { card, config, text } = gpu;
const problems = choose(await readProblems(await evalFiles(path)));
console.log(
  `seed ${seed}, ${problems.length} prompts of ${card.id} in ${new Set(problems.map(({ task, level }) => `${task} ${level}`)).size} forms and levels`,
);
console.log(
  `at most ${card.iterations} iterations, exit ${JSON.stringify(card.exit)}, cache ${card.cache}, ${card.maxCompletionTokens} tokens`,
);

const count = { passed: 0, failed: 0, ties: 0, tokens: 0, sameDepths: 0, sameAsInt8: 0, sameAnswers: 0 };
for (const problem of problems) {
  const options = optionsFor(problem);
  const made = await collect(generate(gpu.backend, options));
  const found = await compareTokens(made, others.f32.backend, options);
  if (found.parting === undefined || isBehindAnswer(made, found.parting)) count.sameAnswers++;
  const isRight = found.parting === undefined || found.parting.isTie;
  count[isRight ? "passed" : "failed"]++;
  count.tokens += found.tokens;
  count.sameDepths += found.sameDepths;
  if (found.parting !== undefined) {
    if (isRight) count.ties++;
    console.log(`${isRight ? "tie" : "FAILED"}: ${describe(problem, found.parting, isBehindAnswer(made, found.parting))}`);
  }
  if ((await compareTokens(made, others.int8.backend, options)).parting === undefined) count.sameAsInt8++;
}
console.log(
  `${count.tokens} tokens are the Wasm backend's with its cache in f32, as the GPU keeps it; ${count.sameDepths} at the same depth`,
);
console.log(`${count.sameAnswers} of ${problems.length} answers are the same up to their end`);
console.log(`${count.ties} prompts part at a tie, of two logits closer than ${TIE}`);
console.log(`beside a cache in int8, as Workers keep it: ${count.sameAsInt8} of ${problems.length} prompts have the same tokens`);
console.log(`${count.passed} passed, ${count.failed} failed`);
await close();
process.exitCode = count.failed > 0 ? 1 : 0;

/** As many prompts, shuffled within each form and level, taken from these in turn. */
function choose(all: readonly Problem[]): Problem[] {
  const groups = Object.values(Object.groupBy(all, ({ task, level }) => `${task} ${level}`)).map((group, g) => {
    const keyed = group!.map((problem, i) => ({ problem, key: uniform(seed, g, i) }));
    return keyed.sort((a, b) => a.key - b.key).map(({ problem }) => problem);
  });
  const rounds = Math.max(...groups.map((group) => group.length));
  return Array.from({ length: rounds }, (_, round) => groups.flatMap((group) => group.slice(round, round + 1)))
    .flat()
    .slice(0, prompts);
}

/** No stop tokens: the model goes on behind its answer, so that the device makes whole chunks. */
function optionsFor({ prompt }: Problem): GenerateOptions {
  return {
    prompt: text.encodeChat([{ role: "user", content: prompt }]),
    maxTokens: card.maxCompletionTokens,
    iterations: card.iterations,
    exit: card.exitRule,
    cache: card.cacheStrategy,
    stopTokens: new Set(),
  };
}

function isBehindAnswer(made: readonly Made[], { index }: Parting): boolean {
  return made.slice(0, index).some(({ token }) => config.eosTokens.includes(token));
}

function describe({ task, level, prompt }: Problem, { index, gpu: made, other, gap }: Parting, isBehind: boolean): string {
  const [left, right] = [made, other].map((token) => JSON.stringify(text.tokenName(token)));
  const where = `${task} ${level}, token ${index}${isBehind ? ", behind the answer" : ""}`;
  return `${where}: ${left} on WebGPU, ${right} on Wasm, whose two likeliest logits are ${gap.toFixed(4)} apart; ${JSON.stringify(prompt)}`;
}
