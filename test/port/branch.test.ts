/**
 * Branches of every implementation of the port that needs no GPU; contract.gpu.ts has the one that does.
 */
import { describe } from "vitest";
import { branches } from "./branch.ts";
import { implementations } from "./implementations.ts";

const all = await implementations();
describe.each(all.filter(({ name }) => name === "reference" || name === "lane"))("branches, by $name", branches);
