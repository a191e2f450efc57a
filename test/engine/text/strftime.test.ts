import { describe, expect, it } from "vitest";
import { strftime } from "../../../engine/model/text/strftime.ts";

const EVENING = { year: 2026, month: 7, day: 4, hour: 21, minute: 5 };

describe("strftime_now of templates", () => {
  const written: [format: string, text: string][] = [
    ["%Y-%m-%d", "2026-07-04"],
    ["%d %B %Y", "04 July 2026"],
    ["%A, %-d %b %y", "Saturday, 4 Jul 26"],
    ["%a %e %j", "Sat  4 185"],
    ["%H:%M %I:%M %p", "21:05 09:05 PM"],
    ["%F %D %R", "2026-07-04 07/04/26 21:05"],
    ["%u%w%%%Z", "66%"],
    ["no directive", "no directive"],
  ];
  for (const [format, text] of written)
    it(`writes what Python writes: ${format}`, () => {
      expect(strftime(EVENING, format)).toBe(text);
    });

  it("counts days as the calendar does, leap years and centuries too", () => {
    for (let time = Date.UTC(1996, 11, 28); time < Date.UTC(2104, 2, 3); time += 86_400_000 * 11) {
      const date = new Date(time);
      const moment = { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate(), hour: 0, minute: 0 };
      const dayOfYear = (time - Date.UTC(moment.year, 0, 1)) / 86_400_000 + 1;
      expect(strftime(moment, "%w %-j"), date.toISOString()).toBe(`${date.getUTCDay()} ${dayOfYear}`);
    }
  });

  it("refuses what it does not know, rather than let it into a prompt", () => {
    for (const format of ["%Q", "100%", "%-", "%:z", "%S"]) expect(() => strftime(EVENING, format), format).toThrow(/no directive %/);
  });
});
