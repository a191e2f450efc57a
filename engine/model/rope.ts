/**
 * Rotary position as config.json writes it: base and scaling, under all the names that they have had. Not here: the angles
 * themselves (rotary.ts).
 */
import type { CONFIG } from "./fields/config.ts";
import { excerpt, type FieldReader } from "./fields/field.ts";
import { ROPE } from "./fields/rope.ts";

export interface Rope {
  readonly ropeBase: number;
  readonly ropeScaling: RopeScaling | undefined;
}

/** Llama 3's frequency scaling (rope_type llama3). */
export interface RopeScaling {
  readonly factor: number;
  readonly lowFreqFactor: number;
  readonly highFreqFactor: number;
  /** Context length that the model was trained for before scaling, in tokens. */
  readonly originalContext: number;
}

type Reader = FieldReader<(typeof CONFIG)["read"]>;

/** Where the object stands: since transformers 5, and before. */
const PLACES = ["rope_parameters", "rope_scaling"] as const;
type Place = (typeof PLACES)[number];

/** Huginn's base where the file has none. */
const HUGINN_BASE = 50000;

/** @throws {FathomError} invalid_config, where parts contradict each other or ask for another formula */
export function parseRope(r: Reader, isHuginn: boolean): Rope {
  const places = PLACES.filter((place) => r.optional(place) !== undefined);
  for (const place of places) refuseUnknownParts(r, place);
  const scalings = places.map((place) => scalingAt(r, place));
  if (scalings.length === 2 && JSON.stringify(scalings[0]) !== JSON.stringify(scalings[1]))
    throw r.bad("rope_parameters", "contradicts rope_scaling; remove the wrong one");
  return { ropeBase: baseOf(r, places, isHuginn), ropeScaling: scalings[0] };
}

function refuseUnknownParts(r: Reader, place: Place): void {
  for (const [part, value] of Object.entries(r.optional(place)!))
    if (value !== null && !Object.hasOwn(ROPE, part))
      throw r.bad(`${place}.${part}`, `${excerpt(value)} is not supported; known are ${Object.keys(ROPE).join(", ")}`);
}

/** The base may be named in several places, but only one base. A retrofitted checkpoint's rope_base is a left-over of Huginn's. */
function baseOf(r: Reader, places: readonly Place[], isHuginn: boolean): number {
  const names = [...(isHuginn ? (["rope_base"] as const) : []), "rope_theta" as const, ...places.map((p) => `${p}.rope_theta` as const)];
  const given = names.flatMap((name) => {
    const base = r.optional(name);
    return base === undefined ? [] : [{ name, base }];
  });
  const [first] = given;
  if (first === undefined) {
    if (isHuginn) return HUGINN_BASE;
    throw r.bad("rope_theta", "missing; a checkpoint with these blocks must say its rotary base");
  }
  const other = given.find(({ base }) => base !== first.base);
  if (other !== undefined) throw r.bad(other.name, `${other.base} contradicts ${first.name} ${first.base}; remove the wrong one`);
  return first.base;
}

function scalingAt(r: Reader, place: Place): RopeScaling | undefined {
  const [type, older] = [r.optional(`${place}.rope_type`), r.optional(`${place}.type`)];
  if (type !== undefined && older !== undefined && type !== older)
    throw r.bad(`${place}.type`, `${excerpt(older)} contradicts rope_type ${excerpt(type)}; remove the wrong one`);
  const named = type ?? older;
  if (named === "llama3") return llama3At(r, place);
  if (named !== undefined && named !== "default")
    throw r.bad(place, `type ${excerpt(named)} is not supported; expected "llama3" or "default"`);
  for (const part of ["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"] as const) {
    const value = r.optional(`${place}.${part}`);
    if (value !== undefined && !(part === "factor" && value === 1))
      throw r.bad(`${place}.${part}`, `${value} goes with rope_type "llama3", which is not there; correct the type or leave the part out`);
  }
  r.optional(`${place}.partial_rotary_factor`);
  return undefined;
}

function llama3At(r: Reader, place: Place): RopeScaling {
  const scaling = {
    factor: r.required(`${place}.factor`),
    lowFreqFactor: r.required(`${place}.low_freq_factor`),
    highFreqFactor: r.required(`${place}.high_freq_factor`),
    originalContext: r.required(`${place}.original_max_position_embeddings`),
  };
  r.optional(`${place}.partial_rotary_factor`);
  if (scaling.highFreqFactor <= scaling.lowFreqFactor)
    throw r.bad(`${place}.high_freq_factor`, `${scaling.highFreqFactor} is not above low_freq_factor ${scaling.lowFreqFactor}`);
  return scaling;
}
