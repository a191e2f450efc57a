/**
 * fathom convert --dry-run: sizes of the published shapes, and what runs them.
 */
import { describe, expect, it } from "vitest";
import { FAMILY_SHAPES, shapeOf } from "../../bench/family-shapes.ts";
import { planLines, plannedForms } from "../../cli/convert-plan.ts";
import { parseConfig } from "../../engine/model/config.ts";
import { planConversion } from "../../engine/model/convert.ts";
import { TINY_CONFIG } from "../engine/files.ts";

describe("the plan of a conversion", () => {
  it("knows the published models: their families, weights, and that q4 fits a page where f32 does not", () => {
    const billions = { "huginn-0125": 3.565, "recurrent-llama-3.2-1b": 1.386, "ouro-1.4b": 1.434 };
    for (const [name, json] of Object.entries(FAMILY_SHAPES)) {
      const forms = plannedForms(parseConfig(json));
      expect(forms.map(({ format }) => format)).toEqual(["f32", "q8", "q4"]);
      const weights = forms[0]!.fileBytes / 4e9;
      expect(weights, name).toBeCloseTo(billions[name as keyof typeof billions], 2);
      expect(forms.map(({ fits }) => fits.isolate)).toEqual([false, false, false]);
      expect([forms[0]!.fits.page, forms[2]!.fits.page], name).toEqual([false, true]);
    }
  });

  it("cuts a width of 5280 into groups of 32, others into 64", () => {
    const groups = (json: object): Set<number> =>
      new Set([...planConversion(parseConfig(json), "q4").tensors.values()].flatMap(({ layout }) => layout?.group ?? []));
    expect(groups(FAMILY_SHAPES["huginn-0125"])).toEqual(new Set([32, 64]));
    expect(groups(FAMILY_SHAPES["ouro-1.4b"])).toEqual(new Set([64]));
  });

  it("is one line a form, the chosen one marked, and leaves out what groups do not divide", () => {
    const lines = planLines(parseConfig(TINY_CONFIG), "q8");
    expect(lines[0]).toMatch(/^huginn: 1 \+ 1 \+ 1 layers, width 32, 24 tokens, 4 iterations$/);
    expect(lines.filter((line) => line.startsWith(">"))).toEqual([expect.stringMatching(/^> q8 .* an isolate; a page/)]);
    expect(planLines(parseConfig({ ...TINY_CONFIG, n_embd: 48, intermediate_size: 40 }), "f32")).toHaveLength(3);
    expect(shapeOf("ouro-1.4b", 16)).toMatchObject({ vocab_size: 3072, hidden_size: 2048 });
  });
});
