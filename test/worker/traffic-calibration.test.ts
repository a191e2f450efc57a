/**
 * From real traffic to the next isolate: the Tail Worker writes what it measured into a KV namespace, and a model that
 * is loaded with that namespace is reckoned with at that pace. Wrong numbers change nothing.
 */
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { loadModel, type Model } from "../../engine/port/model.ts";
import { assetsFolder } from "../../worker/model-source.ts";
import tail, { type TracedInvocation } from "../../worker/tail.ts";
import { workLine } from "../../worker/telemetry.ts";
import { atPaceOfTraffic } from "../../worker/traffic-calibration.ts";
import { createWorkerBackend } from "../../worker/wasm-backend.ts";
import { app, ASSETS, chat, MODEL, nano, post, SERVER } from "./support.ts";

const { CALIBRATION } = env as unknown as { CALIBRATION: KVNamespace };
/** Under a name of its own: the Tail Worker of the isolate keeps samples by it. */
const named = (model: Model): Model => ({ ...model, card: { ...model.card, id: "nano-in-traffic" } });
const model = named(nano);
const KEY = `calibration/${model.card.id}/${model.backend.name}`;
const own = nano.card.calibration!.msPerUnit.p95;
const numbers = { msPerUnit: { p50: own, p95: 2 * own }, samples: 100, measuredAt: "2026-11-01" };

const warn = vi.spyOn(console, "warn");
beforeEach(() => void warn.mockReset().mockImplementation(() => {}));
afterEach(() => CALIBRATION.delete(KEY));

/** The invocations of requests that took so many milliseconds a unit, as a Tail Worker sees them. */
function invocations(count: number, msPerUnit: number): TracedInvocation[] {
  const event = { model: model.card.id, backend: nano.backend.name, report: { spending: { units: 0.5 } } };
  const line = workLine(event as unknown as Parameters<typeof workLine>[0]);
  return Array.from({ length: count }, () => ({ cpuTime: 0.5 * msPerUnit, outcome: "ok", logs: [{ message: [line] }] }));
}

describe("the pace of traffic", () => {
  it("is that of the next load, once the Tail Worker has measured it", async () => {
    const log = vi.spyOn(console, "log").mockImplementation(() => {});
    expect(await atPaceOfTraffic(model, CALIBRATION), "before").toBe(model);
    await tail.tail(invocations(100, 3 * own), { CALIBRATION });
    log.mockRestore();
    const next = await atPaceOfTraffic(model, CALIBRATION);
    expect(next.card.calibration).toMatchObject({ host: "traffic", samples: 100, weights: nano.card.calibration!.weights });
    expect(next.card.calibration!.msPerUnit.p95).toBeCloseTo(3 * own, 9);
    expect(warn).not.toHaveBeenCalled();
  });

  it("is what budgets are turned into work by, and what a model says of its cost", async () => {
    await CALIBRATION.put(KEY, JSON.stringify(numbers));
    const next = await atPaceOfTraffic(named(await loadModel(assetsFolder(ASSETS, MODEL), createWorkerBackend)), CALIBRATION);
    const told = (await (await app({ models: { [MODEL]: next } })(`${SERVER}/v1/models/${MODEL}`)).json()) as any;
    expect(told.cost.ms_per_unit).toEqual(numbers.msPerUnit);
    const body = chat({ budget: { cost_usd: 1e-5 } });
    const granted = async (of: typeof nano): Promise<number> =>
      ((await (await post(app({ models: { [MODEL]: of } }), "/v1/chat/completions", body)).json()) as any).budget.granted.work_units;
    expect(await granted(next)).toBeCloseTo((await granted(nano)) / 2, 3);
  });

  it("is the card's where no namespace is bound", async () => {
    expect(await atPaceOfTraffic(model)).toBe(model);
  });

  it.each([
    ["is no JSON", "{"],
    ["is something else", '"fast"'],
    ["lacks a number", JSON.stringify({ ...numbers, msPerUnit: { p50: 1 } })],
    ["has quantiles in the wrong order", JSON.stringify({ ...numbers, msPerUnit: { p50: own, p95: own / 2 } })],
    ["is far too fast", JSON.stringify({ ...numbers, msPerUnit: { p50: own / 100, p95: own / 100 } })],
    ["is far too slow", JSON.stringify({ ...numbers, msPerUnit: { p50: own, p95: own * 100 } })],
  ])("is the card's, and the log says why, where what is kept %s", async (_, kept) => {
    await CALIBRATION.put(KEY, kept);
    expect(await atPaceOfTraffic(model, CALIBRATION)).toBe(model);
    expect(warn).toHaveBeenCalledWith(expect.stringContaining(`The pace of traffic in ${KEY} is not used`));
  });

  it("is the card's where the namespace cannot be read", async () => {
    const broken = { get: () => Promise.reject(new Error("KV is down")) } as unknown as KVNamespace;
    expect(await atPaceOfTraffic(model, broken)).toBe(model);
    expect(warn).toHaveBeenCalledWith(expect.stringContaining("KV is down"));
  });
});
