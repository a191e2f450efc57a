/**
 * Builds wasm/build/relaxed.wasm and simd.wasm from wasm/assembly. Binaryen's optimiser stays off but for two
 * passes that keep the order of instructions: V8 keeps it, too, and the kernels are written in the order in which they
 * run best (re-ordered by -O3 they ran 1.5 to 1.8 times slower).
 */
import { mkdir, stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const folder = fileURLToPath(new URL(".", import.meta.url));
const BUILDS = { relaxed: ["simd", "relaxed-simd"], simd: ["simd"] };

const OPTIONS = [
  "--runtime=stub",
  "--noAssert",
  "--importMemory",
  "--initialMemory=1",
  "--optimizeLevel=0",
  "--runPasses=coalesce-locals,vacuum",
  "--disableWarning=201", // i32 and usize mix freely: memory stays 32 bits wide
];

await mkdir(`${folder}build`, { recursive: true });
for (const [name, features] of Object.entries(BUILDS)) {
  const outFile = `${folder}build/${name}.wasm`;
  const enable = features.map((feature) => `--enable=${feature}`);
  const { error, stderr } = await asc.main([`${folder}assembly/${name}.ts`, `--outFile=${outFile}`, ...enable, ...OPTIONS]);
  if (error !== null) {
    console.error(stderr.toString());
    process.exit(1);
  }
  console.log(`wasm/build/${name}.wasm ${(await stat(outFile)).size} bytes`);
}
