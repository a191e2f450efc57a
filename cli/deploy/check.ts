/**
 * One thing that was looked at before a deployment, and what came of it.
 */
export interface Check {
  readonly name: string;
  /** fail: nothing is deployed. warn: it is, but somebody should know. */
  readonly status: "ok" | "warn" | "fail";
  /** What was found; of warn and fail also what to do. */
  readonly says: string;
}

export const ok = (name: string, says: string): Check => ({ name, status: "ok", says });
export const warn = (name: string, says: string): Check => ({ name, status: "warn", says });
export const fail = (name: string, says: string): Check => ({ name, status: "fail", says });
