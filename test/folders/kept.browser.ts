/**
 * The shipped model kept by a browser, which answers again after it was started anew without the network. `npm run check:kept`
 * does the same with a model of hundreds of megabytes.
 * Needs a Chromium: CHROMIUM, or /usr/bin/chromium. Without one it is skipped, and says so; in CI that is a failure.
 */
import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { modelPath } from "../../cli/models.ts";
import { CHROMIUM, visitTwice } from "./chromium.ts";

const QUESTION = "Start with 3. Add 4. Double it. Subtract 9. What is the last digit?";

describe.runIf(existsSync(CHROMIUM))(`a model kept by ${CHROMIUM}`, () => {
  it("is downloaded once, and answers the same offline", { timeout: 400_000 }, async () => {
    const { first, offline, modelRequests } = await visitTwice(modelPath("nano"), QUESTION, 32, 8);
    expect(first.log).toContainEqual(expect.stringMatching(/^The model is downloaded once: 0\.6 of 0\.6 MB/));
    expect(modelRequests.filter((file) => file === "model.safetensors")).toHaveLength(1);
    expect([first.isOnline, offline.isOnline]).toEqual([true, false]);
    expect(offline.log).toContainEqual(expect.stringContaining("the files that are kept here answer"));
    expect(offline.tokens).toEqual(first.tokens);
    expect(first.tokens.length).toBeGreaterThan(1);
  });
});

describe.runIf(!existsSync(CHROMIUM))("a kept model", () => {
  const missing = `no Chromium at ${CHROMIUM}: apt-get install chromium, or name one in CHROMIUM`;
  if (process.env["CI"] === "true")
    it("has a Chromium", () => {
      throw new Error(missing);
    });
  else it.skip(`needs a browser: ${missing}`, () => undefined);
});
