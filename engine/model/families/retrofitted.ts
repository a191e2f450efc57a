/**
 * Retrofitted checkpoints (arXiv 2511.07384): layers of Llama or OLMo-2 as prelude, core and coda, with their own blocks,
 * rotary positions, vocabulary and head; no norm between the recurrence and the coda.
 */
import type { Family } from "./family.ts";
import { HUGINN } from "./huginn.ts";

export const RETROFITTED_LLAMA: Family = {
  ...HUGINN,
  name: "retrofitted-llama",
  block: { norms: ["input"], qkNorm: false, rotary: "half-split" },
  recurrence: { ...HUGINN.recurrence, finalNorm: ["head"] },
  endTexts: ["<|end_of_text|>", "<|eot_id|>"],
};

/** Norms stand on the outputs of attention and MLP, and on queries and keys. */
export const RETROFITTED_OLMO: Family = {
  ...RETROFITTED_LLAMA,
  name: "retrofitted-olmo",
  block: { norms: ["output"], qkNorm: true, rotary: "half-split" },
  starts: ["random", "embed-init", "skip-adapter"],
  endTexts: ["<|endoftext|>"],
};
