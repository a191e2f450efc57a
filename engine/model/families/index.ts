/**
 * The families that are known, and which of them a folder holds.
 */
import type { BlockLayout, Family, FamilyName, Recurrence } from "./family.ts";
import { HUGINN } from "./huginn.ts";
import { OURO } from "./ouro.ts";
import { RETROFITTED_LLAMA, RETROFITTED_OLMO } from "./retrofitted.ts";

export type { BlockLayout, Family, FamilyName, NormPlace, Recurrence, TensorName } from "./family.ts";

export const FAMILIES: Readonly<Record<FamilyName, Family>> = {
  huginn: HUGINN,
  "retrofitted-llama": RETROFITTED_LLAMA,
  "retrofitted-olmo": RETROFITTED_OLMO,
  ouro: OURO,
};

export const FAMILY_NAMES = Object.keys(FAMILIES) as FamilyName[];

/** What a family gives a config. */
export function layoutOf(name: FamilyName): { readonly family: FamilyName; readonly block: BlockLayout; readonly recurrence: Recurrence } {
  const { block, recurrence } = FAMILIES[name];
  return { family: name, block, recurrence };
}

/**
 * The family of a checkpoint. Class names are the same in all of Huginn's siblings, so the tensors tell those apart.
 * @param modelType model_type of config.json
 * @param tensorNames all of the checkpoint's; undefined where there is none to ask
 * @param named what an exported folder says of the checkpoint that stayed behind
 */
export function familyOf(modelType: unknown, tensorNames: readonly string[] | undefined, named: FamilyName | undefined): Family {
  if (modelType === "ouro") return OURO;
  if (tensorNames === undefined) return FAMILIES[named ?? "huginn"];
  const has = (ending: string): boolean => tensorNames.some((name) => name.endsWith(ending));
  if (has(".norm_3.weight") || has(".norm_4.weight") || !has(".norm_1.weight")) return HUGINN;
  return has(".attn.q_norm.weight") || has(".attn.k_norm.weight") ? RETROFITTED_OLMO : RETROFITTED_LLAMA;
}
