#!/usr/bin/env node
// The `fathom` command: checks the Node version in a syntax that every Node reads, then starts a checkout's entry or the
// package's.
import { existsSync } from "node:fs";
import "./check-node.mjs";

const checkout = new URL("../bench/main.ts", import.meta.url);
const built = new URL("../dist/cli/main.js", import.meta.url);
await import((existsSync(checkout) ? checkout : built).href);
