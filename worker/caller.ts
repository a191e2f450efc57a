/**
 * What a request brings beside its body, whichever route it takes: budgets in headers and of the key, and a caller who
 * may go away.
 */
import type { Context } from "hono";
import { mergeBudgets } from "../engine/budget/budget.ts";
import { bearerKey } from "./auth.ts";
import { checkKeyBudget } from "./budget-option.ts";
import { readBudgetHeaders } from "./budget-headers.ts";
import type { CallerBudgets } from "./budget.ts";
import { decision } from "./callbacks.ts";
import { ApiError } from "./errors.ts";
import type { Service } from "./service.ts";

/** What headers and the caller's key say. @throws {Error} where keyBudget fails or gives no budget */
export async function callerBudgetsOf(c: Context, { keyBudget }: Service<any>): Promise<CallerBudgets> {
  const header = readBudgetHeaders((name) => c.req.header(name));
  const key = bearerKey(c);
  const ofKey = key === undefined ? undefined : checkKeyBudget(await decision("keyBudget", () => keyBudget(key, c)));
  return { header, key: mergeBudgets(c.get("fathomCaller")?.budget ?? {}, ofKey ?? {}) };
}

/** Who shares what deadlines leave: the caller of a key. undefined where keys are not asked for: then each request does. */
export function callerOf(c: Context): string | undefined {
  return (c.get("fathomCaller") as { readonly id: string } | undefined)?.id;
}

/** Workers fire this with the compatibility flag enable_request_signal alone. */
export function onDisconnect(c: Context, listener: () => void): void {
  const { signal } = c.req.raw;
  if (signal.aborted) listener();
  else signal.addEventListener("abort", listener, { once: true });
}

/** 499: nobody will read it. */
export function clientClosed(): ApiError {
  return new ApiError(499, "client_closed_request", "The caller closed the connection.");
}
