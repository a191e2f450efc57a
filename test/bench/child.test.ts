/** Measurements in a process of their own end with the one that asked for them, however it ends. */
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runChild } from "../../bench/child.ts";

const MODULE = new URL("../../bench/child.ts", import.meta.url).href;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "fathom-child-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function program(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe("a child", () => {
  it("gives its output and its progress", async () => {
    const child = await program(
      "good.mjs",
      `import { tellProgress } from ${JSON.stringify(MODULE)};
       for (let done = 1; done <= 3; done++) await tellProgress({ done, total: 3 });
       console.log(process.argv.slice(2).join());
       process.exit(0);`,
    );
    const told: number[] = [];
    expect(await runChild(child, ["a", "b"], ({ done }) => told.push(done))).toBe("a,b\n");
    expect(told).toEqual([1, 2, 3]);
  });

  it("that fails is an error with its status", async () => {
    await expect(runChild(await program("bad.mjs", "process.exit(3)"), [])).rejects.toThrow("ended with status 3");
  });

  it.each(["SIGTERM", "SIGINT", "SIGKILL"] as const)("is gone when its parent gets %s", async (signal) => {
    const child = await program(
      "endless.mjs",
      `import { endWithParent, tellProgress } from ${JSON.stringify(MODULE)};
       endWithParent();
       await tellProgress({ done: process.pid, total: 1 });
       for (;;) { const until = Date.now() + 50; while (Date.now() < until); await tellProgress({ done: 0, total: 1 }); }`,
    );
    const parent = await program(
      "parent.mjs",
      `import { runChild } from ${JSON.stringify(MODULE)};
       await runChild(${JSON.stringify(child)}, [], ({ done }) => done > 0 && console.log(done));`,
    );
    const asking = spawn(process.execPath, [parent], { stdio: ["ignore", "pipe", "inherit"] });
    const pid = Number(String(await new Promise((resolve) => asking.stdout.once("data", resolve))));
    expect(isAlive(pid)).toBe(true);
    asking.kill(signal);
    const [, by] = await new Promise<[number | null, string | null]>((resolve) => asking.once("exit", (...how) => resolve(how)));
    expect(by).toBe(signal);
    for (let waited = 0; isAlive(pid) && waited < 3_000; waited += 20) await sleep(20);
    expect(isAlive(pid)).toBe(false);
  });
});
