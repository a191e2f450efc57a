/**
 * "Did you mean": the known name that a mistyped one is nearest to, by edit distance; none where nothing is near.
 */

/**
 * @param typed with or without dashes; case, "-" and "_" do not count
 * @example nearest("--max_token", ["model", "max-tokens"]) // "max-tokens"
 */
export function nearest(typed: string, known: readonly string[]): string | undefined {
  const wanted = plain(typed);
  const ranked = known.map((name) => ({ name, distance: wanted === "" ? Infinity : distanceTo(wanted, plain(name)) }));
  const best = ranked.reduce((a, b) => (b.distance < a.distance ? b : a), { name: "", distance: Infinity });
  return best.distance < Infinity ? best.name : undefined;
}

function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]/g, "");
}

/** Share of a name's letters that may differ: one of three, so that --key is not taken for --help. */
const LETTERS_A_MISTAKE = 3;

function distanceTo(typed: string, name: string): number {
  if (typed.length >= 2 && name.startsWith(typed)) return 0.5; // an abbreviation, --iter
  const edits = editDistance(typed, name);
  return edits <= Math.ceil(Math.max(typed.length, name.length) / LETTERS_A_MISTAKE) ? edits : Infinity;
}

/** Fewest insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  const rows = Array.from({ length: a.length + 1 }, (_, i) => Array.from({ length: b.length + 1 }, (_, j) => (i === 0 ? j : i)));
  for (let i = 1; i <= a.length; i++)
    for (let j = 1; j <= b.length; j++) {
      const replaced = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? rows[i - 2]![j - 2]! + 1 : Infinity;
      rows[i]![j] = Math.min(replaced, swapped, rows[i - 1]![j]! + 1, rows[i]![j - 1]! + 1);
    }
  return rows[a.length]![b.length]!;
}
