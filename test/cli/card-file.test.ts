/** Cards as commands change them: whole, and said where. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { changeCard, whereWritten } from "../../cli/card-file.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "fathom-card-"));
  await writeFile(join(folder, "card.json"), '{"id": "a", "iterations": 4}');
});
afterEach(() => rm(folder, { recursive: true }));

it("a card is changed whole, and nothing is left beside it", async () => {
  const path = await changeCard(folder, (card) => ({ ...card, iterations: 8 }));
  expect([path, JSON.parse(await readFile(path, "utf8"))]).toEqual([join(folder, "card.json"), { id: "a", iterations: 8 }]);
  expect(await readdir(folder)).toEqual(["card.json"]);
});

it("what was written is named with its whole path, and where an install would replace it that is said", () => {
  expect(whereWritten(join("/srv", "model", "card.json"))).toBe(`written into ${join("/srv", "model", "card.json")}`);
  const installed = join("/srv", "node_modules", "fathom-edge", "models", "nano", "card.json");
  expect(whereWritten(installed)).toBe(
    `written into ${installed}; the next install replaces this file: copy the model's folder to keep it`,
  );
});
