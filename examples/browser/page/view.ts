/**
 * What the page draws: tokens coloured by the iterations behind them, bars of probabilities, the model's card. Builds
 * elements; asks nobody.
 */
import type { ModelDetails, Spent } from "./api.ts";

/** A token, the warmer the longer it was thought about. @param most iterations that a token may take */
export function tokenElement(text: string, iterations: number, most: number): HTMLElement {
  const span = element("span", text);
  span.className = "token";
  span.style.setProperty("--heat", `${Math.round(100 * Math.min(1, iterations / most))}%`);
  span.title = `${iterations} of at most ${most} iterations`;
  return span;
}

/** Draws a bar an option. @returns a function that moves them */
export function drawBars(into: HTMLElement, names: readonly string[]): (probabilities: readonly number[]) => void {
  const rows = names.map((name) => {
    const [row, bar, share] = [element("div"), element("meter"), element("span")];
    row.className = "bar";
    bar.max = 1;
    bar.setAttribute("aria-label", name);
    row.append(element("span", name), bar, share);
    return { row, bar, share };
  });
  into.replaceChildren(...rows.map(({ row }) => row));
  return (probabilities) =>
    rows.forEach(({ bar, share }, i) => {
      bar.value = probabilities[i]!;
      share.textContent = `${(100 * probabilities[i]!).toFixed(1)} %`;
    });
}

/** What the model is for and how good it is, as its card says. */
export function drawCard(into: HTMLElement, { id, description, backend, iterations, context_length, cost, quality }: ModelDetails): void {
  const facts = element("dl");
  const fact = (name: string, value: string): void => facts.append(element("dt", name), element("dd", value));
  fact("iterations a token", `${iterations.default}, up to ${iterations.max}`);
  fact("context", `${context_length} tokens`);
  fact("backend of the server", backend);
  fact("speed", `${cost.ms_per_unit.p50} ms a work unit${cost.measured_at === undefined ? ", assumed" : `, measured ${cost.measured_at}`}`);
  into.replaceChildren(element("h2", id), element("p", description || "Its card does not say what it is for."), facts);
  if (quality.length > 0) into.append(qualityTable(quality));
}

function qualityTable(quality: ModelDetails["quality"]): HTMLElement {
  const depths = [...new Set(quality.flatMap(({ accuracy }) => Object.keys(accuracy)))].toSorted((a, b) => Number(a) - Number(b));
  const [details, table] = [element("details"), element("table")];
  const row = (cells: readonly string[], tag: "td" | "th"): HTMLElement => {
    const line = element("tr");
    line.append(...cells.map((cell) => element(tag, cell)));
    return line;
  };
  table.append(row(["task", "level", ...depths.map((depth) => `r = ${depth}`), "with exit"], "th"));
  const percent = (share: number | undefined): string => (share === undefined ? "" : `${Math.round(100 * share)} %`);
  for (const { task, level, accuracy, with_exit: exit } of quality) {
    const withExit = exit === undefined ? "" : `${percent(exit.accuracy)} at ${exit.mean_iterations.toFixed(1)}`;
    table.append(row([task, `${level ?? ""}`, ...depths.map((depth) => percent(accuracy[depth])), withExit], "td"));
  }
  const scrolled = element("div");
  scrolled.className = "scrolled";
  scrolled.append(table);
  details.append(element("summary", "Right answers by iterations"), scrolled);
  return details;
}

/** A sentence on what a request spent, and what it saved. */
export function describeSpent({ iterations, costUsd, latencyMs, limitedBy }: Spent): string {
  const saved = iterations.saved > 0 ? `, ${iterations.saved} saved by the exit rule` : "";
  const limit = limitedBy === null ? "" : ` Limited by ${limitedBy}.`;
  return `${iterations.total} iterations (at most ${iterations.max} a token${saved}), ${Math.round(latencyMs)} ms, $${costUsd.toPrecision(2)}.${limit}`;
}

function element<Tag extends keyof HTMLElementTagNameMap>(tag: Tag, text?: string): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  return made;
}
