/** docs/api.md is what npm run docs:api writes today. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { apiPage, PAGE } from "../docs/api.ts";

it("the page of the package's exports is that of today's sources; npm run docs:api writes it", () => {
  expect(readFileSync(PAGE, "utf8")).toBe(apiPage());
});

it("has every entry, what its functions take, and what goes wrong", () => {
  const page = apiPage();
  for (const part of [
    "## fathom-edge/engine\n",
    "## fathom-edge/worker\n",
    "### createApp",
    "### loadModel",
    "throws: `FathomError`",
    "```typescript",
  ])
    expect(page).toContain(part);
});
