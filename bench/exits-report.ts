/**
 * The exit comparison as a page of docs/ (table and plot), and the choice of a card's defaults from it.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ExitRule } from "../engine/exit-rule.ts";
import { parseExitRule } from "../engine/exit-rule.ts";
import { ruleName, summariseRules, type ExitRow, type ExitSummary } from "./exits.ts";
import { writePlot } from "./plot.ts";

/** A rule may lose this much against no exit at all: over everything, and in its worst cell, in points. */
const ALLOWED_LOSS = { overall: 0.5, cell: 1 };

/** The cheapest rule whose accuracy holds; undefined where none does. */
export function chooseDefault(rows: readonly ExitRow[]): ExitRule | undefined {
  const summaries = summariseRules(rows);
  const full = summaries.find((s) => s.rule === "none");
  if (full === undefined) return undefined;
  const holding = summaries.filter(
    (s) => s.rule !== "none" && 100 * (full.accuracy - s.accuracy) <= ALLOWED_LOSS.overall && s.worstLoss <= ALLOWED_LOSS.cell,
  );
  const [best] = holding.toSorted((a, b) => a.workShare - b.workShare);
  return best && parseExitRule(best.rule);
}

/** Writes exits-table.md and exits.svg into a folder. */
export async function writeExitReport(folder: string, model: string, rows: readonly ExitRow[], command: string): Promise<void> {
  const summaries = summariseRules(rows);
  await writePlot(join(folder, "exits.svg"), {
    title: `${model}: accuracy against work, by exit rule`,
    xName: "row iterations, share of r = 32 (%)",
    yName: "accuracy (%)",
    series: [...Map.groupBy(summaries, (s) => s.rule.split(":")[0]!)].map(([name, list]) => ({
      name,
      points: list.map((s) => [100 * s.workShare, 100 * s.accuracy] as const).toSorted((a, b) => a[0] - b[0]),
    })),
  });
  await writeFile(
    join(folder, "exits-table.md"),
    [`Made by \`${command}\`.`, "", ...overall(summaries), "", ...byForm(rows), ""].join("\n"),
  );
}

function overall(summaries: readonly ExitSummary[]): string[] {
  const lines = summaries
    .toSorted((a, b) => a.workShare - b.workShare)
    .map(
      (s) =>
        `| ${s.rule} | ${s.n} | ${percent(s.accuracy)} | ${percent(s.workShare)} | ${percent(s.timeShare)} | ${s.worstLoss.toFixed(1)} |`,
    );
  return [
    "| rule | n | accuracy % | work % of r = 32 | time % of r = 32 | worst cell, points lost |",
    "|---|---|---|---|---|---|",
    ...lines,
  ];
}

/** Accuracy and work of each rule, form by form and level by level. */
function byForm(rows: readonly ExitRow[]): string[] {
  const rules = [...new Set(rows.map(ruleName))];
  const cells = [...Map.groupBy(rows, (r) => `${r.form} ${r.level}`)];
  const lines = cells.map(([cell, list]) => {
    const entries = rules.map((rule) => {
      const row = list.find((r) => ruleName(r) === rule)!;
      return `${percent(row.accuracy)}, ${percent(row.workShare)}`;
    });
    return `| ${cell} | ${list[0]!.n} | ${entries.join(" | ")} |`;
  });
  return ["Accuracy %, work %:", "", `| form, level | n | ${rules.join(" | ")} |`, `|${"---|".repeat(rules.length + 2)}`, ...lines];
}

function percent(share: number): string {
  return (100 * share).toFixed(1);
}
