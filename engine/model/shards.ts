/**
 * A converted checkpoint cut into files of a bounded size, with the index that names them: static assets have at most
 * 25 MiB. Tensors stay whole and keep their order, so a stream of them fills one file after the other.
 */
import { FathomError } from "../errors.ts";
import { encodeHeader, type ConversionPlan, type PlannedTensor } from "./convert.ts";
import { WEIGHTS } from "./folder.ts";

/** A file that a conversion writes. */
export interface PlannedFile {
  readonly name: string;
  /** The file's bytes before its data. */
  readonly header: Uint8Array;
  readonly dataBytes: number;
}

/** Where the bytes of a conversion go. */
export interface FilePlan {
  readonly files: readonly PlannedFile[];
  /** The file of a tensor, and where in that file's data it begins; by the tensor's name here. */
  readonly places: ReadonlyMap<string, { readonly file: number; readonly begin: number }>;
  /** The text of the index; undefined where there is one file. */
  readonly index: string | undefined;
}

/**
 * Lays a conversion out in files of at most `mostBytes`, headers included.
 * @param mostBytes undefined: one file, however large
 * @throws {FathomError} invalid_request where a tensor alone is larger
 * @example planFiles(planConversion(config, "q4"), 24 * 2 ** 20).files // model-00001-of-00003.safetensors, ...
 */
export function planFiles(plan: ConversionPlan, mostBytes: number | undefined): FilePlan {
  const groups = mostBytes === undefined ? [[...plan.tensors]] : grouped(plan, mostBytes);
  const places = new Map<string, { file: number; begin: number }>();
  const weightMap: Record<string, string> = {};
  const files = groups.map((group, file): PlannedFile => {
    const name = groups.length === 1 ? WEIGHTS : `model-${padded(file + 1)}-of-${padded(groups.length)}.safetensors`;
    const moved = movedToStart(group);
    for (const [tensor, { begin, spec }] of moved) {
      places.set(tensor, { file, begin });
      weightMap[spec.file] = name;
    }
    return { name, header: encodeHeader(moved), dataBytes: sizeOf(group) };
  });
  const index =
    groups.length === 1 ? undefined : `${JSON.stringify({ metadata: { total_size: plan.dataBytes }, weight_map: weightMap }, null, 2)}\n`;
  return { files, places, index };
}

type Named = readonly [name: string, tensor: PlannedTensor];

/** Fills one file after the other, tensors in their order. */
function grouped({ tensors }: ConversionPlan, mostBytes: number): Named[][] {
  const groups: Named[][] = [[]];
  const bytesOf = (group: readonly Named[]): number => encodeHeader(movedToStart(group)).length + sizeOf(group);
  for (const named of tensors) {
    const last = groups.at(-1)!;
    if (last.length === 0 || bytesOf([...last, named]) <= mostBytes) last.push(named);
    else groups.push([named]);
    const alone = bytesOf([named]);
    if (alone > mostBytes)
      throw new FathomError(
        "invalid_request",
        `${named[1].spec.file} alone takes ${alone} bytes, and a shard may have ${mostBytes}; allow larger ones, or fewer bits by --quant. ` +
          "What is too large for a static asset can be served from R2.",
        "--shard",
      );
  }
  return groups;
}

/** Tensors of one file, with their places in that file. */
function movedToStart(group: readonly Named[]): Map<string, PlannedTensor> {
  const from = group[0]?.[1].begin ?? 0;
  return new Map(group.map(([name, tensor]) => [name, { ...tensor, begin: tensor.begin - from, end: tensor.end - from }]));
}

function sizeOf(group: readonly Named[]): number {
  return group.length === 0 ? 0 : group.at(-1)![1].end - group[0]![1].begin;
}

function padded(n: number): string {
  return String(n).padStart(5, "0");
}
