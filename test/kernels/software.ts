/**
 * Commands that need a GPU device, on machines with and without one: where there is none, the command runs again with
 * SwiftShader, a GPU made of the CPU (swiftshader.ts). FATHOM_GPU=system keeps it off.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { nodeDevice } from "../../kernels/node.ts";
import type { FoundDevice } from "../../kernels/probe.ts";

/** Without it SwiftShader compiles and runs twice as long; and no kernel may count on zeroed workgroup memory. */
export const DAWN_FLAGS = ["enable-dawn-features=disable_workgroup_init"];

/** Set for the second run, so that there is no third. */
const MARK = "FATHOM_ON_SWIFTSHADER";

/** This machine's device. Does not return where there is none: the command then ends as its second run did. */
export async function deviceOrSoftware(): Promise<FoundDevice> {
  const probe = await nodeDevice(DAWN_FLAGS);
  if ("found" in probe) {
    console.log(`WebGPU on ${probe.found.description}.`);
    return probe.found;
  }
  const { FATHOM_GPU, FATHOM_NO_GPU, [MARK]: isSecond } = process.env;
  if (FATHOM_GPU === "system" || isSecond !== undefined) {
    console.error(`No WebGPU here, because ${FATHOM_NO_GPU ?? probe.missing}.`);
    process.exit(1);
  }
  console.error(`No WebGPU here, because ${probe.missing}. On SwiftShader instead, which takes its time:`);
  const script = fileURLToPath(new URL("swiftshader.ts", import.meta.url));
  const { status } = spawnSync(process.execPath, [script, ...process.argv.slice(1)], {
    stdio: "inherit",
    env: { ...process.env, [MARK]: "1" },
  });
  process.exit(status ?? 1);
}
