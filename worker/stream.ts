/**
 * Objects as server-sent events, for any kind of pipe: one `data:` line each, `[DONE]` at the end, an error in its place.
 */
import type { ApiError } from "./errors.ts";
import { errorObject } from "./openai.ts";

const DONE = "[DONE]";

/** Data lines of a stream whose first object is there already; the source is always closed. Never throws. */
export async function* eventData(
  first: IteratorResult<object>,
  rest: AsyncGenerator<object>,
  signal: AbortSignal,
  explain: (error: unknown) => ApiError,
): AsyncGenerator<string> {
  try {
    for (let step = first; !step.done; step = await rest.next()) yield JSON.stringify(step.value);
    if (!signal.aborted) yield DONE;
  } catch (error) {
    yield JSON.stringify(errorObject(explain(error)));
  } finally {
    await rest.return(undefined);
  }
}
