/**
 * Whether a repeated part of a pattern can match a text along one path at most. Then a failure after it costs as many
 * steps as there are places to stop, and no more: `(?:\d{1,3}\.){3}`, `\w+(?:-\w+)*`. Judged by its positions and what
 * may follow each (Glushkov's automaton). Not here: what is done about other parts (pattern-cost.ts).
 */
import type { CharacterSet, PatternNode } from "./pattern-syntax.ts";
import type { Sets } from "./pattern-sets.ts";

/** A set at its place in the pattern, with the sets that may follow, once for each way to get there. */
interface Position {
  readonly set: CharacterSet;
  readonly next: CharacterSet[];
}

interface Shape {
  readonly canBeEmpty: boolean;
  readonly first: readonly Position[];
  readonly last: readonly Position[];
}

/** Whether `item`, repeated any number of times, leaves no choice at any character of a text. */
export function repeatsAlongOnePath(item: PatternNode, sets: Sets): boolean {
  const positions: Position[] = [];
  const shape = shapeOf(item, positions);
  if (shape === undefined || shape.canBeEmpty) return false;
  link(shape.last, shape.first);
  return positions.every(({ next }) => next.every((a, i) => next.slice(i + 1).every((b) => sets.areApart(a, b))));
}

/** Shape of a node; undefined where a text of no characters could be matched in two ways, or depends on what stands around it. */
function shapeOf(node: PatternNode, positions: Position[]): Shape | undefined {
  switch (node.kind) {
    case "set": {
      const position: Position = { set: node, next: [] };
      positions.push(position);
      return { canBeEmpty: false, first: [position], last: [position] };
    }
    case "sequence":
      return node.items.reduce<Shape | undefined>((before, item) => before && joined(before, shapeOf(item, positions)), {
        canBeEmpty: true,
        first: [],
        last: [],
      });
    case "choice": {
      const shapes = node.options.map((option) => shapeOf(option, positions)).filter((shape) => shape !== undefined);
      const empty = shapes.filter((shape) => shape.canBeEmpty).length;
      if (shapes.length < node.options.length || empty > 1) return undefined;
      return { canBeEmpty: empty === 1, first: shapes.flatMap((s) => s.first), last: shapes.flatMap((s) => s.last) };
    }
    case "repeat": {
      const item = shapeOf(node.item, positions);
      if (item === undefined || item.canBeEmpty) return undefined;
      if (node.max > 1) link(item.last, item.first);
      return { ...item, canBeEmpty: node.min === 0 };
    }
    default:
      return undefined;
  }
}

function joined(before: Shape, after: Shape | undefined): Shape | undefined {
  if (after === undefined) return undefined;
  link(before.last, after.first);
  return {
    canBeEmpty: before.canBeEmpty && after.canBeEmpty,
    first: before.canBeEmpty ? [...before.first, ...after.first] : before.first,
    last: after.canBeEmpty ? [...before.last, ...after.last] : after.last,
  };
}

function link(from: readonly Position[], to: readonly Position[]): void {
  for (const { next } of from) next.push(...to.map(({ set }) => set));
}
