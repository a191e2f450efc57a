/** npm run check:size: sizes beside their limits; exit status 1 where one is too large. */
import { readFileSync } from "node:fs";
import { packageBytes, pageBytes, wasmBytes, workerBytes } from "./measure.ts";

const limits = JSON.parse(readFileSync(new URL("limits.json", import.meta.url), "utf8")) as Record<string, number>;
const sizes = { ...(await workerBytes()), ...(await wasmBytes()), ...(await pageBytes()), ...(await packageBytes()) };
console.table(Object.fromEntries(Object.entries(sizes).map(([name, bytes]) => [name, { bytes, limit: limits[name] ?? "none" }])));
if (Object.entries(sizes).some(([name, bytes]) => !(bytes <= (limits[name] ?? 0)))) process.exitCode = 1;
