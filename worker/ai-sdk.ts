/**
 * What Vercel's AI SDK shows of a budget: a metadata extractor for @ai-sdk/openai-compatible, which hands on what was
 * granted and spent. The budget itself goes with `providerOptions`. Imports nothing of the SDK.
 */
import type { BudgetObject, UsageObject } from "./wire-types.ts";

/** What of an answer's body becomes metadata. */
interface Costs {
  readonly budget?: BudgetObject;
  readonly usage?: Partial<UsageObject> | null;
}

/** The metadata of an answer, under the provider's name `fathom`. */
type Metadata = { fathom: Record<string, any> };

/**
 * Gives `providerMetadata.fathom`: `budget`, and of the usage `iterations`, `workUnits` and `costUsd`.
 *
 * @example
 * ```ts
 * const fathom = createOpenAICompatible({ name: "fathom", baseURL, includeUsage: true, metadataExtractor: budgetMetadata });
 * const { providerMetadata } = await generateText({
 *   model: fathom("nano"),
 *   prompt,
 *   providerOptions: { fathom: { budget: { iterations: 8 } } },
 * });
 * providerMetadata?.fathom?.budget; // what was granted, and what limited it
 * ```
 */
export const budgetMetadata = {
  async extractMetadata({ parsedBody }: { parsedBody: unknown }): Promise<Metadata | undefined> {
    return metadataOf(parsedBody as Costs);
  },
  createStreamExtractor() {
    let last: Metadata | undefined;
    return {
      processChunk(chunk: unknown): void {
        last = metadataOf(chunk as Costs) ?? last;
      },
      buildMetadata: (): Metadata | undefined => last,
    };
  },
};

function metadataOf({ budget, usage }: Costs): Metadata | undefined {
  if (budget === undefined) return undefined;
  return {
    fathom: { budget, iterations: usage?.iterations, workUnits: usage?.work_units, costUsd: usage?.cost_usd },
  };
}
