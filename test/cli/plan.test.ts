/** fathom plan: its queue beside a simulated one, its money beside Cloudflare's own example, its work beside a served answer. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { diskFolder } from "../../cli/files.ts";
import { modelPath } from "../../cli/models.ts";
import { capacityOf, waitMs } from "../../cli/plan/capacity.ts";
import { demandOf, largestWithin, measuredIterations } from "../../cli/plan/demand.ts";
import { planLoad, planLines, type PlanInput } from "../../cli/plan/plan.ts";
import { FREE, monthlyBill } from "../../cli/plan/platform.ts";
import { readCard, type ModelCard } from "../../engine/model/card.ts";
import type { ModelConfig } from "../../engine/model/config.ts";
import { readConfig } from "../../engine/model/folder.ts";
import { uniform } from "../../engine/random.ts";

let card: ModelCard;
let config: ModelConfig;
beforeAll(async () => {
  const folder = diskFolder(modelPath("nano"));
  config = await readConfig(folder);
  card = await readCard(folder, config);
});

/** Milliseconds that 95 % of the requests to one thread wait, by simulation. */
function simulatedWaitMs(busy: number, serviceMs: number, seed: number): number {
  let draws = 0;
  const exponential = (mean: number): number => -mean * Math.log(1 - uniform(seed, draws++, 0));
  const waits: number[] = [];
  for (let n = 0, wait = 0; n < 200_000; n++) {
    waits.push(wait);
    wait = Math.max(0, wait + exponential(serviceMs) - exponential(serviceMs / busy));
  }
  return waits.toSorted((a, b) => a - b)[Math.floor(0.95 * waits.length)]!;
}

describe("an isolate", () => {
  it.each([0.1, 0.5, 0.8])("that is %d busy lets requests wait as long as a simulated queue does", (busy) => {
    expect(waitMs(busy, 4)).toBeGreaterThan(0.9 * simulatedWaitMs(busy, 4, 3));
    expect(waitMs(busy, 4)).toBeLessThan(1.1 * simulatedWaitMs(busy, 4, 3));
  });

  it("that is nearly idle lets nobody wait, and carries what the latency leaves room for", () => {
    expect(waitMs(0.04, 10)).toBe(0);
    const { busy, rpsPerIsolate } = capacityOf(4, 10, 60);
    expect(waitMs(busy, 4)).toBeCloseTo(50, 2);
    expect(rpsPerIsolate).toBeCloseTo((1000 * busy) / 4, 9);
    expect(capacityOf(4, 60.1, 60)).toEqual({ busy: 0, rpsPerIsolate: 0 });
    for (const latencyMs of [12, 30, 100, 1000]) expect(capacityOf(4, 10, latencyMs).rpsPerIsolate).toBeLessThan(250);
  });
});

describe("a month", () => {
  const secondsPerMonth = (365.25 / 12) * 86_400;

  it("costs what the first example of Cloudflare's pricing page costs: 15 million requests of 7 ms, $8.00", () => {
    expect(monthlyBill(15e6 / secondsPerMonth, 7).usd).toBeCloseTo(8, 9);
  });

  it("costs the base alone below what is included, and each part beyond it", () => {
    expect(monthlyBill(1e6 / secondsPerMonth, 1).usd).toBe(5);
    expect(monthlyBill(10e6 / secondsPerMonth, 13).usd).toBeCloseTo(5 + 100 * 0.02, 9);
    expect(monthlyBill(1, 1.5).usdPerMillion).toBeCloseTo(0.33, 9);
    expect(monthlyBill(1, 5, FREE).usd).toBe(0);
  });
});

describe("a request", () => {
  it("needs the work that a served answer of its shape was charged, within a fifth", () => {
    // the README's first exchange: 33 tokens in, 2 out, 9 iterations in both calls together, 0.0537158 units
    const shape = { promptTokens: 33, completionTokens: 2, iterations: 4.5, hardIterations: 4.5 };
    const { usualMs, calibration } = demandOf(card, config, shape);
    const units = (usualMs - calibration.overheadMs) / calibration.msPerUnit.p50;
    expect(units / 0.0537158).toBeGreaterThan(0.8);
    expect(units / 0.0537158).toBeLessThan(1.2);
  });

  it("thinks as deep as the card measured, and without measurements as deep as it may", () => {
    const { iterations, hardIterations } = measuredIterations(card);
    expect([iterations > 4 && iterations < 8, hardIterations]).toEqual([true, 9.8]);
    expect(measuredIterations({ ...card, quality: [] })).toEqual({ iterations: 32, hardIterations: 32 });
  });

  it("is as long or deep as a time allows, to the last whole number", () => {
    expect([0.5, 1, 6.9, 7, 400].map((limit) => largestWithin(64, limit, (n) => n))).toEqual([0, 1, 6, 7, 64]);
  });
});

describe("a plan", () => {
  const plan = (change: Partial<PlanInput> = {}) => {
    const footprint = { loadCpuMs: 170, idleBytes: 3e6, requestBytes: 160_000 };
    const input = { card, config, footprint, rps: 50, peakRps: 50, latencyMs: 100, cpuFactor: 1, promptTokens: 40, completionTokens: 2 };
    const whole = { ...input, ...measuredIterations(card), ...change };
    return { ...planLoad(whole), lines: planLines(planLoad(whole), whole) };
  };

  it("needs more isolates for more requests, less time and slower machines", () => {
    const needed = (change: Partial<PlanInput>): number => plan(change).isolates.needed ?? Infinity;
    for (const worse of [{ peakRps: 5000 }, { peakRps: 5000, latencyMs: 20 }, { peakRps: 5000, latencyMs: 20, cpuFactor: 2 }])
      expect(needed(worse), JSON.stringify(worse)).toBeGreaterThan(needed({}));
    expect(needed({ peakRps: 5000, latencyMs: 20 })).toBeGreaterThan(needed({ peakRps: 5000 }));
    expect(plan({ peakRps: 5000 }).month).toEqual(plan().month);
  });

  it("says where it stops fitting: depth, prompt, one isolate's requests, each of which just fits", () => {
    const { fits, objections } = plan({ latencyMs: 10 });
    expect(objections).toEqual([]);
    const { slowMsOf } = demandOf(card, config, { promptTokens: 40, completionTokens: 2, iterations: 1, hardIterations: 1 });
    const slow = (promptTokens: number, hardIterations: number) => slowMsOf({ promptTokens, completionTokens: 2, hardIterations });
    expect([slow(40, fits.iterations) <= 10, slow(40, fits.iterations + 1) <= 10]).toEqual([true, false]);
    expect([slow(fits.promptTokens, 9.8) <= 10, slow(fits.promptTokens + 1, 9.8) <= 10]).toEqual([true, false]);
    expect(plan({ latencyMs: 10, peakRps: fits.rpsOfOneIsolate }).isolates.needed).toBe(1);
    expect(plan({ latencyMs: 10, peakRps: fits.rpsOfOneIsolate + 1 }).isolates.needed).toBe(2);
  });

  it("names what stands against it", () => {
    const late = plan({ latencyMs: 3 });
    expect(late.isolates.needed).toBeUndefined();
    expect(late.objections).toEqual([expect.stringMatching(/^A hard request alone takes 5.18 ms, more than 3/)]);
    expect(late.lines.join("\n")).toContain("none is in time");
    const large = { loadCpuMs: 9000, idleBytes: 120 * 2 ** 20, requestBytes: 1e6 };
    expect(plan({ footprint: large }).objections).toEqual(["The weights take 120 MiB, more than the 96 that an isolate has for them."]);
    expect(plan({ footprint: { ...large, idleBytes: 96 * 2 ** 20 } }).objections).toEqual([expect.stringContaining("no memory left")]);
    expect(plan({ footprint: { ...large, idleBytes: 1, loadCpuMs: 4e5 } }).objections).toEqual([expect.stringMatching(/^Loading takes/)]);
    expect(plan({ cpuFactor: 1e5 }).objections).toContainEqual(expect.stringContaining("more than any plan allows"));
  });

  it("tells why the free plan does not do, or that it does", () => {
    const small = { loadCpuMs: 5, idleBytes: 3e6, requestBytes: 1e5 };
    expect(plan({ rps: 1, footprint: small }).notFree).toEqual([]);
    expect(plan({ rps: 1, footprint: small }).lines.join("\n")).toContain("free plan   does");
    expect(plan({ rps: 2 }).notFree).toEqual([
      expect.stringMatching(/^Loading .* 170 ms/),
      expect.stringMatching(/^172800 requests a day/),
    ]);
  });

  it("says that it assumes a rate where the card has none", () => {
    const unmeasured = plan({ card: { ...card, calibration: undefined } });
    expect(unmeasured.request.measured).toBeUndefined();
    expect(unmeasured.lines.join("\n")).toContain("no calibration in the card");
    expect(unmeasured.request.usualMs).toBeGreaterThan(plan().request.usualMs);
  });
});

describe("the command", { timeout: 30_000 }, () => {
  const fathom = fileURLToPath(new URL("../../cli/fathom.mjs", import.meta.url));
  const run = (...args: string[]): Promise<{ status: number; stdout: string; stderr: string }> =>
    promisify(execFile)(process.execPath, [fathom, "plan", ...args]).then(
      (output) => ({ status: 0, ...output }),
      (error: { code: number; stdout: string; stderr: string }) => ({ status: error.code, stdout: error.stdout, stderr: error.stderr }),
    );

  it("ends with 0 where the load fits, 1 where not, 2 where it was called wrongly", async () => {
    const [fits, not, missing, wrong] = await Promise.all([
      run("--rps", "50", "--latency-ms", "100", "--json"),
      run("--rps", "50", "--latency-ms", "1", "--json"),
      run("--rps", "50"),
      run("--rps", "50", "--latency-ms", "100", "--peak-rps", "20"),
    ]);
    expect([fits.status, not.status, missing.status, wrong.status]).toEqual([0, 1, 2, 2]);
    const plan = JSON.parse(fits.stdout) as ReturnType<typeof planLoad>;
    expect(plan).toMatchObject({ model: "nano", isolates: { needed: 1 }, objections: [] });
    expect(plan.isolates.loadCpuMs).toBeGreaterThan(1);
    expect(JSON.parse(not.stdout)).toMatchObject({ isolates: {}, objections: [expect.any(String)] });
    expect(missing.stderr).toMatch(/^fathom: --latency-ms is missing: /);
    expect(wrong.stderr).toContain("use a number from 50 on");
  });
});
