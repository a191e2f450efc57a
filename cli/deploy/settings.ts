/**
 * Checks of a Worker's configuration by itself: entry, compatibility date, secrets, CPU limit. Reads no file but the entry.
 */
import { existsSync } from "node:fs";
import { DEFAULT_CPU_MS, type WorkersPlan } from "../plan/platform.ts";
import { fail, ok, warn, type Check } from "./check.ts";
import type { WorkerConfig } from "./wrangler.ts";

/** What the package's own tests run with. */
const TESTED_DATE = "2026-10-20";
/** Ends an answer whose caller hangs up. */
const HANG_UP_FLAG = "enable_request_signal";
const KEYS = "API_KEYS";
/** Names of values that nobody should read in a repository. */
const SECRET_NAME = /(?:^|_)(?:KEYS?|TOKENS?|SECRETS?|PASSWORDS?|CREDENTIALS?)$/i;

/** @param today ISO date */
export function checkSettings(config: WorkerConfig, plan: WorkersPlan, today: string): Check[] {
  return [checkEntry(config), checkDate(config, today), checkHangUp(config), ...checkSecrets(config), checkCpu(config, plan)];
}

function checkEntry({ name, main }: WorkerConfig): Check {
  if (name === undefined) return fail("entry", 'The configuration has no "name"; give the Worker one.');
  if (main === undefined) return fail("entry", 'The configuration has no "main": without a Worker nothing answers but the assets.');
  return existsSync(main)
    ? ok("entry", `${name}, from ${main}`)
    : fail("entry", `${main} is not there; "main" must name the Worker's source.`);
}

function checkDate({ compatibility_date: date }: WorkerConfig, today: string): Check {
  const name = "compatibility date";
  if (date === undefined) return fail(name, `There is none; add "compatibility_date": "${TESTED_DATE}".`);
  if (date > today) return fail(name, `${date} is in the future, which Cloudflare refuses; use ${today} or earlier.`);
  if (date < TESTED_DATE)
    return warn(name, `${date} is older than ${TESTED_DATE}, which this package is tested with; raise it if you can.`);
  return ok(name, date);
}

function checkHangUp({ compatibility_flags: flags = [] }: WorkerConfig): Check {
  return flags.includes(HANG_UP_FLAG)
    ? ok("hang-ups", "a caller who hangs up ends its answer")
    : warn(
        "hang-ups",
        `Without the compatibility flag ${HANG_UP_FLAG} an answer is computed, and paid for, to its end when its caller is gone.`,
      );
}

function checkSecrets({ vars = {}, secrets }: WorkerConfig): Check[] {
  const open = Object.keys(vars).filter((name) => SECRET_NAME.test(name));
  const required = secrets?.required ?? [];
  return [
    ...open.map((name) =>
      fail("secrets", `vars.${name} stands in the configuration for everyone to read; remove it and run wrangler secret put ${name}.`),
    ),
    vars["OPEN_TO_ALL"] === "true" || vars["OPEN_TO_ALL"] === true
      ? warn("secrets", "OPEN_TO_ALL is set: everyone may call, and you pay.")
      : required.includes(KEYS)
        ? ok("secrets", `${required.join(", ")}: to be set with wrangler secret put before the first deployment`)
        : warn(
            "secrets",
            `No secret ${KEYS} is required ("secrets": {"required": ["${KEYS}"]}): make sure that the Worker is not open to everyone.`,
          ),
  ];
}

function checkCpu({ limits }: WorkerConfig, plan: WorkersPlan): Check {
  const ms = limits?.cpu_ms;
  if (plan.name === "free")
    return fail(
      "CPU limit",
      `The free plan allows ${plan.mostCpuMs} ms of CPU a request, and loading a model takes more; use the paid plan.`,
    );
  if (ms === undefined)
    return warn(
      "CPU limit",
      `None is set, so a request may take ${DEFAULT_CPU_MS} ms; set "limits": {"cpu_ms": ...} to what one may cost.`,
    );
  if (ms > plan.mostCpuMs) return fail("CPU limit", `limits.cpu_ms is ${ms}; the ${plan.name} plan allows ${plan.mostCpuMs} at most.`);
  return ok("CPU limit", `${ms} ms a request`);
}
