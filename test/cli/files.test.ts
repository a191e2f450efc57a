import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { diskFolder } from "../../cli/files.ts";

let path = "";
beforeAll(async () => {
  path = await mkdtemp(join(tmpdir(), "fathom-files-"));
});
afterAll(() => rm(path, { recursive: true }));

describe("a text of a model folder on disk", () => {
  it("is without its byte order mark, as it is from any other source", async () => {
    await writeFile(join(path, "config.json"), '\ufeff{"a": "\ufeff é"}');
    expect(await diskFolder(path).readText("config.json")).toBe('{"a": "\ufeff é"}');
  });

  it("is undefined where there is none", async () => {
    expect(await diskFolder(path).readText("card.json")).toBeUndefined();
    expect(await diskFolder(join(path, "config.json")).readText("card.json")).toBeUndefined();
  });
});
