/**
 * The Tail Worker: from invocations with CPU time and a log line to the numbers of a calibration.
 */
import { describe, expect, it } from "vitest";
import tail, { samplesOf, TrafficCalibration, type TracedInvocation } from "../../worker/tail.ts";
import { WORK_LOG_KEY } from "../../worker/telemetry.ts";

function invocation(units: number, cpuTime: number, more: Partial<TracedInvocation> = {}): TracedInvocation {
  const line = JSON.stringify({ [WORK_LOG_KEY]: { model: "nano", backend: "wasm", units } });
  return { cpuTime, outcome: "ok", logs: [{ message: ["something else"] }, { message: [line] }], ...more };
}

describe("an invocation", () => {
  it("that served one completion is a sample of its model and backend", () => {
    expect(samplesOf([invocation(2, 40)])).toEqual([{ series: "nano/wasm", units: 2, ms: 40 }]);
  });

  it("that failed, served several or none, or logged nonsense is not", () => {
    const twice = { logs: [...invocation(1, 1).logs!, ...invocation(1, 1).logs!] };
    const nonsense = {
      logs: [{ message: [`{"${WORK_LOG_KEY}": {"units": "many"}}`] }, { message: [`{"${WORK_LOG_KEY}`] }, { message: 7 }],
    };
    expect(samplesOf([invocation(1, 1, { outcome: "exceededCpu" }), invocation(1, 1, twice), invocation(1, 1, nonsense), {}])).toEqual([]);
  });
});

describe("the numbers", () => {
  it("come out after every hundred samples, each series its own", () => {
    const traffic = new TrafficCalibration();
    const batch = (n: number, ms: number) => samplesOf(Array.from({ length: n }, () => invocation(2, ms)));
    expect(traffic.add(batch(99, 40))).toEqual([]);
    expect(traffic.add(batch(1, 40))).toEqual([{ series: "nano/wasm", measured: { msPerUnit: { p50: 20, p95: 20 }, samples: 100 } }]);
    expect(traffic.add(batch(50, 80))).toEqual([]);
  });

  it("are kept where a namespace is bound", async () => {
    const kept = new Map<string, string>();
    const CALIBRATION = { put: async (key: string, value: string) => void kept.set(key, value) } as unknown as KVNamespace;
    await tail.tail(
      Array.from({ length: 100 }, (_, i) => invocation(1, 15 + (i % 3))),
      { CALIBRATION },
    );
    expect(JSON.parse(kept.get("calibration/nano/wasm")!)).toMatchObject({
      msPerUnit: { p50: 16, p95: 17 },
      backend: "wasm",
      host: "traffic",
    });
  });
});
