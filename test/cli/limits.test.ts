import { describe, expect, it } from "vitest";
import { LIMITS, parseLimits } from "../../cli/limits.ts";

describe("--limits", () => {
  it("raises and lowers limits by their names", () => {
    expect(parseLimits("maxBodyBytes=1048576, maxIterations=8")).toEqual({ maxBodyBytes: 1_048_576, maxIterations: 8 });
  });

  it("says what holds without it", () => {
    expect(LIMITS.description).toContain("maxBodyBytes=65536");
  });

  it.each([
    ["maxbodybytes=1", /"maxbodybytes=1", which is no limit \(did you mean maxBodyBytes\?\)/],
    ["budget=1", /is no limit/],
    ["maxBodyBytes", /--limits maxBodyBytes is "".* whole number/],
    ["maxBodyBytes=0", /whole number from 1/],
    ["maxBodyBytes=1MiB", /whole number from 1/],
    ["", /a part of it is empty/],
  ])("refuses %j by name", (text, message) => {
    expect(() => parseLimits(text)).toThrow(expect.objectContaining({ code: "invalid_request", message: expect.stringMatching(message) }));
  });
});
