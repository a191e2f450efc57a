/**
 * Builds wasm/build/relaxed.wasm, simd.wasm, convert.wasm and regression.wasm from wasm/assembly, and the benchmarks' ceiling loop from bench/assembly.
 * Binaryen's optimiser stays off but for passes that keep the order of instructions: V8 keeps it, too, and the
 * kernels are written in the order in which they run best (re-ordered by -O3 they ran 1.5 to 1.8 times slower).
 */
import { mkdir, stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const root = fileURLToPath(new URL("..", import.meta.url));

const RELAXED = ["simd", "relaxed-simd"];
const BUILDS = [
  { room: "wasm", name: "relaxed", features: RELAXED },
  { room: "wasm", name: "simd", features: ["simd"] },
  { room: "wasm", name: "convert", features: ["simd"] },
  { room: "wasm", name: "regression", features: ["simd"] },
  { room: "bench", name: "ceiling", features: RELAXED },
];

const OPTIONS = [
  "--runtime=stub",
  "--noAssert",
  "--importMemory",
  "--initialMemory=1",
  "--optimizeLevel=0",
  "--runPasses=coalesce-locals,remove-unused-brs,remove-unused-names,merge-blocks,rse,vacuum,duplicate-function-elimination,remove-unused-module-elements",
  "--disableWarning=201", // i32 and usize mix freely: memory stays 32 bits wide
];

for (const { room, name, features } of BUILDS) {
  await mkdir(`${root}${room}/build`, { recursive: true });
  const outFile = `${root}${room}/build/${name}.wasm`;
  const enable = features.map((feature) => `--enable=${feature}`);
  const { error, stderr } = await asc.main([`${root}${room}/assembly/${name}.ts`, `--outFile=${outFile}`, ...enable, ...OPTIONS]);
  if (error !== null) {
    console.error(stderr.toString());
    process.exit(1);
  }
  console.log(`${room}/build/${name}.wasm ${(await stat(outFile)).size} bytes`);
}
