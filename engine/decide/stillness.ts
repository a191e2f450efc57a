/**
 * When a leaf has thought enough: once no row that it sees, itself included, still moves. A row that stands still may
 * wait for news from the left; where all of them stand still, there is none to come. Pure.
 */
import { FathomError } from "../errors.ts";
import { mayExit, type ExitCriterion, type ExitRule } from "../exit-rule.ts";
import type { StateChange } from "../port/backend.ts";

/** Rules that look at how far states moved; by all of these a leaf ends when its largest movement is below the threshold. */
const BY_MOVEMENT: readonly ExitCriterion[] = ["latent-diff", "prefix", "rest-wake"];

/** @throws {FathomError} invalid_request for rules that look at what decisions do not have */
export function checkDecisionExit({ criterion, threshold }: ExitRule): void {
  if (!mayExit({ criterion, threshold }) || criterion === "cosine" || BY_MOVEMENT.includes(criterion)) return;
  throw new FathomError(
    "invalid_request",
    `Exit rule ${criterion} looks at the next token or at states long past, which decisions do not keep; use ${[...BY_MOVEMENT, "cosine", "none"].join(", ")}.`,
    "budget.exit",
  );
}

/** What a rule compares with its threshold, of one row. */
export function stillness({ criterion }: ExitRule, { distance, norm, previousNorm, dot }: StateChange): number {
  if (criterion !== "cosine") return norm === 0 ? 0 : distance / norm;
  const product = norm * previousNorm;
  return product === 0 ? 1 : 1 - dot / product;
}
