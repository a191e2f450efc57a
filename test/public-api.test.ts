/**
 * What users can import is documented where it is declared: editors show it there. Whether a comment says enough, no test
 * can tell.
 */
import { describe, expect, it } from "vitest";
import { entries, exportsOf, type Declaration } from "./public.ts";

const doors = [...entries()].map(([entry, file]) => ({ entry, declarations: [...exportsOf(file).values()] }));
const all = new Map(doors.flatMap(({ declarations }) => declarations.map((declaration) => [declaration.at, declaration])));

const undocumented = (declarations: Iterable<Declaration>): string[] =>
  [...declarations].filter(({ comment }) => !/[A-Za-z]{2}/.test(comment.replace(/@\w+ \{[^}]*\}/g, ""))).map(({ at }) => at);

describe("the package's exports", () => {
  it("are found behind every entry", () => {
    expect(doors.filter(({ declarations }) => declarations.length === 0).map(({ entry }) => entry)).toEqual([]);
    expect(all.get("engine/decode/generate.ts:generate")?.kind).toBe("function");
    expect(all.get("engine/port/model.ts:loadModel")?.comment).toContain("@example");
  });

  it("have a doc comment each", () => {
    expect(undocumented(all.values())).toEqual([]);
  });

  it("have an example behind every entry that offers functions", () => {
    const without = doors.filter(
      ({ declarations }) =>
        declarations.some(({ kind }) => kind === "function") && !declarations.some(({ comment }) => comment.includes("@example")),
    );
    expect(without.map(({ entry }) => entry)).toEqual([]);
  });

  it("are undocumented with no comment, and with one of tags alone", () => {
    const declaration = (comment: string): Declaration => ({ at: comment, kind: "function", comment });
    const comments = ["", "/** */", "/** @throws {FathomError} */\n", "/** Loads a model. */\n"];
    expect(undocumented(comments.map(declaration))).toEqual(comments.slice(0, 3));
  });
});
