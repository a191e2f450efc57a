import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { foreignText, guard, isGuarded, reveal, revealApart } from "../../../engine/model/text/guarded-text.ts";

const anyUnits = fc.array(fc.nat(0xffff)).map((units) => String.fromCharCode(...units));

describe("a caller's text", () => {
  it("comes back as it was, whatever units it has", () => {
    const every = Array.from({ length: 0x10000 }, (_, unit) => String.fromCharCode(unit)).join("");
    expect(reveal(guard(every))).toBe(every);
    fc.assert(fc.property(anyUnits, (text) => reveal(guard(text)) === text && isGuarded(guard(text)) === (text !== "")));
  });

  it("is told apart from what stands around it", () => {
    expect(revealApart(`<${guard("<s>")}>`)).toEqual({ text: "<<s>>", own: "<\uFFFF\uFFFF\uFFFF>" });
    expect(foreignText("ab")).toEqual(revealApart(guard("ab")));
    expect(revealApart("plain")).toEqual({ text: "plain", own: "plain" });
  });

  it("shows no letter of its own while it is marked", () => {
    fc.assert(fc.property(anyUnits, (text) => /^(?:[\uDB80-\uDBBF][\uDC00-\uDFFF])*$/.test(guard(text))));
  });
});
