/**
 * The table of fields in docs/model-format.md is what the lists give today.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { PAGE, withFields } from "../../docs/fields.ts";

describe("docs/model-format.md", () => {
  const page = readFileSync(PAGE, "utf8");

  it("has the table of today's lists of fields (else: npm run docs:fields)", () => {
    expect(page).toBe(withFields(page));
  });

  it("names the fields of every file, read, refused and ignored", () => {
    for (const row of [
      /`config\.json` \| `n_embd` \| read \|/,
      /`config\.json` \|.*`attention_bias`.*\| refused unless `false`/,
      /`config\.json` \| `layer_types` \| refused, except where every entry is/,
      /`config\.json` \|.*`initializer_range`.*\| ignored \|/,
      /`generation_config\.json` \| `eos_token_id` \| read \|/,
      /`generation_config\.json` \|.*`temperature`.*\| ignored \|/,
      /`tokenizer_config\.json` \| `eos_token` \| read \|/,
      /`tokenizer_config\.json` \|.*`model_max_length`.*\| ignored \|/,
    ])
      expect(page).toMatch(row);
  });
});
