/**
 * The budget benchmark as a page of docs/: table and plot, and the comparison that it is about.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fixedAt, type Frontier } from "./budget.ts";
import type { LatencySummary } from "./budget-latency.ts";
import type { BudgetSteps, PolicyPoint } from "../cli/budget-score.ts";
import { writePlot } from "./plot.ts";

/** Writes budget-table.md and budget.svg into a folder. */
export async function writeBudgetReport(
  folder: string,
  model: string,
  { points, steps }: Frontier,
  latency: LatencySummary | undefined,
  command: string,
): Promise<void> {
  await writePlot(join(folder, "budget.svg"), {
    title: `${model}: accuracy against mean spend`,
    xName: "mean work units a request",
    yName: "accuracy (%)",
    series: [
      series("controller", points, (p) => p.policy === "controller"),
      series("the same depth for every request", points, (p) => p.policy.startsWith("r=")),
      series("depth cut to the budget", points, (p) => p.policy === "depth cut to the budget"),
      ...points.filter((p) => p.policy.includes(":")).map((p) => ({ ...series(p.policy, [p], () => true), scatter: true })),
    ],
  });
  await writeFile(
    join(folder, "budget-table.md"),
    [
      `Made by \`${command}\`.`,
      "",
      ...(latency === undefined ? [] : [...latencyLines(latency), ""]),
      stepLine(steps),
      "",
      ...table(points),
      "",
    ].join("\n"),
  );
}

function series(name: string, points: readonly PolicyPoint[], which: (p: PolicyPoint) => boolean) {
  const chosen = points.filter(which).toSorted((a, b) => a.meanUnits - b.meanUnits);
  return { name, points: chosen.map((p) => [p.meanUnits, 100 * p.accuracy] as const) };
}

function latencyLines({ runs, refused, withinBudget, utilisation, limited, worst }: LatencySummary): string[] {
  return [
    `Latency budgets of 20 to 500 ms against the clock: ${runs} requests, ${percent(withinBudget)} % within budget ` +
      `(the latest at ${percent(worst)} % of it); of the ${limited} that had not converged ${percent(utilisation)} % of the budget was used; ` +
      `${refused} more were refused as infeasible.`,
  ];
}

function stepLine({ pairs, dearer, worst, gained, lost }: BudgetSteps): string {
  return (
    `The same problem under the controller with a budget and with the next larger one, ${pairs} pairs: the smaller cost more in ` +
    `${dearer}${dearer === 0 ? "" : ` (at most ${percent(worst - 1)} % more)`}; only the larger was right in ${gained}, only the smaller in ${lost}.`
  );
}

function table(points: readonly PolicyPoint[]): string[] {
  const lines = points.map((p) => {
    const fixed = p.policy.startsWith("r=") ? undefined : fixedAt(points, p.meanUnits);
    const cells = [
      p.policy,
      p.budgetUnits ?? "",
      p.meanUnits.toFixed(4),
      p.largestUnits.toFixed(4),
      p.meanIterations.toFixed(2),
      `${percent(p.accuracy)} (${percent(p.interval[0])} to ${percent(p.interval[1])})`,
      fixed === undefined ? "" : percent(fixed),
      p.refused === 0 ? "" : percent(p.refused / p.n),
    ];
    return `| ${cells.join(" | ")} |`;
  });
  return [
    "| policy | budget, units | mean spend | largest spend | iterations a row | accuracy %, 95 % interval | same depth for all, at this mean spend, % | refused % |",
    "|---|---|---|---|---|---|---|---|",
    ...lines,
  ];
}

function percent(share: number): string {
  return (100 * share).toFixed(1);
}
