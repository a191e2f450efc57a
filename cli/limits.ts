/**
 * The limits of `fathom serve`, as createApp has them, from one option: name=number, comma-separated.
 */
import { FathomError } from "../engine/errors.ts";
import { nearest } from "../engine/nearest.ts";
import { DEFAULT_LIMITS, type DeploymentLimits } from "../worker/budget.ts";
import { list, wholeNumber } from "./arguments.ts";

/** A limit that is a number. */
export type NumberLimit = Exclude<keyof DeploymentLimits, "budget">;

const NAMES = Object.keys(DEFAULT_LIMITS).filter((name): name is NumberLimit => name !== "budget");

/** The option's description, with what holds without it. */
export const LIMITS = {
  type: "string",
  description: `ceilings in place of ${NAMES.map((name) => `${name}=${DEFAULT_LIMITS[name]}`).join(",")}`,
} as const;

/**
 * Reads limits.
 * @throws {FathomError} invalid_request, param "--limits", naming the part that is wrong
 * @example parseLimits("maxBodyBytes=1048576,maxIterations=128") // { maxBodyBytes: 1048576, maxIterations: 128 }
 */
export function parseLimits(text: string): Partial<Record<NumberLimit, number>> {
  return Object.fromEntries(
    list("--limits", text).map((part) => {
      const [name = "", value = ""] = part.split("=", 2);
      if (!(NAMES as readonly string[]).includes(name)) {
        const meant = nearest(name, NAMES);
        const hint = meant === undefined ? `use ${NAMES.join(", ")}` : `did you mean ${meant}?`;
        throw new FathomError("invalid_request", `--limits has ${JSON.stringify(part)}, which is no limit (${hint}).`, "--limits");
      }
      return [name, wholeNumber(`--limits ${name}`, value, 1, Number.MAX_SAFE_INTEGER)];
    }),
  );
}
