/**
 * Histories of every implementation of the port that needs no GPU.
 */
import { describe } from "vitest";
import { histories } from "./history.ts";
import { implementations, wasmInt8 } from "./implementations.ts";

describe.each([...(await implementations()), ...(await wasmInt8())])("histories, by $name", (implementation) => histories(implementation));
