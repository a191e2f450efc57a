/**
 * An evaluation of decisions as tables for people.
 */
import type { Evaluation } from "./evaluation.ts";
import type { DecisionSummary, Estimate } from "./summary.ts";

type Line = Readonly<Record<string, string | number>>;

export interface Table {
  readonly title: string;
  readonly lines: readonly Line[];
}

/** Tables that have lines. */
export function tablesOf({ tasks, temperatures, witnesses, invariance }: Evaluation): Table[] {
  const quality = tasks.flatMap(({ task = "all", limits, withExit }): Line[] => [
    ...limits.map(({ iterations, summary }) => ({ task, iterations: `${iterations}`, ...figures(summary) })),
    { task, iterations: `exit, ${withExit.meanIterations.toFixed(1)}`, ...figures(withExit) },
  ]);
  const tables: Table[] = [
    { title: "Quality, with 95 % intervals", lines: quality },
    {
      title: "Temperatures, fitted on one half, judged on the other",
      lines: temperatures.map(({ kind, options, temperature, n, before, after }) => ({
        kind,
        "options up to": options,
        temperature: temperature.toFixed(3),
        n,
        ECE: `${before.ece.toFixed(3)} -> ${after.ece.toFixed(3)}`,
        Brier: `${before.brier.toFixed(3)} -> ${after.brier.toFixed(3)}`,
        "surprise, nats": `${before.surprise.toFixed(3)} -> ${after.surprise.toFixed(3)}`,
      })),
    },
    {
      title: "What tells whether an answer is right, fitted on one half, judged on the other",
      lines: witnesses.map(({ name, n, aurc, ece }) => ({ witness: name, n, AURC: shown(aurc, 4), ECE: shown(ece, 3) })),
    },
    {
      title: "What should change no answer",
      lines: invariance.map(({ change, n, changed, equal, meanShift, largestShift }) => ({
        change,
        n,
        "answers changed": percent(changed),
        "equal bits": equal,
        "mean shift": meanShift.toFixed(4),
        "largest shift": largestShift.toFixed(4),
      })),
    },
  ];
  return tables.filter(({ lines }) => lines.length > 0);
}

function figures({ n, accuracy, macroF1, brier, ece, aurc, outOfScope, msPerDecision }: DecisionSummary): Line {
  return {
    n,
    accuracy: percent(accuracy),
    "macro-F1": percent(macroF1),
    Brier: shown(brier, 3),
    ECE: shown(ece, 3),
    AURC: shown(aurc, 4),
    ...(outOfScope !== undefined && {
      "out of scope": outOfScope.n,
      "found by fit": percent(outOfScope.byFit),
      "by probability": percent(outOfScope.byProbability),
    }),
    ms: msPerDecision.toFixed(1),
  };
}

function percent({ value, low, high }: Estimate): string {
  return `${(value * 100).toFixed(1)} % (${(low * 100).toFixed(1)}-${(high * 100).toFixed(1)})`;
}

function shown({ value, low, high }: Estimate, digits: number): string {
  return `${value.toFixed(digits)} (${low.toFixed(digits)}-${high.toFixed(digits)})`;
}
