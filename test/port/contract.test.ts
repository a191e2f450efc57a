/**
 * The port's contract over every implementation that needs no GPU; contract.gpu.ts has the one that does.
 */
import { describe } from "vitest";
import { contract } from "./contract.ts";
import { implementations } from "./implementations.ts";

describe.each(await implementations())("the port, by $name", contract);
