/**
 * Branches of every implementation of the port that needs no GPU; branch.gpu.ts has the one that does.
 */
import { describe } from "vitest";
import { branches } from "./branch.ts";
import { implementations, wasmInt8 } from "./implementations.ts";

describe.each([...(await implementations()), ...(await wasmInt8())])("branches, by $name", (implementation) => branches(implementation));
