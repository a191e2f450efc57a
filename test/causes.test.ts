/**
 * No catch loses what it caught: whoever throws something else hands the first error on as its `cause`. Read from the
 * sources, as the linter's preserve-caught-error knows only JavaScript's own errors.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { FathomError, TooLargeError } from "../engine/errors.ts";
import { ROOT, sourcesIn } from "./imports.ts";

const CATCH = /\bcatch(?: \((\w+)\))? \{|\.catch\((?:async )?\(?(\w*)(?:: \w+)?\)? =>\s*/g;

/** The text from an opening brace or parenthesis to its closing one; of an expression without any, the line. */
function bodyAt(text: string, from: number): string {
  if (text[from] !== "{") return text.slice(from, text.indexOf("\n", from));
  let depth = 0;
  for (let i = from; i < text.length; i++) {
    if (text[i] === "{") depth++;
    if (text[i] === "}" && --depth === 0) return text.slice(from, i + 1);
  }
  return text.slice(from);
}

/** Places where a caught error is replaced by another one that does not carry it. */
function lostCauses(file: string, text: string): string[] {
  return [...text.matchAll(CATCH)].flatMap((m) => {
    const name = m[1] ?? m[2] ?? "";
    const body = bodyAt(text, m[0].endsWith("{") ? m.index + m[0].length - 1 : m.index + m[0].length);
    const thrown = [...body.matchAll(/\bthrow (?:new )?[\w.#]+\([\s\S]*?\);(?=\s*(?:\n|\}|$))/g)].map(([statement]) => statement);
    const carries = new RegExp(name === "" ? "(?!)" : `[{(,]\\s*(?:cause: )?${name}\\s*[,})]`);
    const lost = thrown.filter((statement) => !carries.test(statement));
    return lost.map((statement) => `${file}:${text.slice(0, m.index).split("\n").length} ${statement.split("\n")[0]}`);
  });
}

describe("a caught error", () => {
  it("is the cause of the one that is thrown in its place, everywhere", () => {
    const rooms = ["engine", "wasm", "kernels", "onnx", "folders", "worker", "cli", "bench", "examples"];
    const lost = rooms.flatMap(sourcesIn).flatMap((file) => lostCauses(file, readFileSync(join(ROOT, file), "utf8")));
    expect(lost).toEqual([]);
  });

  it("is lost where another one is thrown alone", () => {
    const text = [
      'try { a(); } catch { throw new Error("lost"); }',
      "try { a(); } catch (error) { throw new Error(`lost: ${error.message}`); }",
      'try { a(); } catch (error) { throw wrong("lost, too"); }',
      'await b().catch(() => { throw new Error("lost"); });',
      'try { a(); } catch (error) { throw new Error("kept", { cause: error }); }',
      'try { a(); } catch (cause) { throw new Error("kept", { cause }); }',
      "try { a(); } catch (error) { throw explained(error); }",
      "try { a(); } catch (error) { throw error; }",
    ].join("\n");
    expect(lostCauses("a.ts", text).map((found) => found.split(" ")[0])).toEqual(["a.ts:1", "a.ts:2", "a.ts:3", "a.ts:4"]);
  });

  it("is kept by every class of error", () => {
    const cause = new Error("below");
    expect(new FathomError("unavailable", "above", undefined, { cause }).cause).toBe(cause);
    expect(new TooLargeError("above", undefined, { cause }).cause).toBe(cause);
  });
});
