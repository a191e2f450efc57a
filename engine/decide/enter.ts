/**
 * Lets a pass in: rows of its input, its questions and their leaves, through the prelude. Not here: how they think
 * (pass.ts).
 */
import type { Backend, Row, Sequence } from "../port/backend.ts";
import { Replay } from "../port/prefix.ts";
import { stretchBytes, type Pass, type PassQuestion } from "./passes.ts";
import type { LeafScores, Reader } from "./readers.ts";
import type { PassSequences } from "./sequences.ts";
import { Stretch } from "./stretch.ts";
import type { QuestionTree } from "./tree.ts";

/** A leaf's scores after an iteration. */
export interface ScorePoint extends LeafScores {
  readonly iteration: number;
}

export interface OpenLeaf {
  readonly question: QuestionTree;
  /** Index among the question's leaves. */
  readonly leaf: number;
  /** Rows of the leaf, behind those of its question, behind those of its input. */
  readonly stretch: Stretch;
  readonly points: ScorePoint[];
}

export interface OpenPass {
  readonly input: Stretch;
  readonly sequence: Sequence;
  /** What the input takes over of an earlier one. */
  readonly replay: Replay | undefined;
  readonly leaves: readonly OpenLeaf[];
}

/** Rows of the whole pass, after the prelude; what the input takes over has none. */
export async function enterPass(pass: Pass, sequences: PassSequences, backend: Backend, reader: Reader): Promise<OpenPass> {
  const { tokens, questions, prefix } = pass;
  const bytes = stretchBytes(backend, sequences.attention);
  const start = tokens.length;
  const ownBytes = ({ question, leaves }: PassQuestion): number =>
    leaves.reduce((sum, i) => sum + bytes(reader.rowCount(question.leaves[i]!.length), start + question.tokens.length), 0);
  const leafBytes = questions.reduce((sum, question) => sum + ownBytes(question), 0);
  const sequence = sequences.openInput(pass, pass.bytes - bytes(start, 0), reader.readsAlways);
  const replay = prefix?.found && new Replay(prefix.found, (iterations) => backend.recall!(sequence, iterations));
  const [rows] = await preludes(backend, [{ sequence, tokens: tokens.slice(sequence.start) }]);
  const input = new Stretch(rows!, undefined, replay);
  const branches = sequences.branches(
    questions.map(({ question }) => ({ parent: sequence, capacity: question.tokens.length })),
    leafBytes,
  );
  const asked = await preludes(
    backend,
    questions.map(({ question }, q) => ({ sequence: branches[q]!, tokens: question.tokens })),
  );
  const leaves = questions.flatMap(({ question, leaves }, q) => {
    const before = new Stretch(asked[q]!, input);
    return leaves.map((leaf) => ({
      question,
      leaf,
      before,
      parent: branches[q]!,
      tokens: question.leaves[leaf]!.slice(0, reader.rowCount(question.leaves[leaf]!.length)),
    }));
  });
  const own = sequences.branches(
    leaves.map(({ parent, tokens }) => ({ parent, capacity: tokens.length })),
    0,
  );
  const entered = await preludes(
    backend,
    leaves.map(({ tokens }, i) => ({ sequence: own[i]!, tokens })),
  );
  return {
    input,
    sequence,
    replay,
    leaves: leaves.map(({ question, leaf, before }, i) => ({ question, leaf, stretch: new Stretch(entered[i]!, before), points: [] })),
  };
}

interface Entering {
  readonly sequence: Sequence;
  readonly tokens: readonly number[];
}

/** Lets tokens of several sequences in together. */
async function preludes(backend: Backend, entering: readonly Entering[]): Promise<Row[][]> {
  const inputs = entering.flatMap(({ sequence, tokens }) => tokens.map((token) => ({ sequence, token })));
  const rows: Row[] = [];
  for (let at = 0; at < inputs.length; at += backend.maxRows) {
    rows.push(...(await backend.prelude(inputs.slice(at, at + backend.maxRows))));
  }
  let from = 0;
  return entering.map(({ tokens }) => rows.slice(from, (from += tokens.length)));
}
