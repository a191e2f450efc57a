/**
 * Branches of every implementation of the port that needs no GPU; contract.gpu.ts has the one that does.
 */
import { describe } from "vitest";
import { branches } from "./branch.ts";
import { implementations, wasmInt8 } from "./implementations.ts";

const all = [...(await implementations()), ...(await wasmInt8())];
describe.each(all.filter(({ name }) => !/webgpu/.test(name)))("branches, by $name", branches);
